use super::generate;
use crate::testing::{format_expression, mistakes, tokens};
use expect_test::expect_file;
use std::fmt::Write;

/// Every shape of the grammar.
const WELL_FORMED: &[&str] = &[
    "async |n| { n.spawn(work()); Ok(1) }",
    "<policies::Quorum<3>> async move |n: &Nursery<'_, E>| -> Result<u32, E> { Ok(1) }",
    "async |_n| Ok(1)",
    "async |_| {}",
];

/// Every mistake that has a message of its own, and some that share one.
const MISTAKEN: &[&str] = &[
    "",
    "{ Ok(1) }",
    "work()",
    "|n| { Ok(1) }",
    "move |n| { Ok(1) }",
    "move async |n| { Ok(1) }",
    "async || { Ok(1) }",
    "async | | { Ok(1) }",
    "async { Ok(1) }",
    "async move",
    "async |n { Ok(1) }",
    "async |mut n| { Ok(1) }",
    "async |&n| { Ok(1) }",
    "async |Some(n)| { Ok(1) }",
    "async |n @ m| { Ok(1) }",
    "async |self| { Ok(1) }",
    "async |n, m| { Ok(1) }",
    "async |n: &Nursery<'_, E>, m: u32| { Ok(1) }",
    "async |n: 3| { Ok(1) }",
    "async |n|",
    "async |n|,",
    "async |n| -> Result<u32, E>",
    "async |n| -> Result<u32, E> Ok(1)",
    "async |n| -> { Ok(1) }",
    "async |n| { Ok(1) } and more",
    "async |n| { Ok(1) }.timeout(second)",
    "async |n| { Ok(1) }, { Ok(2) }",
    "async |n| Ok(1); Ok(2)",
    "<policy_fn(|exit| exit)> async |n| { Ok(1) }",
    "<FailFast, Supervise> async |n| { Ok(1) }",
    "<> async |n| { Ok(1) }",
    "<Supervise async |n| { Ok(1) }",
    "#[inline] async |#[cold] n| { Ok(1) }",
    "# async |n| { Ok(1) }",
    "#![cold] async |n| { Ok(1) }",
    "#[inline] <3> |mut n| { Ok(1) } and more",
];

#[test]
fn well_formed() {
    let mut all = String::new();
    for source in WELL_FORMED {
        let expansion = generate(tokens(source));
        assert_eq!(mistakes(&expansion), Vec::<String>::new(), "{source}");
        write!(all, "// {source}\n{}\n\n", format_expression(&expansion)).unwrap();
    }
    expect_file!["snapshots/well_formed.txt"].assert_eq(&all);
}

#[test]
fn mistaken() {
    let mut all = String::new();
    for source in MISTAKEN {
        let expansion = generate(tokens(source));
        let mistakes = mistakes(&expansion);
        assert!(!mistakes.is_empty(), "{source}");
        // An expression still, so that the compiler finds no second mistake.
        format_expression(&expansion);
        write!(all, "{source}\n    {}\n\n", mistakes.join("\n    ")).unwrap();
    }
    expect_file!["snapshots/mistaken.txt"].assert_eq(&all);
}

fn same(one: &str, other: &str) {
    assert_eq!(generate(tokens(one)).to_string(), generate(tokens(other)).to_string());
}

#[test]
fn an_expression_may_stand_for_the_block() {
    same("async |n| Ok(n.len())", "async |n| { Ok(n.len()) }");
    same("async |n| work::<A, B>(n)", "async |n| { work::<A, B>(n) }");
    same("async |n| match n { _ => Ok(1) }", "async |n| { match n { _ => Ok(1) } }");
}

#[test]
fn commas_may_trail() {
    same("async |n,| { Ok(1) },", "async |n| { Ok(1) }");
    same("async |n| Ok(1),", "async |n| Ok(1)");
}

#[test]
fn a_half_typed_body_is_handed_on() {
    for body in ["let x = n.; n.spawn(| fn)", "n.", "let"] {
        let expansion = generate(tokens(&format!("async |n| {{ {body} }}")));
        assert_eq!(mistakes(&expansion), Vec::<String>::new(), "{body}");
        assert!(expansion.to_string().contains(&tokens(body).to_string()), "{expansion}");
    }
    same("async |n| n.", "async |n| { n. }");
}
