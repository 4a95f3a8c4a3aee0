//! What a scope answers to an input, in words.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;

use sc_core::{Effects, Phase};

use super::inputs::{self, Given, Input};
use super::states::{self, Scoped, State, start};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Something has changed or has to be done.
    Taken,
    /// Asked for, and said no.
    Refused,
    /// Nothing changed.
    Ignored,
    /// The contract says that it cannot happen, and an assertion that it did.
    Forbidden,
    /// There is nothing that it could be about.
    NotHere,
}

/// What one input does in one state.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) state: &'static str,
    pub(crate) from: &'static str,
    pub(crate) input: &'static str,
    pub(crate) kind: Kind,
    /// The node of the diagram in which the scope is then.
    pub(crate) node: &'static str,
    /// How it would have ended, the next timer and warning.
    pub(crate) then: String,
    pub(crate) effects: Vec<String>,
}

/// Every input in every state.
pub(crate) fn answers() -> Vec<Answer> {
    states::ALL.iter().flat_map(|state| inputs::ALL.iter().map(|input| answer(state, input))).collect()
}

fn answer(state: &State, input: &Input) -> Answer {
    let (mut scope, now) = (state.reach)();
    let (from, before) = (node(&scope), format!("{scope:?}"));
    let given = catch_unwind(AssertUnwindSafe(|| (input.give)(&mut scope, now)));
    let (kind, effects) = match given {
        Err(_) => (Kind::Forbidden, Vec::new()),
        Ok(Given::NotHere) => (Kind::NotHere, Vec::new()),
        Ok(Given::Asked(false, effects)) => (Kind::Refused, effects.map(words).unwrap_or_default()),
        Ok(Given::Asked(true, effects)) => (Kind::Taken, effects.map(words).unwrap_or_default()),
        Ok(Given::Nothing) => (changed(&scope, &before), Vec::new()),
        Ok(Given::Effects(effects)) => {
            let effects = words(effects);
            (if effects.is_empty() { changed(&scope, &before) } else { Kind::Taken }, effects)
        }
    };
    Answer { state: state.name, from, input: input.name, kind, node: node(&scope), then: then(&scope), effects }
}

fn changed(scope: &Scoped, before: &str) -> Kind {
    if format!("{scope:?}") == before { Kind::Ignored } else { Kind::Taken }
}

/// The phase and, of a drain, what it waits for: a node of the diagram.
pub(crate) fn node(scope: &Scoped) -> &'static str {
    match scope.phase() {
        Phase::Open => "Open",
        Phase::Closing => "Closing",
        Phase::Draining if scope.is_drained() => "DrainingDaemons",
        Phase::Draining if scope.is_stopped() => "DrainingStopped",
        Phase::Draining => "DrainingInGrace",
        Phase::Finalizing => "Finalizing",
        Phase::Closed => "Closed",
    }
}

/// What is decided so far, and when something is due.
pub(crate) fn then(scope: &Scoped) -> String {
    let at = |at: Option<Instant>| at.map_or("never".to_owned(), |at| format!("{:?}", at - start()));
    let (timer, warning) = (at(scope.next_timer()), at(scope.next_warning()));
    format!("{}, timer {timer}, warning {warning}", scope.end().kind())
}

fn words(effects: Effects<&'static str>) -> Vec<String> {
    let Effects {
        refuse,
        signal,
        stop,
        signal_daemon,
        stop_daemon,
        judge,
        settled,
        adopt,
        run_finalizer,
        deadline_moved,
        rearm,
        slow,
        unkept,
        closed,
    } = effects;
    let mut words = Vec::new();
    let mut word = |there: bool, text: &str| {
        if there {
            words.push(text.to_owned());
        }
    };
    word(refuse, "refuse");
    if let Some(signal) = signal {
        let inherited = if signal.is_inherited() { ", inherited" } else { "" };
        word(true, &format!("signal({:?}{inherited})", signal.reason()));
    }
    word(stop, "stop");
    if let Some((id, signal)) = signal_daemon {
        word(true, &format!("signal_daemon({id}, {:?})", signal.reason()));
    }
    if let Some(id) = stop_daemon {
        word(true, &format!("stop_daemon({id})"));
    }
    word(judge, "judge");
    word(settled, "settled");
    word(adopt, "adopt");
    word(run_finalizer, "run_finalizer");
    word(deadline_moved, "deadline_moved");
    word(rearm, "rearm");
    if let Some(slow) = slow {
        word(true, &format!("slow({}, {:?})", if slow.draining { "draining" } else { "closing" }, slow.waited));
    }
    if !unkept.is_empty() {
        word(true, &format!("unkept({})", unkept.len()));
    }
    word(closed, "closed");
    words
}
