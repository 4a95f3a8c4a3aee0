//! What every input does in every state of a scope's life, as a table that is reviewed when it changes.
//!
//! The exhaustive search shows that the promises hold; this shows *how* a scope behaves, to somebody who reads. The
//! production value is driven into each state and given each input; the answers are held against
//! `snapshots/lifecycle.txt`, and the generated parts of `docs/LIFECYCLE.md` are made of the same answers.
//! `UPDATE_EXPECT=1 cargo test -p sc-core --test lifecycle` writes both anew.
//!
//! Contracts are debug assertions, so that without them there is another table.
#![cfg(debug_assertions)]

mod lifecycle {
    pub(crate) mod answer;
    pub(crate) mod inputs;
    pub(crate) mod show;
    pub(crate) mod states;
}

use expect_test::expect_file;
use lifecycle::answer::{Answer, Kind, answers};
use lifecycle::{inputs, show, states};
use sc_core::Phase;

#[test]
fn every_input_in_every_state_does_what_the_table_says() {
    let table = show::table(&answers());
    same_lines(include_str!("snapshots/lifecycle.txt"), &table);
    expect_file!["snapshots/lifecycle.txt"].assert_eq(&table);
}

/// The short way out is the long one in one step: it ends nothing otherwise, and takes no other scope.
#[test]
fn ended_alone_is_body_ended_and_drained_at_once() {
    let mut taken = 0;
    for state in states::ALL {
        let ((mut short, now), (mut long, _)) = ((state.reach)(), (state.reach)());
        let Some(effects) = short.ended_alone(|| now) else { continue };
        taken += 1;
        assert!(effects.closed && effects.refuse && effects.signal.is_none(), "{}: {effects:?}", state.name);
        let first = long.body_ended(sc_core::BodyEnd::Value, None, now);
        let second = long.drained(now);
        assert!(second.closed && (first.refuse || second.refuse), "{}: the long way does not close", state.name);
        assert_eq!(short.phase(), long.phase(), "{}", state.name);
        let outcomes = [short.finish(Some(1), 3), long.finish(Some(1), 3)].map(|outcome| format!("{outcome:?}"));
        assert_eq!(outcomes[0], outcomes[1], "{}", state.name);
    }
    assert!(taken > 0, "no state is one that it takes");
}

#[test]
fn the_document_is_made_of_the_same_answers() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/LIFECYCLE.md");
    let before = std::fs::read_to_string(path).expect("docs/LIFECYCLE.md is part of the repository");
    let answers = answers();
    let document = show::replace(&before, "diagram", &show::diagram(&answers));
    let document = show::replace(&document, "matrix", &show::matrix(&answers));
    same_lines(&before, &document);
    expect_file!["../../docs/LIFECYCLE.md"].assert_eq(&document);
}

/// Says which lines differ. A comparison by characters of a table that differs everywhere takes minutes.
fn same_lines(written: &str, answered: &str) {
    if std::env::var_os("UPDATE_EXPECT").is_some() || written == answered {
        return;
    }
    let (written, answered): (Vec<_>, Vec<_>) = (written.lines().collect(), answered.lines().collect());
    for (n, (was, is)) in written.iter().zip(&answered).enumerate().filter(|(_, (was, is))| was != is).take(20) {
        println!("line {}:\n- {was}\n+ {is}", n + 1);
    }
    panic!("{} lines are written, {} answered: UPDATE_EXPECT=1 writes them anew", written.len(), answered.len());
}

#[test]
fn every_phase_is_among_the_states_and_every_input_is_answered_somewhere() {
    for phase in [Phase::Open, Phase::Closing, Phase::Draining, Phase::Finalizing, Phase::Closed] {
        assert!(states::ALL.iter().any(|state| (state.reach)().0.phase() == phase), "no state is {phase:?}");
    }
    let answers = answers();
    for input in inputs::ALL {
        let said = |answer: &Answer| matches!(answer.kind, Kind::Taken | Kind::Refused);
        let answered = answers.iter().any(|answer| answer.input == input.name && said(answer));
        let answered = answered || input.name == "tick, nothing due";
        assert!(answered, "`{}` does nothing anywhere: the table shows nothing of it", input.name);
    }
}

#[test]
fn after_closed_no_input_is_taken_but_failures_that_come_late() {
    for answer in answers().iter().filter(|answer| answer.state == "Closed") {
        let late = answer.effects.iter().all(|effect| effect.starts_with("unkept("));
        assert!(answer.node == "Closed" && late, "{answer:?}");
    }
}
