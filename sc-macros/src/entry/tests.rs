use std::fmt::Write;

use expect_test::expect_file;
use proc_macro2::{Delimiter, Group};
use quote::quote;

use super::options::OPTIONS;
use super::{Entry, generate};
use crate::testing::{format_items, mistakes, tokens};

/// Every shape of function and option.
const WELL_FORMED: &[(Entry, &str, &str)] = &[
    (Entry::Main, "", "async fn main() { work().await }"),
    (Entry::Main, "flavor = \"current_thread\"", "async fn main() -> R { work().await }"),
    (
        Entry::Main,
        "worker_threads = 2, name = \"service\", drain = Duration::from_secs(9), pre_drain = DELAY, abandon_after = d(1), signals = true",
        "/// Documented.\n#[instrument] async fn main() -> Result<(), E> { #![allow(x)] work().await }",
    ),
    (Entry::Main, "signals = false, flavor = \"local\", crate = \"a::b\"", "async fn main() -> impl Termination { 1 }"),
    (Entry::Main, "", "async fn main() -> ! { loop {} }"),
    (Entry::Main, "", "pub(crate) async fn program(a: u8) -> u8 { a }"),
    (Entry::Main, "", "pub(crate) async fn associated() -> u8 { Self::work().await }"),
    (Entry::Main, "", "async unsafe extern \"C\" fn generic<T: X>() -> ! { loop {} }"),
    (Entry::Test, "", "#[should_panic] async fn fails() { panic!() }"),
    (
        Entry::Test,
        "start_paused = true, unhandled_panic = \"shutdown_runtime\", leaks = \"allow\",",
        "async fn t() -> Result<(), E> { Ok(()) }",
    ),
    (Entry::Test, "flavor = \"multi_thread\", worker_threads = 2, leaks = \"deny\"", "async fn t(case: u8) {}"),
];

/// Every mistake that has a message of its own, and some that share one.
const MISTAKEN: &[(Entry, &str, &str)] = &[
    (Entry::Main, "", "fn main() {}"),
    (Entry::Test, "", "fn t() {}"),
    (Entry::Main, "drian = 1", "struct S;"),
    (Entry::Main, "", "async fn main(arguments: Args) {}"),
    (Entry::Test, "", "#[test] async fn t() {}"),
    (Entry::Main, "drian = 1, retries = 3, core_threads = 2", MAIN),
    (Entry::Main, "drain = 1, drain = 2, flavor = \"local\", flavor = \"local\"", MAIN),
    (Entry::Main, "drain, pre_drain(1), abandon_after: 3, signals", MAIN),
    (Entry::Main, "signals = yes, flavor = current_thread, flavour = \"x\"", MAIN),
    (Entry::Main, "flavor = \"single_thread\"", MAIN),
    (Entry::Main, "worker_threads = 0", MAIN),
    (Entry::Main, "worker_threads = many()", MAIN),
    (Entry::Main, "flavor = \"current_thread\", worker_threads = 2", MAIN),
    (Entry::Main, "start_paused = true, unhandled_panic = \"ignore\"", MAIN),
    (
        Entry::Main,
        "flavor = \"local\", start_paused = 1, unhandled_panic = \"abort\", name = \" \", crate = \"a b\"",
        MAIN,
    ),
    (Entry::Main, "leaks = \"allow\"", MAIN),
    (Entry::Main, "\"drain\" = 1, = 2, 3", MAIN),
    (Entry::Main, "drain = 1 pre_drain = 2", MAIN),
    (Entry::Main, ",", MAIN),
    (Entry::Test, "leaks = allow", TEST),
    (Entry::Test, "leaks = \"none\"", TEST),
    (Entry::Test, "drain = 1, signals = true, worker_threads = 2, leeks = \"allow\"", TEST),
];

const MAIN: &str = "async fn main() {}";
const TEST: &str = "async fn t() {}";

#[test]
fn well_formed() {
    let mut all = String::new();
    for (entry, arguments, item) in WELL_FORMED {
        let expansion = generate(*entry, tokens(arguments), &tokens(item));
        assert_eq!(mistakes(&expansion), Vec::<String>::new(), "{item}");
        write!(all, "// #[{}({arguments})] {item}\n{}\n", entry.name(), format_items(&expansion)).unwrap();
    }
    expect_file!["snapshots/well_formed.txt"].assert_eq(&all);
}

#[test]
fn mistaken() {
    let mut all = String::new();
    for (entry, arguments, item) in MISTAKEN {
        let mistakes = mistakes(&generate(*entry, tokens(arguments), &tokens(item)));
        assert!(!mistakes.is_empty(), "#[{}({arguments})] {item}", entry.name());
        write!(all, "#[{}({arguments})] {item}\n    {}\n\n", entry.name(), mistakes.join("\n    ")).unwrap();
    }
    expect_file!["snapshots/mistaken.txt"].assert_eq(&all);
}

#[test]
fn a_function_with_mistakes_is_still_there() {
    for (entry, arguments, item) in MISTAKEN.iter().filter(|(.., item)| item.contains("fn ")) {
        let shown = format_items(&generate(*entry, tokens(arguments), &tokens(item)));
        assert!(shown.contains(if *entry == Entry::Main { "fn main(" } else { "fn t(" }), "{shown}");
        let is_async = shown.lines().any(|line| line.starts_with("async fn"));
        assert!(!is_async, "rustc would complain about it, too: {shown}");
    }
}

#[test]
fn a_value_that_a_macro_hands_on_is_read_like_any_other() {
    let value = Group::new(Delimiter::None, tokens("\"local\""));
    let expansion = generate(Entry::Main, quote!(flavor = #value), &tokens(MAIN));
    assert_eq!(mistakes(&expansion), Vec::<String>::new());
    assert!(expansion.to_string().contains("build_local"), "{expansion}");
}

/// The tests below go through the table: an option that is missing there is tested by none of them.
#[test]
fn the_options_are_the_documented_ones() {
    let names: Vec<_> = OPTIONS.iter().map(|option| option.name).collect();
    let tokios = ["flavor", "worker_threads", "start_paused", "unhandled_panic", "name", "crate"];
    let roots = ["drain", "pre_drain", "abandon_after", "signals", "leaks"];
    assert_eq!(names, [tokios.as_slice(), roots.as_slice()].concat());
}

#[test]
fn every_option_alone() {
    for option in OPTIONS {
        let (entry, item) = of(option.of);
        // Two of them are those of the flavour that is not the default.
        let flavor = match option.name {
            "start_paused" | "unhandled_panic" => "flavor = \"current_thread\", ",
            _ => "",
        };
        let expansion = generate(entry, tokens(&format!("{flavor}{}", option.example)), &tokens(item));
        assert_eq!(mistakes(&expansion), Vec::<String>::new(), "{}", option.name);
    }
}

#[test]
fn every_option_twice_and_without_its_value() {
    for option in OPTIONS {
        let (entry, item) = of(option.of);
        let told = |arguments: &str| mistakes(&generate(entry, tokens(arguments), &tokens(item)));
        let name = option.name;
        let twice = told(&format!("flavor = \"current_thread\", {0}, {0}", option.example));
        let expected = format!("{name} => `{name}` is given twice: remove one");
        assert!(twice.contains(&expected), "{twice:?}");
        let expected = format!("{name} => `{name}` takes a value: write `{}`", option.example);
        assert!(told(name).contains(&expected), "{:?}", told(name));
    }
}

fn of(entry: Option<Entry>) -> (Entry, &'static str) {
    match entry {
        Some(Entry::Test) => (Entry::Test, TEST),
        _ => (Entry::Main, MAIN),
    }
}
