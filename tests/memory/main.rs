//! P11, measured: memory stays flat. A process of its own, since it looks at the whole process.

#[path = "../behaviour/support.rs"]
#[allow(dead_code, reason = "shared with the behaviour tests, which use all of it")]
mod support;

use sc_tokio::{Cancelled, nursery};
use tokio::task::yield_now;

use crate::support::both_flavours;

/// The resident set of this process in kilobytes, where the system tells it.
fn resident() -> Option<usize> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:"))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

#[test]
fn a_finished_child_leaves_nothing_behind() {
    both_flavours(|| async {
        nursery!(async |n| -> Result<(), Cancelled> {
            let mut after_warm_up = None;
            for i in 0..300_000_u32 {
                // With a destructor, a handle dropped early, a suspension: every list is used.
                drop(n.spawn(async move {
                    yield_now().await;
                    Ok(vec![i; 4])
                }));
                if i % 100 == 0 {
                    while n.len() > 100 {
                        yield_now().await;
                    }
                }
                if i == 50_000 {
                    after_warm_up = resident();
                }
            }
            if let (Some(before), Some(after)) = (after_warm_up, resident()) {
                assert!(after < before + 20_000, "{before} kB after 50 000 children, {after} kB after 300 000");
            }
            Ok(())
        })
        .await
        .unwrap();
    });
}
