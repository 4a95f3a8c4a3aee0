//! A panic at the n-th callback of the user's, for every n (P1, P4): nothing hangs, nothing is left
//! alive, the process goes on, and the panic is somebody's.

use std::any::Any;
use std::sync::Arc;
use std::time::Duration;

use sc_tokio::{Failure, Outcome, Scope, Supervise, Verdict, nursery, policy_fn};

use crate::fuse::{Fuse, Oops, caught, poll_for};
use crate::support::{listen, paused, told};

/// Whose panics go to nobody: a subscriber that panics is not the scope's failure, and what a
/// canceller said is displayed for subscribers alone.
const NOBODYS: &[&str] = &["subscriber", "why, displayed"];

/// A scope with every kind of callback.
async fn program(fuse: Fuse) -> Outcome<(), Oops> {
    let f = &fuse;
    let judge = (f.clone(), f.bomb("policy capture"));
    let policy = policy_fn(move |_| {
        judge.0.spark("policy");
        let _ = &judge.1;
        Verdict::Continue
    });
    nursery!(async |n| -> Result<(), Oops> {
        let _local = f.bomb("local of the body");
        let (code, capture) = (f.clone(), f.bomb("finalizer capture"));
        n.defer(async move |_| {
            code.steps("finalizer", 1).await;
            // Before the error is made: Rust leaks what is returned if a local's destructor panics.
            drop(capture);
            Err(code.oops())
        });
        outputs(f, n).await;
        failures(f, n).await;
        let left = f.bomb("captured by a borrowed child");
        let _ = n.spawn_borrowed(async move {
            f.steps("borrowed child", 2).await;
            drop(left);
            Ok(f.bomb("output of a borrowed child"))
        });
        let taken = n.spawn_borrowed(async { Ok(f.bomb("output that the body took")) });
        drop(taken.await);
        nested(f, n).await?;
        others(f, n).await;
        f.steps("body", 1).await;
        n.cancel(f.why());
        f.steps("body in its grace", 1).await;
        Ok(())
    })
    .policy(policy)
    .cancel_on(external(f.clone()))
    .grace(Duration::from_millis(5))
    .outcome()
    .await
}

async fn external(fuse: Fuse) {
    fuse.endless("external signal").await;
}

/// Children that succeed: their outputs are taken, left, or come when nobody asks any more.
async fn outputs(f: &Fuse, n: &Scope<Oops>) {
    let fuse = f.clone();
    let taken = n.spawn(async move {
        fuse.steps("child", 2).await;
        Ok(fuse.bomb("output that was taken"))
    });
    let fuse = f.clone();
    let _ = n.spawn(async move {
        fuse.steps("child", 3).await;
        Ok(fuse.bomb("output that nobody took"))
    });
    let fuse = f.clone();
    let unread = n.spawn(async move { Ok(fuse.bomb("output that was there when the handle went")) });
    let fuse = f.clone();
    let blocking = n.spawn_blocking(move |_| {
        fuse.spark("blocking child");
        Ok(fuse.bomb("output of a blocking child"))
    });
    f.take(blocking.join().await);
    f.take(taken.join().await);
    drop(unread);
}

/// Children that fail: joined, left, isolated.
async fn failures(f: &Fuse, n: &Scope<Oops>) {
    let failing = |yields| {
        let fuse = f.clone();
        async move {
            fuse.steps("failing child", yields).await;
            Err::<(), _>(fuse.oops())
        }
    };
    let joined = n.spawn(failing(1));
    let _ = n.spawn(failing(2));
    let isolated = n.task().isolated().spawn(failing(0));
    f.take(joined.join().await);
    f.take(isolated.join().await);
}

/// Scopes inside: one fails, one is cut by its deadline, one is dropped.
async fn nested(f: &Fuse, n: &Scope<Oops>) -> Result<(), Oops> {
    let fuse = f.clone();
    let _ = n.spawn(async move {
        let f = &fuse;
        nursery!(async move |n| -> Result<(), Oops> {
            let _local = f.bomb("local of a nested body");
            let fuse = f.clone();
            let bad = n.spawn(async move { Err::<(), _>(fuse.oops()) });
            let fuse = f.clone();
            let _ = n.spawn(async move { fuse.endless("cut child").await });
            bad.await;
            Ok(())
        })
        .map_cancelled(crate::fuse::convert(f))
        .await
    });
    let late = nursery!(async |n| -> Result<(), Oops> {
        let fuse = f.clone();
        let _ = n.task().daemon().spawn(async move {
            let _bomb = fuse.bomb("daemon");
            std::future::pending::<()>().await;
        });
        std::future::pending().await
    })
    .timeout(Duration::from_millis(1))
    .map_cancelled(crate::fuse::convert(f))
    .await;
    drop(late);
    let dropped = nursery!(<Supervise> async |n| -> Result<(), Oops> {
        let fuse = f.clone();
        n.defer(async move |_| fuse.steps("finalizer of a dropped scope", 1).await);
        let fuse = f.clone();
        let _ = n.spawn(async move { fuse.endless("child of a dropped scope").await });
        std::future::pending().await
    })
    .map_cancelled(crate::fuse::convert(f));
    tokio::select! {
        biased;
        result = dropped.into_future() => result,
        () = f.steps("winner", 2) => Ok(()),
    }
}

/// Stopped children, siblings, and who waits for the scope's cancellation.
async fn others(f: &Fuse, n: &Scope<Oops>) {
    let fuse = f.clone();
    let stopped = n.spawn(async move {
        let _bomb = fuse.bomb("stopped child");
        std::future::pending::<()>().await;
    });
    let fuse = f.clone();
    let _ = n.spawn_with(async move |n: &Scope<Oops>| {
        let sibling = fuse.clone();
        let _ = n.spawn(async move { sibling.steps("sibling", 1).await });
        n.cancelled().await;
        fuse.steps("child that tidies up", 1).await;
    });
    let (fuse, token) = (f.clone(), n.token());
    let _ = n.spawn(async move {
        token.cancelled().await;
        fuse.steps("child with a token", 1).await;
    });
    f.steps("body", 1).await;
    stopped.cancel().await;
}

/// Whether a payload or a failure is the injected panic.
fn is_injected(fuse: &Fuse, payload: &(dyn Any + Send)) -> bool {
    payload.downcast_ref::<String>().is_some_and(|text| text == fuse.text())
}

async fn run(n: usize, polls: usize) -> bool {
    run_of(program, n, polls).await
}

/// Runs a program with one panic, and drops it after so many polls. Gives whether the fuse fired.
pub(crate) async fn run_of<F>(program: impl FnOnce(Fuse) -> F, n: usize, polls: usize) -> bool
where
    F: Future<Output = Outcome<(), Oops>>,
{
    let fuse = Fuse::new(n);
    let ended = poll_for(polls, None, program(fuse.clone())).await;
    let mut delivered = fuse.joined();
    match ended {
        None => {}
        Some(Err(payload)) => delivered += usize::from(is_injected(&fuse, &*payload)),
        Some(Ok(outcome)) => {
            let panics = outcome.failures().iter().filter_map(Failure::as_panic);
            delivered += panics.filter(|panic| panic.message() == Some(fuse.text())).count();
            // Its errors are the test's now.
            delivered += usize::from(caught(|| drop(outcome)).is_err());
        }
    }
    for _ in 0..10_000 {
        let owned = fuse.fired().is_none_or(|place| NOBODYS.contains(&place));
        if fuse.live().count() == 0 && (owned || delivered + told(fuse.text()) > 0) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let place = fuse.fired();
    assert_eq!(fuse.live().count(), 0, "callback {n} ({place:?}), {polls} polls: something is left alive");
    delivered += told(fuse.text());
    if let Some(place) = place.filter(|place| !NOBODYS.contains(place)) {
        assert_eq!(delivered, 1, "callback {n} ({place}), {polls} polls: deliveries of the panic");
    }
    place.is_some()
}

/// P1, P4: the program runs as it is; then with a panic at its first callback, and so on.
#[test]
fn a_panic_at_any_callback_is_delivered_and_nothing_is_left() {
    listen();
    paused(|| async {
        let mut n = 0;
        while run(n, usize::MAX).await {
            n += 1;
        }
        assert!(n > 80, "the program has only {n} callbacks");
    });
}

/// P3, P4: the same when the scope is dropped half-way.
#[test]
fn a_panic_at_any_callback_of_a_dropped_scope_is_delivered_and_nothing_is_left() {
    listen();
    paused(|| async {
        for polls in 1..24 {
            let mut n = 0;
            while run(n, polls).await {
                n += 1;
            }
            assert!(n > 10, "the program has only {n} callbacks in {polls} polls");
        }
    });
}

/// The same with a subscriber that panics.
#[test]
fn a_subscriber_that_panics_disturbs_no_scope() {
    listen();
    let mut n = 0;
    loop {
        let (fired, has_fired) = std::sync::mpsc::channel();
        paused(move || async move {
            let fuse = Fuse::new(n);
            let _subscribed = tracing::subscriber::set_default(Subscriber(fuse.clone()));
            // The fuse is the subscriber's alone: the program gets one that does not fire.
            let quiet = Fuse::new(usize::MAX >> 1);
            let outcome = program(quiet.clone()).await;
            assert!(outcome.failures().iter().all(|failure| !failure.is_panic()));
            drop(outcome);
            while quiet.live().count() > 0 {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            fired.send(fuse.fired().is_some()).unwrap();
        });
        if !has_fired.recv().unwrap() {
            break;
        }
        n += 1;
    }
    assert!(n > 2, "only {n} events");
}

struct Subscriber(Fuse);

impl tracing::Subscriber for Subscriber {
    fn enabled(&self, _: &tracing::Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        tracing::span::Id::from_u64(1)
    }

    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}

    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}

    fn event(&self, event: &tracing::Event<'_>) {
        if event.metadata().target() == "sc_tokio" {
            self.0.spark("subscriber");
        }
    }

    fn enter(&self, _: &tracing::span::Id) {}

    fn exit(&self, _: &tracing::span::Id) {}
}

/// P4: a hook that panics disturbs neither the scope nor the failures that come after.
#[test]
fn a_hook_that_panics_is_called_again_for_the_next_failure() {
    listen();
    paused(|| async {
        let text = crate::support::unique("hook panics");
        let message = Arc::new(text.clone());
        let result: anyhow::Result<u8> = nursery!(<Supervise> async |n| {
            for _ in 0..3 {
                let message = Arc::clone(&message);
                let _ = n.spawn(async move { Err::<(), _>(anyhow::anyhow!("{message}")) });
            }
            Ok(1)
        })
        .await;
        assert_eq!(result.unwrap(), 1);
        assert_eq!(told(&text), 3);
    });
}
