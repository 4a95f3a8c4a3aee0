//! The explorer itself: it has to find mistakes that were put in on purpose, and to decide everything.

use sc_tokio::explored::counted::{Planted, plant};

use crate::dropping::handle_drop_against_exit;
use crate::spawning::{daemon_spawns_at_the_end, two_exit_and_one_spawns};
use crate::stopping::three_cancellations;
use crate::support::{Seen, find_failure, replay_each};

/// Explores with the mistake planted, on this test's own thread.
fn find(mistake: Planted, model: fn(&Seen)) -> Option<String> {
    plant(Some(mistake));
    let found = find_failure(model);
    plant(None);
    if let Some(found) = &found {
        println!("found, as planted: {mistake:?}: {}", found.lines().next().unwrap_or_default());
    }
    found
}

#[test]
fn an_upgrade_in_two_steps_is_found() {
    let found = find(Planted::UpgradeInTwoSteps, daemon_spawns_at_the_end);
    assert!(found.is_some(), "a scope that was drained got another child, and nobody noticed");
}

#[test]
fn a_release_in_two_steps_is_found() {
    let found = find(Planted::ReleaseInTwoSteps, two_exit_and_one_spawns);
    let found = found.expect("two children that exit at once count as one, and nobody noticed");
    assert!(found.contains("deadlock"), "the scope waits for ever: {found}");
}

#[test]
fn a_schedule_can_be_replayed() {
    for model in [daemon_spawns_at_the_end, handle_drop_against_exit, three_cancellations] {
        replay_each(model);
    }
}
