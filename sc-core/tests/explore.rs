//! Exhaustive exploration of the production `Scope` in small worlds, against the promises.
//!
//! A property test samples; this search leaves nothing out. Every order of everything that a world
//! lists is played against the value that runs in production, and every state is held against an
//! oracle written from the promises of `docs/DESIGN.md`. That the checker sees at all is shown by
//! bugs planted between the value and the model, each of which has to be found.
//!
//! What is not here, and why. Limits: `sc-core` decides nothing about them; a child that waits for a permit is no child yet,
//! and `sc-tokio` admits it when it runs. Graces of ordinary children: the binding times those itself. How a shield ends,
//! and `hasten` reaching scopes further down, are the binding's as well: the model does what `sc-tokio` does, so that the
//! inputs come in that order. Policies that change their minds: every order of verdicts is one of the runs.
//!
//! `SC_EXPLORE=deep` explores larger worlds, with `--release`: `.ci/run explore`.

mod explore {
    mod book;
    mod check;
    mod choices;
    mod claims;
    pub(crate) mod end_worlds;
    mod ends;
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
use explore::{end_worlds, worlds};
use sc_core::Watch;

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
fn an_owned_scope_is_shut_down_by_the_instant_that_its_owner_sets() {
    holds(&end_worlds::shut_down(), 8000);
}

#[test]
fn a_shutdown_finds_daemons_in_their_turns() {
    holds(&end_worlds::shut_down_late(), 2300);
}

#[test]
fn scopes_below_share_the_earlier_end_of_a_grace() {
    holds(&end_worlds::shut_down_nested(None), 54_000);
}

#[test]
fn scopes_below_with_a_grace_of_their_own_keep_it() {
    holds(&end_worlds::shut_down_nested(Some(1)), 90_000);
}

#[test]
fn graces_that_nobody_can_time_are_cut() {
    holds(&end_worlds::without_a_timer(), 13_000);
}

#[test]
fn a_childs_own_deadline_is_a_failure_with_that_reason() {
    holds(&end_worlds::timeouts(), 6000);
}

#[test]
fn a_childs_own_deadline_is_judged() {
    holds(&end_worlds::judged_timeouts(), 25_000);
}

#[test]
fn a_child_that_is_started_is_its_scopes_once_it_signalled() {
    holds(&end_worlds::starting(Watch::FailFast), 7800);
}

#[test]
fn a_child_that_is_started_is_judged_once_it_signalled() {
    holds(&end_worlds::starting(Watch::Failures), 20_000);
}

#[test]
fn a_shield_holds_cancellations_back_for_its_time() {
    holds(&end_worlds::shielded(None), 8000);
}

#[test]
fn what_comes_through_a_shield_begins_a_grace_of_its_own() {
    holds(&end_worlds::shielded(Some(1)), 10_000);
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

#[test]
fn a_shutdown_that_keeps_the_scopes_grace_is_found() {
    breaks(end_worlds::shut_down(), Fault::ShutDownKeepsTheGrace, "P9");
}

#[test]
fn a_shutdown_that_replaces_the_reason_is_found() {
    breaks(end_worlds::shut_down(), Fault::ShutDownReplacesTheReason, "P6");
}

#[test]
fn a_shutdown_that_cuts_a_daemons_own_grace_is_found() {
    breaks(end_worlds::shut_down_late(), Fault::ShutDownCutsDaemonsShort, "P9");
}

#[test]
fn an_earlier_end_that_is_not_handed_down_is_found() {
    breaks(end_worlds::shut_down_nested(None), Fault::HastenLost, "P9");
}

#[test]
fn an_earlier_end_that_comes_too_early_is_found() {
    breaks(end_worlds::shut_down_nested(None), Fault::HastenStopsAtOnce, "P9");
}

#[test]
fn an_earlier_end_that_overrides_a_grace_is_found() {
    breaks(end_worlds::shut_down_nested(Some(1)), Fault::HastenDespiteOwnGrace, "P9");
}

#[test]
fn a_grace_that_nobody_cuts_is_found() {
    breaks(end_worlds::without_a_timer(), Fault::CutGraceLost, "P9");
}

#[test]
fn a_daemon_whose_grace_nobody_cuts_is_found() {
    breaks(end_worlds::without_a_timer(), Fault::CutGraceSparesDaemons, "P9");
}

#[test]
fn a_started_child_that_stays_isolated_is_found() {
    breaks(end_worlds::starting(Watch::FailFast), Fault::StartedStaysIsolated, "P6");
}

#[test]
fn a_starting_child_that_is_not_isolated_is_found() {
    breaks(end_worlds::starting(Watch::FailFast), Fault::StartingIsLinked, "P6");
}

#[test]
fn an_owner_that_a_cancellation_does_not_end_is_found() {
    // Without assertions it goes on, and ends as what it is not.
    let promise = if cfg!(debug_assertions) { "assertion" } else { "P5" };
    breaks(end_worlds::shut_down(), Fault::OwnerStays, promise);
}

#[test]
fn a_childs_deadline_that_names_nobody_is_found() {
    breaks(end_worlds::timeouts(), Fault::TimeoutNamesNobody, "P8");
}

#[test]
fn a_childs_deadline_that_is_forgiven_is_found() {
    breaks(end_worlds::timeouts(), Fault::TimeoutIsForgiven, "P6");
}

#[test]
fn a_second_inherited_reason_that_wins_is_found() {
    breaks(worlds::nested_in_a_child(), Fault::SecondInheritWins, "P6");
}

#[test]
fn a_shield_that_lets_a_cancellation_through_is_found() {
    breaks(end_worlds::shielded(None), Fault::ShieldLetsThrough, "P6");
}

#[test]
fn a_shield_that_ends_with_a_grace_is_found() {
    breaks(end_worlds::shielded(None), Fault::ShieldLeavesAGrace, "P9");
}

#[test]
fn a_closed_scope_that_stops_somebody_is_found() {
    breaks(end_worlds::shut_down(), Fault::ClosedScopeStops, "P1");
}

#[test]
fn a_failure_that_comes_after_the_end_and_is_lost_is_found() {
    breaks(end_worlds::shut_down(), Fault::LateFailureIsLost, "P4");
}

#[test]
fn an_outcome_that_is_taken_twice_is_found() {
    breaks(end_worlds::starting(Watch::FailFast), Fault::OutcomeIsTakenTwice, "P5");
}
