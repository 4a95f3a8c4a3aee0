//! Finalizers: shielded, bounded in time, told how the scope ended (P10).
//!
//! Each one runs as the body of a scope of its own that inherits neither cancellation nor deadline.
//! So what a finalizer spawns is waited for, what hangs is cancelled after `finalizer_timeout`, and a nursery
//! inside it works as anywhere else.

use std::fmt::Debug;
use std::panic::Location;
use std::sync::Arc;
use std::time::Duration;

use sc_core::{FailureRecord, Member, ScopeEnd};

use crate::ambient;
use crate::books::RunningFinalizer;
use crate::child::FinalizerOutput;
use crate::drive;
use crate::events::{self, Notice};
use crate::fault;
use crate::node::Node;
use crate::nursery::Nursery;
use crate::open::{Options, Setup};
use crate::values::{self, Values, Within};
use crate::wake::drop_quietly;

/// Puts a finalizer on the scope's list.
pub(crate) fn register<F, Fut, E>(node: &Arc<Node>, finalizer: F, place: &'static Location<'static>)
where
    F: FnOnce(ScopeEnd) -> Fut + Send + 'static,
    Fut: Future + Send + 'static,
    Fut::Output: FinalizerOutput<E>,
    E: Debug + Send + 'static,
{
    let values = values::inherited();
    let late = {
        let mut books = node.books();
        let timeout = books.finalizer_timeout;
        let boxed = Box::new(move |end: ScopeEnd| run::<F, Fut, E>(finalizer, end, timeout, place, values));
        if books.scope.admit_finalizer() {
            books.finalizers.push(boxed);
            None
        } else {
            Some((boxed, books.scope.end()))
        }
    };
    if let Some((finalizer, end)) = late {
        run_late(node, finalizer, end, place);
    }
}

/// The scope has closed, or its finalizers have begun: its owner is a value that outlived it. The finalizer runs all the
/// same (P10), now, as a task of the root's.
fn run_late(
    node: &Arc<Node>,
    finalizer: impl FnOnce(ScopeEnd) -> RunningFinalizer + Send + 'static,
    end: ScopeEnd,
    place: &'static Location<'static>,
) {
    let origin = node.origin().clone();
    let late = async move {
        if let Some(failure) = finalizer(end).await {
            crate::hook::unhandled(&origin, FailureRecord { member: Member::finalizer().at(place), failure });
        }
    };
    if let Err(unrun) = ambient::run_late(node.runtime(), late, place) {
        events::say(&Notice::Unrun { origin: node.origin().clone(), finalizers: 1 });
        if let Some(panic) = drop_quietly(unrun) {
            node.own_failure(Member::finalizer(), panic);
        }
    }
}

fn run<F, Fut, E>(
    finalizer: F,
    end: ScopeEnd,
    timeout: Duration,
    place: &'static Location<'static>,
    values: Option<Values>,
) -> RunningFinalizer
where
    F: FnOnce(ScopeEnd) -> Fut + Send + 'static,
    Fut: Future + Send + 'static,
    Fut::Output: FinalizerOutput<E>,
    E: Debug + Send + 'static,
{
    let options = Options { timeout: Some(timeout), shielded: true, ..Options::default() };
    let setup = Setup { options: Some(Box::new(options)), ..Setup::at(place) };
    let scope = async move {
        let nursery = Nursery::<E>::open();
        drive::drive(&nursery, async move { finalizer(end).await.into_result() }).await
    };
    let running = async move { drive::Opening::new(setup, scope).await.into_result().err().map(fault::erase) };
    match values {
        Some(values) => Box::pin(Within::new(values, running)),
        None => Box::pin(running),
    }
}
