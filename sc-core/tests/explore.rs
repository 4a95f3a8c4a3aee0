//! Exhaustive exploration of the production `Scope` in small worlds, against the promises.
//!
//! A property test samples; this search leaves nothing out. Every order of everything that a world
//! lists is played against the value that runs in production, and every state is held against an
//! oracle written from the promises of `docs/DESIGN.md`. That the checker sees at all is shown by
//! bugs planted between the value and the model, each of which has to be found.
//!
//! `SC_EXPLORE=deep` explores larger worlds; that takes minutes, with `--release`.

mod explore {
    mod book;
    mod check;
    mod choices;
    mod claims;
    pub(crate) mod machine;
    mod perform;
    pub(crate) mod search;
    pub(crate) mod setup;
    mod words;
    mod world;
    pub(crate) mod worlds;
}

use explore::machine::Fault;
use explore::search::explore;
use explore::setup::Setup;
use explore::worlds;

/// Explores a world in which no promise may be broken, and of which at least `floor` states exist.
fn holds(setup: &Setup, floor: usize) {
    let explored = explore(setup).unwrap_or_else(|found| panic!("in the world `{}`:\n{found}", setup.name));
    println!(
        "{}: {} states, {} transitions, {} ends, at most {} steps",
        setup.name, explored.states, explored.transitions, explored.ends, explored.depth
    );
    assert!(explored.states >= floor, "only {} states: the world is not what it was", explored.states);
    assert!(explored.ends > 0, "no run ends");
}

/// Explores a world with a planted bug, which has to break that promise.
fn breaks(setup: Setup, fault: Fault, promise: &str) {
    let setup = setup.with_fault(fault);
    let found = explore(&setup).expect_err("a planted bug was not found");
    println!("{fault:?} in `{}`, {} steps: {found}", setup.name, found.trace.len());
    assert_eq!(found.violation.promise, promise, "{fault:?} was found as something else:\n{found}");
}

#[test]
fn failures_of_children_and_body_have_one_owner_and_the_first_is_primary() {
    holds(&worlds::failures(), 6000);
}

#[test]
fn four_children_are_accepted_or_refused_and_all_are_joined() {
    holds(&worlds::four_children(), 8000);
}

#[test]
fn children_that_await_dead_ones_end_their_scope_without_hanging() {
    holds(&worlds::dead_children(), 7000);
}

#[test]
fn supervised_failures_go_to_their_handles_or_to_the_outcome() {
    holds(&worlds::supervised(), 10_000);
}

#[test]
fn isolated_failures_go_to_their_handles_under_fail_fast() {
    holds(&worlds::fail_fast_claims(), 5000);
}

#[test]
fn judged_failures_are_primary_or_claimed_or_kept() {
    holds(&worlds::judged_failures(), 17_000);
}

#[test]
fn judged_exits_include_successes_and_hold_the_scope_open() {
    holds(&worlds::judged_exits(), 23_000);
}

#[test]
fn teardown_goes_from_children_over_daemons_to_finalizers() {
    holds(&worlds::teardown(), 25_000);
}

#[test]
fn a_daemon_has_a_grace_of_its_own_at_every_end() {
    holds(&worlds::graces_of_daemons(), 2000);
}

#[test]
fn late_daemons_are_stopped_newest_first_or_refused() {
    holds(&worlds::late_daemons(), 48_000);
}

#[test]
fn a_deadline_that_moves_expires_once_and_its_grace_is_kept() {
    holds(&worlds::deadline(), 58_000);
}

#[test]
fn a_scope_nested_in_the_body_holds_the_outer_one_whatever_becomes_of_its_future() {
    holds(&worlds::nested_in_the_body(), 16_000);
}

#[test]
fn a_scope_nested_in_a_child_inherits_and_is_adopted() {
    holds(&worlds::nested_in_a_child(), 34_000);
}

#[test]
fn of_nested_deadlines_the_outermost_of_the_earliest_expires() {
    holds(&worlds::nested_deadlines(), 50_000);
}

#[test]
fn a_reason_passes_unchanged_through_three_levels() {
    holds(&worlds::three_levels(), 39_000);
}

#[test]
fn failures_beyond_the_bound_go_to_the_hook_and_the_primary_one_does_not() {
    holds(&worlds::full_list(), 550);
}

#[test]
fn the_end_of_the_runtime_closes_a_drained_scope_and_reports_finalizers_unrun() {
    holds(&worlds::runtime_end(), 17_000);
}

#[test]
fn a_second_reason_that_overwrites_the_first_is_found() {
    breaks(worlds::four_children(), Fault::SecondReasonWins, "P6");
}

#[test]
fn a_reason_that_is_not_inherited_is_found() {
    breaks(worlds::nested_in_the_body(), Fault::ReasonNotInherited, "P6");
}

#[test]
fn a_lost_adoption_is_found() {
    breaks(worlds::nested_in_the_body(), Fault::AdoptLost, "P3");
}

#[test]
fn a_count_that_is_released_with_a_dropped_future_is_found() {
    breaks(worlds::nested_in_the_body(), Fault::CountReleasedWithTheFuture, "P3");
}

#[test]
fn a_cancelled_scope_that_accepts_children_is_found() {
    breaks(worlds::four_children(), Fault::RefuseNotPerformed, "P7");
}

#[test]
fn a_stop_before_the_grace_is_over_is_found() {
    breaks(worlds::nested_in_a_child(), Fault::StopBeforeGraceEnd, "P9");
}

#[test]
fn a_stop_that_never_comes_is_found() {
    breaks(worlds::nested_in_a_child(), Fault::StopLost, "P9");
}

#[test]
fn a_timer_that_nobody_arms_is_found() {
    breaks(worlds::teardown(), Fault::TimerNotArmed, "P9");
}

#[test]
fn daemons_stopped_oldest_first_are_found() {
    breaks(worlds::teardown(), Fault::DaemonsOldestFirst, "P10");
}

#[test]
fn a_daemon_whose_own_grace_is_ignored_is_found() {
    breaks(worlds::graces_of_daemons(), Fault::DaemonGraceIgnored, "P9");
}

#[test]
fn finalizers_that_run_before_daemons_ended_are_found() {
    breaks(worlds::teardown(), Fault::FinalizersBeforeDaemons, "P10");
}

#[test]
fn finalizers_that_run_in_the_order_of_registration_are_found() {
    breaks(worlds::teardown(), Fault::FinalizersFirstInFirstOut, "P10");
}

#[test]
fn a_scope_that_closes_with_daemons_alive_is_found() {
    breaks(worlds::teardown(), Fault::ClosedWithDaemonsAlive, "P1");
}

#[test]
fn a_secondary_failure_that_is_promoted_is_found() {
    breaks(worlds::failures(), Fault::SecondaryPromoted, "P5");
}

#[test]
fn a_secondary_failure_that_is_lost_is_found() {
    breaks(worlds::failures(), Fault::SecondaryLost, "P4");
}

#[test]
fn a_failure_that_is_delivered_twice_is_found() {
    breaks(worlds::supervised(), Fault::ClaimedFailureKept, "P4");
}

#[test]
fn a_child_stopped_from_inside_that_spoils_an_ok_is_found() {
    breaks(worlds::dead_children(), Fault::StoppedFromInsideCountsAsCut, "P5");
}

#[test]
fn a_body_value_that_is_thrown_away_is_found() {
    breaks(worlds::failures(), Fault::ValueThrownAway, "P5");
}

#[test]
fn an_outer_deadline_that_is_not_handed_down_is_found() {
    breaks(worlds::nested_deadlines(), Fault::OuterDeadlineNotInherited, "P8");
}
