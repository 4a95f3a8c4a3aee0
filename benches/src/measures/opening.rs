//! Opening and closing a scope that does nothing, against one bare spawn and await: who needs no scope needs no task
//! either, so the plain thing is a task. An empty `JoinSet` allocates nothing and never touches the scheduler. The other crates'
//! are what `subjects` says, with no child.

use std::hint::black_box;

use sc_bench::clock::Stopwatch;
use sc_bench::subjects::Subject;
use sc_bench::work;
use sc_tokio::{Cancelled, nursery};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::rounds::{Contest, Contestant, Flavour, Plan};

const TIMES: u32 = 2_000;

const OUTERMOST: &str = "outermost";
const INSIDE: &str = "inside another";
const BARE: &str = "one tokio::spawn, awaited";

pub(super) fn contests(_plan: Plan) -> Vec<Contest> {
    Flavour::BOTH.into_iter().map(contest).collect()
}

fn contest(flavour: Flavour) -> Contest {
    let inside = || async {
        let started = Stopwatch::start();
        let end = nursery!(async |_n| -> Result<(), Cancelled> {
            for _ in 0..TIMES {
                empty().await;
            }
            Ok(())
        });
        end.await.expect("nothing fails");
        started.elapsed()
    };
    Contest::new("empty nursery", flavour, TIMES)
        .ours(Contestant::repeated(OUTERMOST, TIMES, empty))
        .ours(Contestant::new(INSIDE, inside))
        .peer(Contestant::repeated(BARE, TIMES, || async {
            tokio::spawn(async {}).await.expect("nothing panics");
        }))
        .peer(Contestant::repeated("JoinSet, empty", TIMES, || async {
            let mut set = JoinSet::<()>::new();
            black_box(&mut set).shutdown().await;
        }))
        .peer(Contestant::repeated("TaskTracker, CancellationToken", TIMES, || async {
            let (tracker, token) = (TaskTracker::new(), CancellationToken::new());
            tracker.close();
            black_box(&tracker).wait().await;
            token.cancel();
        }))
        .peer(none(Subject::Moro))
        .peer(none(Subject::AsyncNursery))
        .peer(none(Subject::TaskGroup))
        .peer(none(Subject::Subsystems))
        .target(OUTERMOST, BARE, 1.0)
        .target(INSIDE, BARE, 1.0)
}

/// With no child.
fn none(subject: Subject) -> Contestant {
    Contestant::repeated(subject.name(), TIMES, move || subject.run(0, work::ready))
}

async fn empty() {
    nursery!(async |_n| -> Result<(), Cancelled> { Ok(()) }).await.expect("nothing fails");
}
