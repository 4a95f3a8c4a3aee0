//! Every entry point takes any tokens without a panic, and what it returns is well formed: half-typed code reaches the
//! macros in every editor.

use crate::testing::{mistakes, tokens};
use crate::{nursery, scoped};
use proc_macro2::{Delimiter, Group, TokenStream, TokenTree};

const CASES: u32 = 10_000;

/// What inputs are made of, besides brackets.
const WORDS: &str = "async move fn n _ self mut let unsafe const pub impl struct await return trait where dyn
    nursery scoped tokio task thread spawn spawn_blocking Handle current Box pin Result T E Output Future
    timeout name allow tokio_spawn policy map_cancelled timout 'a 1 \"text\" | || : :: , ; . .. = == -> => < > & # ! ? + @ $";

/// Inputs to damage.
const NURSERIES: &[&str] = &[
    "async |n| { n.spawn(work()); Ok(1) }",
    "<policies::Quorum<3>> async move |n: &Nursery<'_, E>| -> Result<u32, E> { tokio::spawn(f()); Ok(1) }",
];
const ARGUMENTS: &[&str] = &["", "|n|, timeout = f::<A, B>(1), name = \"f\", allow(tokio_spawn)", "|n|, policy = x"];
const FUNCTIONS: &[&str] = &[
    "#[doc = \"f\"] pub async fn f<'a, T: X>(&mut self, (a, b): (T, &'a u8)) -> Result<impl X, E> { Handle::current().spawn(x); Ok(1) }",
    "fn f() -> Pin<Box<dyn Future<Output = ()> + Send>> { Box::pin(async move { let a = { a }; let _: () = { work().await; }; }) }",
    "async fn f();",
];

/// Xorshift: the same cases in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % u64::try_from(end.max(1)).unwrap()).unwrap()
    }

    fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len())]
    }

    fn token(&mut self, words: &[TokenStream], depth: usize) -> TokenStream {
        if depth > 0 && self.below(4) == 0 {
            let delimiters = [Delimiter::Brace, Delimiter::Parenthesis, Delimiter::Bracket, Delimiter::None];
            let content = self.tokens(words, depth - 1);
            return TokenTree::from(Group::new(*self.pick(&delimiters), content)).into();
        }
        self.pick(words).clone()
    }

    fn tokens(&mut self, words: &[TokenStream], depth: usize) -> TokenStream {
        (0..self.below(8)).map(|_| self.token(words, depth)).collect()
    }

    /// Removes, doubles, replaces or inserts a few tokens, on any level.
    fn damage(&mut self, whole: TokenStream, words: &[TokenStream]) -> TokenStream {
        let mut damaged = TokenStream::new();
        for token in whole {
            let token = match token {
                TokenTree::Group(group) => {
                    let mut damaged = Group::new(group.delimiter(), self.damage(group.stream(), words));
                    damaged.set_span(group.span());
                    damaged.into()
                }
                token => token,
            };
            match self.below(60) {
                0 => {}
                1 => damaged.extend([token.clone(), token]),
                2 => damaged.extend(self.token(words, 1)),
                3 => damaged.extend([self.token(words, 1), token.into()]),
                _ => damaged.extend([token]),
            }
        }
        damaged
    }

    /// One of the inputs as it is, damaged, or none of them at all.
    fn input(&mut self, whole: &[TokenStream], words: &[TokenStream]) -> TokenStream {
        match self.below(4) {
            0 => self.tokens(words, 3),
            1 => self.pick(whole).clone(),
            _ => {
                let whole = self.pick(whole).clone();
                self.damage(whole, words)
            }
        }
    }
}

fn all(sources: &[&str]) -> Vec<TokenStream> {
    sources.iter().map(|source| tokens(source)).collect()
}

fn words() -> Vec<TokenStream> {
    WORDS.split_whitespace().map(tokens).collect()
}

#[test]
fn nurseries() {
    let (words, whole) = (words(), all(NURSERIES));
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let mut refused = 0;
    for _ in 0..CASES {
        let input = random.input(&whole, &words);
        let expansion = nursery::generate(input.clone());
        if !mistakes(&expansion).is_empty() {
            refused += 1;
        }
        let expression = expansion.to_string().starts_with("{ ");
        assert!(!expression || syn::parse2::<syn::Expr>(expansion.clone()).is_ok(), "{input}\n{expansion}");
    }
    assert!(refused > CASES / 10 && refused < CASES, "{refused} of {CASES}");
}

#[test]
fn scoped_functions() {
    let (words, arguments, functions) = (words(), all(ARGUMENTS), all(FUNCTIONS));
    let mut random = Random(0x2545_f491_4f6c_dd1d);
    let mut refused = 0;
    for _ in 0..CASES {
        let arguments = random.input(&arguments, &words);
        let item = random.input(&functions, &words);
        let expansion = scoped::generate(arguments.clone(), &item);
        if !mistakes(&expansion).is_empty() {
            refused += 1;
        }
        let (count, kept) = (leaves(item.clone()), leaves(expansion.clone()));
        assert!(kept >= count, "#[scoped({arguments})] {item}\n{expansion}");
    }
    assert!(refused > CASES / 10 && refused < CASES, "{refused} of {CASES}");
}

/// How many tokens there are, brackets not counted.
fn leaves(tokens: TokenStream) -> usize {
    let count = |token| if let TokenTree::Group(group) = token { leaves(group.stream()) } else { 1 };
    tokens.into_iter().map(count).sum()
}
