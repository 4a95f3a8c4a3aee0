//! The interpreter: a program on the real thing, in virtual time.

mod children;
mod groups;
mod scopes;
mod steps;

use std::collections::BTreeMap;
use std::future::IntoFuture;
use std::panic::{AssertUnwindSafe, resume_unwind};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::FutureExt;
use sc_tokio::{
    Cancelled, Child, Failure, Leaked, Lease, Limit, Nursery, Outcome, RaceError, Ready, Scope, ScopeEnd, Start,
    StartError, Supervise, TaskBuilder, nursery,
};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

use self::children::*;
use self::groups::*;
use self::scopes::*;
use self::steps::*;
use crate::log::{At, Decided, Entry, How, Log, Raised, Seen, Summary};
use crate::program::{self, Act, Code, End, Finalizer, Kind, Program, Span, Step, Task};

/// The error of every scope.
#[derive(Debug)]
pub(crate) enum Fault {
    By(usize),
    Cancelled(Cancelled),
}

impl From<Cancelled> for Fault {
    fn from(cancelled: Cancelled) -> Self {
        Self::Cancelled(cancelled)
    }
}

impl Fault {
    fn raised(&self) -> Raised {
        match self {
            Self::By(id) => Raised::By(*id),
            Self::Cancelled(cancelled) => Raised::Cancelled(format!("{:?}", cancelled.reason())),
        }
    }
}

/// What a run leaves behind.
#[derive(Default)]
pub(crate) struct Ran {
    pub(crate) log: Log,
    /// Promises broken on the way, whatever the model says.
    pub(crate) broken: Vec<String>,
    /// How often each error or panic was raised, and how often somebody was given it (P4).
    pub(crate) raised: BTreeMap<usize, usize>,
    pub(crate) delivered: BTreeMap<usize, usize>,
    /// Values that live: captures and outputs of a frame, by its number.
    pub(crate) alive: BTreeMap<usize, usize>,
    /// The numbers of joins that were dropped, first and last: what failed in them has been given to them, or would have been.
    pub(crate) joins_dropped: Vec<(usize, usize)>,
    /// Shares of resources that left their scopes.
    leaked: Vec<Arc<Token>>,
    /// What lived when a scope had resolved that it was inside of: the scope, and whose captures or output.
    pub(crate) outlived: Vec<(usize, usize)>,
}

struct Run {
    start: Instant,
    limits: Vec<Limit>,
    ran: Mutex<Ran>,
}

/// The run that the hook, one for the process, is to tell; tests of this binary run one after the other.
static HOOKED: Mutex<Option<Arc<Run>>> = Mutex::new(None);

fn unpoisoned<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Runs a program to its end.
pub(crate) fn run(program: &Program) -> Ran {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().expect("a runtime");
    let run = runtime.block_on(async {
        let run = Arc::new(Run {
            start: Instant::now(),
            limits: program.limits.iter().map(|size| Limit::new(usize::from(*size))).collect(),
            ran: Mutex::default(),
        });
        *unpoisoned(&HOOKED) = Some(Arc::clone(&run));
        nest(&run, None, program.root.clone()).await;
        run
    });
    drop(runtime);
    *unpoisoned(&HOOKED) = None;
    let mut ran = std::mem::take(&mut *unpoisoned(&run.ran));
    ran.alive.retain(|_, count| *count > 0);
    drop(std::mem::take(&mut ran.leaked));
    for (first, last) in std::mem::take(&mut ran.joins_dropped) {
        ran.raised.retain(|id, _| !(first..=last).contains(id));
        ran.delivered.retain(|id, _| !(first..=last).contains(id));
    }
    if ran.raised != ran.delivered {
        ran.broken.push(format!("raised {:?}, but delivered {:?} (P4)", ran.raised, ran.delivered));
    }
    ran
}

/// Has failures that nobody else takes counted as delivered.
pub(crate) fn listen_to_the_hook() {
    sc_tokio::set_failure_hook(|failure| {
        let Some(run) = unpoisoned(&HOOKED).clone() else { return };
        let message = failure.message.as_str();
        let number = message.strip_prefix("By(").and_then(|text| text.strip_suffix(')'));
        if let Some(id) = number.or_else(|| message.strip_prefix("panicked: panic ")) {
            run.delivered(id.parse().expect("the number of a frame"));
        }
    });
}

impl Run {
    fn now(&self) -> At {
        u64::try_from(self.start.elapsed().as_millis()).expect("milliseconds")
    }

    fn add(&self, entry: Entry) {
        let at = self.now();
        unpoisoned(&self.ran).log.0.push((at, entry));
    }

    fn raised(&self, id: usize) {
        *unpoisoned(&self.ran).raised.entry(id).or_default() += 1;
    }

    fn not_raised(&self, id: usize) {
        let mut ran = unpoisoned(&self.ran);
        let count = ran.raised.remove(&id).expect("it was raised") - 1;
        if count > 0 {
            ran.raised.insert(id, count);
        }
    }

    fn delivered(&self, id: usize) {
        *unpoisoned(&self.ran).delivered.entry(id).or_default() += 1;
    }

    fn deliver(&self, seen: Seen) -> Seen {
        if let Seen::Error(Raised::By(id)) | Seen::Panic(id) = seen {
            self.delivered(id);
        }
        seen
    }

    fn token(self: &Arc<Self>, id: usize) -> Token {
        *unpoisoned(&self.ran).alive.entry(id).or_default() += 1;
        Token(Arc::clone(self), id)
    }

    /// A scope has resolved: nothing of it is alive (P1).
    fn check_joined(&self, scope: &program::Scope) {
        let (first, last) = (scope.body.id, scope.body.last_id());
        let mut ran = unpoisoned(&self.ran);
        let left: Vec<_> = ran.alive.range(first..=last).filter(|(_, count)| **count > 0).map(|(id, _)| *id).collect();
        ran.outlived.extend(left.into_iter().map(|id| (scope.id, id)));
    }
}

/// Something that a frame has captured, or its output.
pub(crate) struct Token(Arc<Run>, usize);

impl Token {
    fn id(&self) -> usize {
        self.1
    }
}

impl Drop for Token {
    fn drop(&mut self) {
        if let Some(count) = unpoisoned(&self.0.ran).alive.get_mut(&self.1) {
            *count -= 1;
        }
    }
}

/// Notes the end of a frame or finalizer when it is dropped.
struct Guard<F: FnMut(How)> {
    how: How,
    told: F,
}

impl<F: FnMut(How)> Drop for Guard<F> {
    fn drop(&mut self) {
        (self.told)(self.how);
    }
}
