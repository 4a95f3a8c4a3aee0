//! Every entry point takes any tokens without a panic, and what it returns is well formed: half-typed code reaches the
//! macros in every editor.
//!
//! Four times 10 000 inputs, the same in every run. What breaks a claim is shrunk before it is shown.

use crate::entry::{self, Entry};
use crate::testing::{mistakes, tokens};
use crate::{nursery, scoped};
use proc_macro2::{Delimiter, Group, TokenStream, TokenTree};
use std::panic::{AssertUnwindSafe, catch_unwind};

const CASES: u32 = 10_000;

/// What inputs are made of, besides brackets.
const WORDS: &str = "async move fn n _ self mut let unsafe const pub impl struct await return trait where dyn
    nursery scoped tokio task thread spawn spawn_blocking Handle current Box pin Result T E Output Future
    timeout name allow tokio_spawn policy map_cancelled timout flavor drain signals leaks true 'a 1 \"text\" | || : :: , ; . .. = == -> => < > & # ! ? + @ $";

/// Inputs to damage.
const NURSERIES: &[&str] = &[
    "async |n| { n.spawn(work()); Ok(1) }",
    "<policies::Quorum<3>> async move |n: &Nursery<'_, E>| -> Result<u32, E> { tokio::spawn(f()); Ok(1) }",
];
const ARGUMENTS: &[&str] = &["", "|n|, timeout = f::<A, B>(1), name = \"f\", allow(tokio_spawn)", "|n|, policy = x"];
const ENTRY_ARGUMENTS: &[&str] = &[
    "",
    "flavor = \"current_thread\", start_paused = true, leaks = \"allow\"",
    "worker_threads = 2, drain = f::<A, B>(1), pre_drain = x, signals = false, crate = \"a::b\"",
];
const ENTRIES: &[&str] = &[
    "async fn main() -> Result<(), E> { n.spawn(work().await); Ok(()) }",
    "#[should_panic(expected = \"x\")] pub(crate) async fn f() { assert!(work().await) }",
    "fn main() { work() }",
    "async fn f<'a, T: X>(&mut self, (a, b): (T, &'a u8)) -> Result<impl X, E>;",
];
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

/// What a macro is given: the arguments of an attribute, which a function-like one has not, and the rest.
#[derive(Clone)]
struct Case {
    arguments: TokenStream,
    item: TokenStream,
}

impl Case {
    /// Every case that is this one without one token, or without a pair of brackets.
    fn smaller(&self) -> Vec<Self> {
        let arguments = smaller(&self.arguments).into_iter().map(|arguments| Self { arguments, ..self.clone() });
        let items = smaller(&self.item).into_iter().map(|item| Self { item, ..self.clone() });
        arguments.chain(items).collect()
    }

    /// The smallest case that this one can be cut down to, one step at a time, and still fails.
    fn shrunk(mut self, fails: &dyn Fn(&Self) -> Option<String>) -> (Self, String) {
        let mut why = fails(&self).expect("what is shrunk fails");
        while let Some((smaller, reason)) =
            self.smaller().into_iter().find_map(|case| fails(&case).map(|reason| (case, reason)))
        {
            (self, why) = (smaller, reason);
        }
        (self, why)
    }
}

fn smaller(whole: &TokenStream) -> Vec<TokenStream> {
    let whole: Vec<TokenTree> = whole.clone().into_iter().collect();
    let with = |at: usize, instead: TokenStream| -> TokenStream {
        let (before, after) = (whole[..at].iter().cloned(), whole[at + 1..].iter().cloned());
        before.chain(instead).chain(after).collect()
    };
    let mut all = Vec::new();
    for (at, token) in whole.iter().enumerate() {
        all.push(with(at, TokenStream::new()));
        if let TokenTree::Group(group) = token {
            all.push(with(at, group.stream()));
            let again = |content| TokenTree::from(Group::new(group.delimiter(), content)).into();
            all.extend(smaller(&group.stream()).into_iter().map(|content| with(at, again(content))));
        }
    }
    all
}

/// Holds a macro to what is claimed for it, and sees that the cases were of both kinds.
fn claim(
    seed: u64,
    (arguments, items): (&[&str], &[&str]),
    expand: fn(&Case) -> TokenStream,
    claim: fn(&Case, &TokenStream) -> bool,
) {
    let (words, arguments, items, mut random) = (words(), all(arguments), all(items), Random(seed));
    let fails = |case: &Case| match catch_unwind(AssertUnwindSafe(|| expand(case))) {
        Ok(expansion) => (!claim(case, &expansion)).then(|| expansion.to_string()),
        Err(_) => Some("the macro panicked".to_owned()),
    };
    let mut refused = 0;
    for _ in 0..CASES {
        let case = Case { arguments: random.input(&arguments, &words), item: random.input(&items, &words) };
        if fails(&case).is_some() {
            let (case, why) = case.shrunk(&fails);
            panic!("({}) {}\n{why}", case.arguments, case.item);
        }
        refused += u32::from(!mistakes(&expand(&case)).is_empty());
    }
    assert!(refused > CASES / 10 && refused < CASES, "{refused} of {CASES}");
}

#[test]
fn nurseries() {
    let expand = |case: &Case| nursery::generate(case.item.clone());
    claim(0x9e37_79b9_7f4a_7c15, (&[""], NURSERIES), expand, |_, expansion| {
        let expression = expansion.to_string().starts_with("{ ");
        !expression || syn::parse2::<syn::Expr>(expansion.clone()).is_ok()
    });
}

#[test]
fn scoped_functions() {
    let expand = |case: &Case| scoped::generate(case.arguments.clone(), &case.item);
    claim(0x2545_f491_4f6c_dd1d, (ARGUMENTS, FUNCTIONS), expand, keeps);
}

#[test]
fn main_functions() {
    let expand = |case: &Case| entry::generate(Entry::Main, case.arguments.clone(), &case.item);
    claim(0xd1b5_4a32_d192_ed03, (ENTRY_ARGUMENTS, ENTRIES), expand, keeps);
}

#[test]
fn test_functions() {
    let expand = |case: &Case| entry::generate(Entry::Test, case.arguments.clone(), &case.item);
    claim(0x94d0_49bb_1331_11eb, (ENTRY_ARGUMENTS, ENTRIES), expand, keeps);
}

/// Whatever is wrong with a function, it is still there.
fn keeps(case: &Case, expansion: &TokenStream) -> bool {
    leaves(expansion.clone()) >= leaves(case.item.clone())
}

#[test]
fn a_case_that_fails_is_shrunk_to_what_makes_it_fail() {
    let fails = |case: &Case| case.item.to_string().contains("unsafe").then(|| "it is unsafe".to_owned());
    let case = Case { arguments: tokens("|n|, a = 1"), item: tokens("fn f() { { g([unsafe { 1 }]) } }") };
    let (case, _) = case.shrunk(&fails);
    assert_eq!((case.arguments.to_string(), case.item.to_string()), (String::new(), "unsafe".to_owned()));
}

/// How many tokens there are, brackets not counted.
fn leaves(tokens: TokenStream) -> usize {
    let count = |token| if let TokenTree::Group(group) = token { leaves(group.stream()) } else { 1 };
    tokens.into_iter().map(count).sum()
}
