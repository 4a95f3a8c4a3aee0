//! From the beginning of a shutdown to the end of the program: what is waited for, and how long.

use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use sc_core::{CancelRequest, Reason};

use super::settle::settle;
use super::unfinished::{self, Unfinished, alive};
use crate::carrier::optional_timer;
use crate::node::Node;
use crate::rt::{Instant, Sleep, id_of, sleep_until, unconstrained};
use crate::waiting::Waiting;

/// How long each phase may take.
#[derive(Debug, Clone)]
pub(super) struct Times {
    pub(super) pre_drain: Duration,
    pub(super) drain: Duration,
    pub(super) abandon_after: Duration,
    /// Somebody asked for one of them: a runtime without a timer is an error.
    pub(super) requested: bool,
}

impl Times {
    /// Together less than the 30 s that Kubernetes gives a pod.
    pub(super) const DEFAULT: Self = Self {
        pre_drain: Duration::ZERO,
        drain: Duration::from_secs(20),
        abandon_after: Duration::from_secs(5),
        requested: false,
    };

    /// How long a runtime may take for its end; an instant that far away has to exist.
    pub(super) fn for_the_runtime(&self) -> Duration {
        const YEAR: Duration = Duration::from_secs(365 * 24 * 60 * 60);
        self.abandon_after.min(YEAR)
    }

    fn timer(&self, node: &Node, time: Duration) -> Option<Pin<Box<Sleep>>> {
        let at = Instant::now().checked_add(time)?;
        if self.requested { Some(Box::pin(sleep_until(at))) } else { optional_timer(id_of(node.runtime()), at) }
    }
}

/// How a root's future ended.
pub(super) struct Attended<O> {
    /// `None`: it was abandoned.
    pub(super) outcome: Option<O>,
    pub(super) unfinished: Vec<Unfinished>,
    pub(super) abandoned: Vec<Unfinished>,
    pub(super) time_left: Duration,
}

/// What is written down on the way.
#[derive(Default)]
struct Log {
    unfinished: Mutex<Vec<Unfinished>>,
    cancelled_at: OnceLock<Instant>,
}

/// Polls a root's scope to its end, and the phases of its shutdown beside it.
pub(super) async fn attend<S: Future>(
    mut scope: Pin<Box<S>>,
    node: &OnceLock<Arc<Node>>,
    times: &Times,
    signals: bool,
) -> Attended<S::Output> {
    if times.requested {
        // Now, rather than when the program is to end.
        drop(sleep_until(Instant::now()));
    }
    let log = Log::default();
    let mut listening = pin!(listen(signals, node));
    let mut phases = None;
    let ended = std::future::poll_fn(|cx| {
        // Before the main future can do anything, so that no signal is lost.
        let _ = listening.as_mut().poll(cx);
        if let Poll::Ready(outcome) = scope.as_mut().poll(cx) {
            return Poll::Ready(Ok(outcome));
        }
        let Some(node) = node.get() else { return Poll::Pending };
        let phases = phases.get_or_insert_with(|| Box::pin(run(node, times, &log)));
        // A main future that is always busy leaves no budget for others.
        pin!(unconstrained(phases.as_mut())).poll(cx).map(Err)
    });
    let ended = ended.await;
    drop(phases);
    // With it goes what it waits for; the runtime drops the rest.
    drop(scope);
    let (outcome, abandoned) = match ended {
        Ok(outcome) => (Some(outcome), Vec::new()),
        Err(abandoned) => (None, abandoned),
    };
    let since = log.cancelled_at.get().map(|at| Instant::now().saturating_duration_since(*at));
    let time_left = if abandoned.is_empty() { times.for_the_runtime() } else { Duration::ZERO };
    Attended {
        outcome,
        unfinished: log.unfinished.into_inner().unwrap_or_else(PoisonError::into_inner),
        abandoned,
        time_left: time_left.saturating_sub(since.unwrap_or_default()),
    }
}

/// Resolves to those who are abandoned.
async fn run(node: &Arc<Node>, times: &Times, log: &Log) -> Vec<Unfinished> {
    Phase::new(node, None, Node::is_shutting_down).await;
    if !node.is_cancelled() {
        shut_down(node, times, log).await;
    }
    let _ = log.cancelled_at.set(Instant::now());
    if node.why(Reason::Shutdown).is_inherited() {
        // The scope around this root says how long there is, and who is late.
        return std::future::pending().await;
    }
    // Who is in a hurry waits for nobody who is slow, but what was told to stop has a chance to.
    settle(false, || node.living_children() == 0).await;
    // The second signal may have ended the drain; the third may have come with it.
    let hurried = node.hurried().min(1);
    Phase::new(node, times.timer(node, times.abandon_after), |_| false).unless_hurried(hurried).in_the_end().await;
    let abandoned = alive(node);
    if node.hurried() > hurried {
        unfinished::tell(format_args!("cancelled, and not waited for any longer"), &abandoned);
    } else {
        unfinished::tell(format_args!("cancelled, not ended in {:?}, and abandoned", times.abandon_after), &abandoned);
    }
    abandoned
}

/// Until the root is cancelled.
async fn shut_down(node: &Arc<Node>, times: &Times, log: &Log) {
    if !times.pre_drain.is_zero() {
        Phase::new(node, times.timer(node, times.pre_drain), |_| false).unless_hurried(0).await;
    }
    if node.is_cancelled() {
        return;
    }
    node.begin_drain();
    Phase::new(node, times.timer(node, times.drain), |_| false).unless_hurried(0).await;
    if node.is_cancelled() {
        return;
    }
    let left = alive(node);
    if node.hurried() > 0 {
        unfinished::tell(format_args!("not finished when the drain was cut short, and cancelled"), &left);
    } else {
        unfinished::tell(format_args!("not finished in the drain time of {:?}, and cancelled", times.drain), &left);
    }
    *log.unfinished.lock().unwrap_or_else(PoisonError::into_inner) = left;
    node.cancel(CancelRequest::because(Reason::Shutdown));
}

/// Waits for one thing or the other.
struct Phase<'n> {
    node: &'n Arc<Node>,
    timer: Option<Pin<Box<Sleep>>>,
    is_over: fn(&Node) -> bool,
    /// How often somebody may have been in a hurry.
    hurries: u32,
    /// The root is cancelled, which else ends every phase.
    in_the_end: bool,
    waiting: Waiting,
}

impl<'n> Phase<'n> {
    fn new(node: &'n Arc<Node>, timer: Option<Pin<Box<Sleep>>>, is_over: fn(&Node) -> bool) -> Self {
        Self { node, timer, is_over, hurries: u32::MAX, in_the_end: false, waiting: Waiting::default() }
    }

    /// Ends with the next hurry after so many.
    fn unless_hurried(mut self, hurries: u32) -> Self {
        self.hurries = hurries;
        self
    }

    fn in_the_end(mut self) -> Self {
        self.in_the_end = true;
        self
    }

    fn is_over(&self) -> bool {
        let cancelled = !self.in_the_end && self.node.is_cancelled();
        cancelled || (self.is_over)(self.node) || self.node.hurried() > self.hurries
    }
}

impl Future for Phase<'_> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.get_mut();
        if !this.is_over() {
            this.waiting.wait(this.node, cx);
        }
        // It may have come to that before we were on the list.
        if this.is_over() || this.timer.as_mut().is_some_and(|timer| timer.as_mut().poll(cx).is_ready()) {
            return Poll::Ready(());
        }
        Poll::Pending
    }
}

impl Drop for Phase<'_> {
    fn drop(&mut self) {
        self.waiting.leave(self.node);
    }
}

/// Hands the process's signals to the root; never resolves.
#[cfg(all(feature = "signal", not(sc_shuttle)))]
async fn listen(wanted: bool, node: &OnceLock<Arc<Node>>) {
    if !wanted {
        return std::future::pending().await;
    }
    let mut signals = super::signals::Signals::listen();
    loop {
        signals.recv().await;
        match node.get() {
            Some(node) if node.is_shutting_down() => node.hurry_shutdown(),
            Some(node) => node.begin_shutdown(),
            None => {}
        }
    }
}

#[cfg(not(all(feature = "signal", not(sc_shuttle))))]
async fn listen(_: bool, _: &OnceLock<Arc<Node>>) {
    std::future::pending::<()>().await;
}
