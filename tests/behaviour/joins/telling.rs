//! What a join's result does not contain goes to the failure hook (P4).

use std::sync::Mutex;

use sc_tokio::join;
use tokio::runtime::Runtime;
use tokio::task::yield_now;

use super::both_ways;

async fn fails(n: u8) -> anyhow::Result<u8> {
    yield_now().await;
    anyhow::bail!("{n}, for the hook")
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
        let all = join::settle([0, 1].map(fails)).named("lossy").await;
        assert_eq!(all.len(), 2, "the result has them");
    });
    assert_eq!(told.lock().unwrap().len(), before, "nothing else was told");
}
