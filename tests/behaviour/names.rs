//! Names of any content: kept as they are, and shown on one line.

use std::future::pending;
use std::time::Duration;

use sc_tokio::{Cancelled, Name, Outcome, Scope, Supervise, nursery};

use crate::support::both_flavours;

const HOUR: Duration = Duration::from_secs(3600);

/// A name, and how messages show it (`None`: as if there were none).
fn names() -> Vec<(String, Option<String>)> {
    let shown = |text: &str| Some(text.to_owned());
    vec![
        ("page".into(), shown("page")),
        (String::new(), None),
        (" ".into(), shown(" ")),
        ("two\nlines\r\nand\ttabs".into(), shown(r"two\nlines\r\nand\ttabs")),
        ("tick ` and slash \\".into(), shown(r"tick \` and slash \\")),
        (
            "bell\u{7} esc\u{1b}[31m nul\0 del\u{7f} c1\u{9b}".into(),
            shown(r"bell\u{7} esc\u{1b}[31m nul\u{0} del\u{7f} c1\u{9b}"),
        ),
        ("line\u{2028}paragraph\u{2029}next\u{85}".into(), shown(r"line\u{2028}paragraph\u{2029}next\u{85}")),
        ("\u{202e}drawkcab\u{2066}".into(), shown(r"\u{202e}drawkcab\u{2066}")),
        ("käse 漢字 🦀 👩‍👩‍👧".into(), shown("käse 漢字 🦀 👩‍👩‍👧")),
        ("{} %s \"quoted\" {{".into(), shown("{} %s \"quoted\" {{")),
        ("é".repeat(100), Some("é".repeat(100))),
        ("é".repeat(101), Some("é".repeat(100) + "…")),
        ("\n".repeat(1 << 20), Some(r"\n".repeat(100) + "…")),
    ]
}

/// What every message about them is.
#[track_caller]
fn check_line(line: &str, shown: Option<&str>) {
    assert!(!line.chars().any(char::is_control), "{line:?}");
    assert!(line.len() < 2_000, "{} bytes", line.len());
    match shown {
        Some(shown) => assert!(line.contains(&format!("`{shown}`")), "{line} shows `{shown}`"),
        None => assert!(!line.contains("``"), "an empty name is none: {line}"),
    }
}

#[test]
fn a_scopes_name_is_given_back_as_it_was_and_shown_on_one_line() {
    both_flavours(|| async {
        for (name, shown) in names() {
            let outcome = nursery!(async |n| -> Result<(), Cancelled> {
                assert_eq!(n.name(), Some(name.as_str()));
                assert_eq!(sc_tokio::current().unwrap().name(), Some(name.as_str()));
                let tree = sc_tokio::tree();
                let here = tree.scopes.iter().find(|scope| scope.id == n.id()).unwrap();
                assert_eq!(here.name.as_deref(), Some(name.as_str()));
                let line = here.to_string();
                assert!(line.starts_with(shown.as_deref().unwrap_or(&format!("scope {}", n.id()))), "{line}");
                check_line(&line, None);
                let longest = tree.to_string().lines().map(str::len).max();
                assert!(longest < Some(2_000), "{longest:?}");
                n.cancel("with a\nline of its own");
                pending().await
            })
            .named(name.clone())
            .outcome()
            .await;
            let cancelled = outcome.cancelled().unwrap();
            assert_eq!(cancelled.origin().name(), Some(name.as_str()));
            for line in [cancelled.to_string(), cancelled.origin().to_string(), outcome.to_string()] {
                check_line(&line, shown.as_deref());
            }
            assert!(cancelled.to_string().ends_with(r": with a\nline of its own"), "{cancelled}");
            assert!(format!("{cancelled:?}").len() < 2_000, "Debug shows the origin as Display does");
        }
    });
}

#[test]
fn a_childs_name_is_given_back_as_it_was_and_shown_on_one_line() {
    both_flavours(|| async {
        for (name, shown) in names() {
            let given = name.clone();
            let outcome: Outcome<(), String> = nursery!(<Supervise> async |n| {
                n.task().name(given.clone()).spawn(async { Err::<(), _>(String::from("no\nway")) });
                n.task().name(given.clone()).spawn(async { panic!("at\nthe\ndisco") });
                Ok(())
            })
            .outcome()
            .await;
            let members = &outcome.report().failed_members;
            assert_eq!(members.len(), 2);
            for member in members {
                assert_eq!(member.name(), Some(name.as_str()));
                check_line(&member.to_string(), shown.as_deref());
            }
            check_line(&outcome.to_string(), shown.as_deref());
            if shown.is_none() {
                assert!(members.iter().any(|member| member.to_string().starts_with("child #0 (")), "{members:?}");
            }
        }
    });
}

#[tokio::test(start_paused = true)]
async fn stragglers_and_the_tree_show_them_so_too() {
    for (name, shown) in names() {
        let outcome: Outcome<(), Cancelled> = nursery!(async |n| {
            n.task().name(name.clone()).spawn_with(async |n: &Scope<Cancelled>| {
                n.cancelled().await;
                let tree = sc_tokio::tree();
                let waits = tree.scopes.iter().flat_map(|scope| &scope.waiting).count();
                assert_eq!(tree.to_string().lines().count(), tree.scopes.len() + waits + tree.detached.len());
                pending::<()>().await;
            });
            n.cancel("slowly");
            pending().await
        })
        .grace(Duration::from_secs(30))
        .outcome()
        .await;
        let [straggler] = &outcome.report().stragglers[..] else { panic!("one child is late: {outcome}") };
        assert_eq!(straggler.member.name(), Some(name.as_str()));
        check_line(&straggler.to_string(), shown.as_deref());
        check_line(&outcome.report().to_string(), shown.as_deref());
    }
}

#[tokio::test(start_paused = true)]
async fn names_come_from_text_of_any_ownership() {
    let borrowed: &'static str = "fixed";
    for name in [Name::from(borrowed), Name::from(String::from("fixed"))] {
        let result = nursery!(async |_n| -> Result<(), Cancelled> { pending().await }).named(name).timeout(HOUR).await;
        assert_eq!(result.unwrap_err().origin().name(), Some("fixed"));
    }
}
