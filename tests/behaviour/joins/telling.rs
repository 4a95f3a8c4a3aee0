//! What a join's result does not contain goes to the failure hook (P4).

use std::future::IntoFuture;
use std::panic::AssertUnwindSafe;
use std::sync::Mutex;
use std::time::Duration;

use futures::FutureExt;
use sc_tokio::join;
use tokio::runtime::{Handle, Runtime};
use tokio::task::yield_now;

use super::both_ways;

async fn fails(n: u8) -> anyhow::Result<u8> {
    yield_now().await;
    anyhow::bail!("{n}, for the hook")
}

/// One has failed, and nobody has looked at it; another fails later, in its grace.
async fn dropped_half_way(told: &Mutex<Vec<(Option<String>, String)>>, count: usize) {
    let group = [0, 1].map(|n| async move {
        if n == 1 {
            sc_tokio::cancelled().await;
        }
        fails(n).await
    });
    let tasks = || Handle::current().metrics().num_alive_tasks();
    let others = tasks();
    let all = join::settle(group).parallel().named("lossy").grace(Duration::from_secs(60));
    let mut all = Box::pin(all.into_future());
    assert!(all.as_mut().now_or_never().is_none());
    while tasks() > others + 1 {
        yield_now().await;
    }
    drop(all);
    while told.lock().unwrap().len() < count {
        yield_now().await;
    }
}

/// Called by the one test that uses the hook, with what its hook was told.
pub(crate) fn losses_go_to_the_hook(runtime: &Runtime, told: &Mutex<Vec<(Option<String>, String)>>) {
    let lost = |expected: &[&str]| {
        let mut told = told.lock().unwrap();
        let at = told.len() - expected.len();
        for ((_, text), expected) in told[at..].iter().zip(expected) {
            assert!(text.contains(expected) && text.contains("scope `lossy`"), "{expected} is not in {text}");
        }
        told.truncate(at);
    };
    let before = told.lock().unwrap().len();
    runtime.block_on(async {
        both_ways!(all = join::all([0, 1, 2].map(fails)).named("lossy") => {
            assert_eq!(all.await.unwrap_err().to_string(), "0, for the hook");
            lost(&["child #1 ", "child #2 "]);
        });
        let group = || {
            [1, 2, 3].map(|n| async move {
                match n {
                    3 => {
                        yield_now().await;
                        Ok(3)
                    }
                    2 => panic!("2, for the hook"),
                    _ => fails(n).await,
                }
            })
        };
        both_ways!(race = join::quorum(1, group()).named("lossy").limit(1) => {
            assert_eq!(race.await.unwrap(), [3]);
            lost(&["1, for the hook", "2, for the hook"]);
        });
        let group = || {
            [0, 1].map(|n| async move {
                if n == 0 {
                    sc_tokio::spawn(async { panic!("of a task") });
                    return Ok(0);
                }
                sc_tokio::cancelled().await;
                anyhow::bail!("in the grace, for the hook")
            })
        };
        both_ways!(all = join::all(group()).named("lossy").grace(Duration::from_secs(60)) => {
            let panic = AssertUnwindSafe(all.into_future()).catch_unwind().await.unwrap_err();
            assert_eq!(panic.downcast_ref::<String>().map(String::as_str), Some("of a task"));
            lost(&["in the grace, for the hook"]);
        });
        dropped_half_way(told, before + 2).await;
        lost(&["0, for the hook", "1, for the hook"]);
        let all = join::settle([0, 1].map(fails)).named("lossy").await;
        assert_eq!(all.len(), 2, "the result has them");
    });
    assert_eq!(told.lock().unwrap().len(), before, "nothing else was told");
}
