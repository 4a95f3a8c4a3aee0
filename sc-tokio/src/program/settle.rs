//! What is about to end when the main future has, is not left behind.

use std::panic::Location;
use std::sync::Arc;
use std::time::Duration;

use crate::ambient;
use crate::node::Node;
use crate::rt;

/// Gives what is about to end, since whatever it waited for has happened, a chance to. The `patient` wait longer for it.
pub(super) async fn settle(patient: bool, is_settled: impl Fn() -> bool) {
    for _ in 0..32 {
        if is_settled() {
            return;
        }
        ambient::yield_now().await;
    }
    // On another thread it may need a moment of real time, which a thread can wait for without the
    // runtime's timer.
    for _ in 0..if patient { 20 } else { 0 } {
        if is_settled() {
            return;
        }
        let _ = rt::spawn_blocking(|| std::thread::sleep(Duration::from_millis(1))).await;
    }
}

/// Where the tasks that outlive the main function were spawned.
pub(super) async fn left_behind(node: &Arc<Node>, patient: bool) -> Vec<&'static Location<'static>> {
    settle(patient, || node.living_children() == 0 && node.places().is_empty()).await;
    node.places()
}
