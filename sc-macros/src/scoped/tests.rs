use super::generate;
use super::options::OPTIONS;
use crate::testing::{format_items, mistakes, tokens};
use expect_test::expect_file;
use quote::quote;
use std::fmt::Write;

/// Every shape of function and option.
const WELL_FORMED: &[(&str, &str)] = &[
    ("", "async fn f(x: &str) -> Result<u32, E> { work(x).await }"),
    (
        "|n|, timeout = self.limit, name = title(), map_cancelled = |c| E::from(c)",
        "/// Documented.\n#[inline] pub(crate) async unsafe fn f<'a, T: X, const N: usize>(&mut self, (a, mut b): (T, [u8; N])) \
         -> io::Result<&'a T> where T: 'a { n.spawn(work()); Ok(1) }",
    ),
    ("|_n|, policy = Supervise,", "async fn r#match() {}"),
    ("allow(tokio_spawn)", "async fn f() -> () { tokio::spawn(work()); }"),
    ("", "async fn f() -> Result<(impl X + Y, Option<impl Fn() -> u8>), E> { work().await }"),
    ("|n|", ASYNC_TRAIT),
    ("|n|", "fn f<'a>(x: &'a str) -> BoxFuture<'a, Result<u32, E>> { Box::pin(async move { Ok(1) }) }"),
];

/// What version 0.1 of `async-trait` makes of `async fn f(&self, (a, b): (u8, u8)) -> Result<u8, E> { Ok(a + b) }`.
const ASYNC_TRAIT: &str = "fn f<'life0, 'async_trait>(&'life0 self, __arg1: (u8, u8)) -> ::core::pin::Pin<Box<dyn \
     ::core::future::Future<Output = Result<u8, E>> + ::core::marker::Send + 'async_trait>> \
     where 'life0: 'async_trait, Self: 'async_trait { Box::pin(async move { \
     if let ::core::option::Option::Some(__ret) = ::core::option::Option::None::<Result<u8, E>> { \
     #[allow(unreachable_code)] return __ret; } \
     let __self = self; let (a, b) = { let __arg1 = __arg1; __arg1 }; \
     let __ret: Result<u8, E> = { Ok(a + b) }; #[allow(unreachable_code)] __ret }) }";

/// What version 1 of Tokio's `#[tokio::main]` makes of `async fn f() -> Result<(), E> { Ok(()) }`.
const TOKIO_MAIN: &str = "fn f() -> Result<(), E> { let body = async { Ok(n.spawn(work().await)) }; { \
     use tokio::runtime::Builder; return Builder::new_multi_thread().enable_all().build() \
     .expect(\"Failed building the Runtime\").block_on(body); } }";

/// Every mistake that has a message of its own, and some that share one.
const MISTAKEN: &[(&str, &str)] = &[
    ("", "struct S;"),
    ("", "#[cfg(x)] impl S { fn f() {} }"),
    ("", ""),
    ("|n|", "fn f() -> Result<u32, E> { n.spawn(work().await); Ok(1) }"),
    ("", "fn f() -> Result<u32, E> { Ok(1) }"),
    ("", "const fn f() -> Result<u32, E> { Ok(1) }"),
    ("|n|", "async fn f() -> Result<u32, E>;"),
    ("", "async fn f() -> ! { loop {} }"),
    ("|n|", "async fn f() -> impl X { n.spawn(work()) }"),
    ("", "fn f() -> Pin<Box<dyn Future>> { Box::pin(async move { 1 }) }"),
    ("|n|", TOKIO_MAIN),
    ("timout = 1, nam = 2, retries = 3", OK),
    ("n", "async fn f() -> Result<u32, E> { n.spawn(work()); Ok(1) }"),
    ("timeout, grace(1), name: \"f\", deadline =, policy = x y, map_cancelled = |c", OK),
    ("\"timeout\" = 1, = 2, 3", OK),
    ("timeout = 1 grace = 2", OK),
    (",", OK),
    ("allow", OK),
    ("allow()", OK),
    ("allow = tokio_spawn", OK),
    ("allow(everything, tokio::spawn, tokio_spawn)", OK),
    ("||", OK),
    ("|mut n|", OK),
    ("|n, m|", OK),
    ("|n: 3|", OK),
    ("|n", OK),
    ("|n|, |m|", OK),
    ("|n|, timeout = 1, deadline = 2, map_cancelled = 3, grace = 4", "async fn f() { n.spawn(work()) }"),
    ("", "async fn f() { tokio::spawn(work()); }"),
    ("|n|, grac = 1", "const fn f() -> ! { tokio::spawn(work()); }"),
];

const OK: &str = "async fn f() -> Result<u32, E> { Ok(1) }";

#[test]
fn well_formed() {
    let mut all = String::new();
    for (arguments, item) in WELL_FORMED {
        let expansion = generate(tokens(arguments), &tokens(item));
        assert_eq!(mistakes(&expansion), Vec::<String>::new(), "{item}");
        write!(all, "// #[scoped({arguments})] {item}\n{}\n", format_items(&expansion)).unwrap();
    }
    expect_file!["snapshots/well_formed.txt"].assert_eq(&all);
}

#[test]
fn mistaken() {
    let mut all = String::new();
    for (arguments, item) in MISTAKEN {
        let mistakes = mistakes(&generate(tokens(arguments), &tokens(item)));
        assert!(!mistakes.is_empty(), "#[scoped({arguments})] {item}");
        write!(all, "#[scoped({arguments})] {item}\n    {}\n\n", mistakes.join("\n    ")).unwrap();
    }
    expect_file!["snapshots/mistaken.txt"].assert_eq(&all);
}

#[test]
fn a_function_with_mistakes_is_still_there() {
    let mut all = String::new();
    for (arguments, item) in MISTAKEN.iter().filter(|(_, item)| item.contains("fn f")) {
        let expansion = generate(tokens(arguments), &tokens(item));
        let expansion = if item.ends_with(';') { quote!(trait T { #expansion }) } else { expansion };
        write!(all, "// #[scoped({arguments})] {item}\n{}\n", format_items(&expansion)).unwrap();
    }
    expect_file!["snapshots/fallback.txt"].assert_eq(&all);
}

fn expand(arguments: &str) -> (String, Vec<String>) {
    let expansion = generate(tokens(arguments), &tokens(OK));
    (expansion.to_string().replace(' ', ""), mistakes(&expansion))
}

/// The tests below go through the table: an option that is missing there is tested by none of them.
#[test]
fn the_options_are_the_documented_ones() {
    let names: Vec<_> = OPTIONS.iter().map(|option| option.name).collect();
    let documented = ["policy", "timeout", "deadline", "grace", "limit", "name", "map_cancelled", "allow"];
    assert_eq!(names, documented);
}

#[test]
fn every_option_alone() {
    for option in OPTIONS {
        let (expansion, mistakes) = expand(option.example);
        assert_eq!(mistakes, Vec::<String>::new(), "{}", option.name);
        if let Some((_, value)) = option.example.split_once(" = ") {
            let value = value.replace(' ', "");
            let setter = expansion.contains(&format!("({value})"));
            assert!(setter || expansion.contains(&format!(",{value})")), "{}: {expansion}", option.name);
        }
    }
}

#[test]
fn every_option_twice() {
    for option in OPTIONS {
        let (_, mistakes) = expand(&format!("{0}, {0}", option.example));
        assert_eq!(mistakes, [format!("{0} => `{0}` is given twice: remove one", option.name)]);
    }
}

#[test]
fn every_option_with_every_other() {
    for one in OPTIONS {
        for other in OPTIONS.iter().filter(|other| other.name != one.name) {
            let (_, mistakes) = expand(&format!("{}, |n|, {}", one.example, other.example));
            assert_eq!(mistakes, Vec::<String>::new(), "{}, {}", one.name, other.name);
        }
    }
}

#[test]
fn every_option_without_a_value() {
    for option in OPTIONS {
        let (_, mistakes) = expand(&format!("{}, |n|", option.name));
        assert_eq!(mistakes.len(), 1, "{mistakes:?}");
        assert!(mistakes[0].starts_with(&format!("{} => ", option.name)), "{mistakes:?}");
        assert!(mistakes[0].ends_with(&format!("write `{}`", option.example)), "{mistakes:?}");
    }
}

#[test]
fn every_option_misspelt() {
    for option in OPTIONS {
        let without = |at: usize| option.name[..at].to_owned() + &option.name[at + 1..];
        let twice = |at: usize| option.name[..=at].to_owned() + &option.name[at..];
        let letters = 0..option.name.len();
        for misspelt in letters.clone().map(without).chain(letters.map(twice)) {
            let (_, mistakes) = expand(&format!("{misspelt} = 1, |n|"));
            assert_eq!(mistakes.len(), 1, "{mistakes:?}");
            assert!(mistakes[0].starts_with(&format!("{misspelt} => ")), "{mistakes:?}");
            assert!(mistakes[0].contains(&format!("did you mean `{}`?", option.name)), "{mistakes:?}");
        }
    }
}

#[test]
fn every_option_on_a_function_that_returns_nothing() {
    for option in OPTIONS {
        let mistakes = mistakes(&generate(tokens(option.example), &tokens("async fn f() {}")));
        assert_eq!(!mistakes.is_empty(), option.fails, "{}: {mistakes:?}", option.name);
    }
}

#[test]
fn the_body_of_a_boxed_function_is_the_block_and_no_other_value() {
    let item = "fn f() -> Pin<Box<dyn Future<Output = ()> + Send>> { \
                Box::pin(async move { let _: u8 = (g()); let _: () = { work().await; }; }) }";
    let expansion = generate(tokens(""), &tokens(item)).to_string();
    assert!(expansion.contains("= (g ())"), "{expansion}");
}

#[test]
fn a_function_that_only_blocks_or_only_builds_is_not_one_that_tokio_rewrote() {
    for body in ["rt.block_on(work())", "builder.enable_all()"] {
        let mistakes = mistakes(&generate(tokens(""), &tokens(&format!("fn f() {{ {body} }}"))));
        assert!(mistakes[0].contains("a scope is awaited"), "{mistakes:?}");
    }
}
