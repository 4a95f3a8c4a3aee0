//! A panic at the n-th callback of the user's in shields, resources, starts, owned scopes and values (P1, P4).

use std::time::Duration;

use sc_tokio::{
    Nursery, Outcome, OwnedScope, Ready, Scope, ScopeEnd, StartError, Supervise, nursery, scope_local, shield,
};

use crate::fuse::{Bomb, Fuse, Oops};
use crate::panics::run_of;
use crate::support::{listen, paused};

const SECOND: Duration = Duration::from_secs(1);

scope_local! { static VALUE: Bomb }

async fn program(fuse: Fuse) -> Outcome<(), Oops> {
    let f = &fuse;
    nursery!(<Supervise> async |n: &Nursery<'_, Oops>| {
        let _local = f.bomb("local of the body");
        resources(f, n).await;
        starts(f, n).await;
        shields(f, n).await;
        owned(f, n).await;
        let code = f.clone();
        let child = async move { code.steps("child with a value", 1).await };
        VALUE.sync_scope(f.bomb("value"), || n.spawn(child)).await;
        f.steps("body", 1).await;
        n.cancel(f.why_quiet());
        f.steps("body in its grace", 1).await;
        Ok(())
    })
    .grace(Duration::from_millis(5))
    .outcome()
    .await
}

/// Two, with a finalizer between, of which one is given up and one fails.
async fn resources(f: &Fuse, n: &Scope<Oops>) {
    let acquire = |fails: bool| {
        let (code, made) = (f.clone(), f.clone());
        let acquire = async move {
            code.steps("acquire", 1).await;
            if fails { Err(code.oops()) } else { Ok(code.bomb("resource")) }
        };
        n.resource(acquire, async move |resource, _: ScopeEnd| {
            made.steps("release", 1).await;
            drop(resource);
            Err(made.oops())
        })
    };
    let first = acquire(false).await;
    let code = f.clone();
    n.defer(async move |_| code.steps("finalizer", 1).await);
    let share = first.as_ref().ok().map(sc_tokio::Lease::share);
    let code = f.clone();
    let _ = n.spawn(async move {
        let _share = share;
        code.steps("child with a share", 1).await;
    });
    drop(acquire(true).await);
    tokio::select! {
        biased;
        given_up = acquire(false) => drop(given_up),
        () = f.steps("winner", 1) => {}
    }
}

/// One that gets ready, one that fails before, one that is given up.
async fn starts(f: &Fuse, n: &Scope<Oops>) {
    let service = |ready_after: usize, fails: bool| {
        let code = f.clone();
        async move |ready: Ready<Bomb>| {
            code.steps("service", ready_after).await;
            if fails {
                return Err(code.oops());
            }
            ready.signal(code.bomb("signalled"));
            code.steps("service that is ready", 1).await;
            Err::<(), _>(code.oops())
        }
    };
    for fails in [false, true] {
        if let Err(StartError::Panic(panic)) = n.start(service(1, fails)).await {
            f.joined_more(usize::from(panic.message() == Some(f.text())));
        }
    }
    let unread = n.start(service(0, false));
    let given_up = n.task().timeout(SECOND).start(service(3, false));
    f.steps("body", 2).await;
    drop((unread, given_up));
}

/// In the body and as a whole, with time-outs, stopped half-way.
async fn shields(f: &Fuse, n: &Nursery<'_, Oops>) {
    drop(shield(SECOND, f.steps("shield", 1)).await);
    let code = f.clone();
    let stopped = n.spawn(async move {
        let _local = code.bomb("local beside a shield");
        let _ = shield(SECOND, async {
            let inner = code.clone();
            drop(sc_tokio::spawn_shielded(SECOND, async move { inner.steps("in a shield", 1).await }));
            code.steps("shield", 2).await;
        })
        .await;
        code.endless("after the shield").await;
    });
    let code = f.clone();
    let _ = n.task().shielded(SECOND).spawn(async move { code.steps("shielded child", 2).await });
    let code = f.clone();
    let late =
        n.task().shielded(SECOND).timeout(Duration::from_millis(1)).spawn(async move { code.endless("late").await });
    f.steps("body", 1).await;
    stopped.cancel().await;
    f.take(late.join().await);
}

/// Dropped, shut down, attached.
async fn owned(f: &Fuse, n: &Scope<Oops>) {
    let open = || {
        let owned = OwnedScope::<Oops>::builder().policy(Supervise).under(n).open();
        let (code, last) = (f.clone(), f.clone());
        let _ = owned.spawn(async move { code.endless("child of an owned scope").await });
        owned.defer(async move |_| last.steps("finalizer of an owned scope", 1).await);
        owned
    };
    let (dropped, shut, attached) = (open(), open(), open().attach(f.bomb("attached")));
    f.steps("body", 1).await;
    drop(dropped);
    let outcome = shut.shutdown(Duration::from_millis(1)).await;
    let panics = outcome.failures().iter().filter_map(sc_tokio::Failure::as_panic);
    let ours = panics.filter(|panic| panic.message() == Some(f.text())).count();
    f.joined_more(ours);
    drop(outcome);
    drop(attached);
}

/// P1, P4.
#[test]
fn a_panic_at_any_callback_of_what_is_held_is_delivered_and_nothing_is_left() {
    listen();
    paused(|| async {
        for polls in (1..16).chain([usize::MAX]) {
            let mut n = 0;
            while run_of(program, n, polls).await {
                n += 1;
            }
            assert!(n > 3, "the program has only {n} callbacks in {polls} polls");
        }
    });
}
