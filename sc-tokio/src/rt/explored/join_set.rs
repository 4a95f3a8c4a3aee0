//! A set of tasks, as Tokio's works: who has ended is put on a list by its join waker, and the list is
//! what the set looks through.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

use crate::rt::{AbortHandle, JoinError, JoinHandle, poll_unconstrained};

/// Whether it is this task whose end was an error. No task of a set is aborted by Tokio's means, and no
/// runtime ends in a model.
pub(crate) fn is_of(_: &JoinError, _: &AbortHandle) -> bool {
    false
}

type End<T> = Result<T, JoinError>;

pub(crate) struct JoinSet<T> {
    next: u64,
    tasks: BTreeMap<u64, Entry<T>>,
    notified: Arc<Mutex<Notified>>,
}

struct Entry<T> {
    task: JoinHandle<T>,
    /// An end that was there when the task was entered.
    end: Option<End<T>>,
}

#[derive(Default)]
struct Notified {
    keys: VecDeque<u64>,
    waker: Option<Waker>,
}

// `std`'s mutex: Tokio's own steps are none of those that are explored, and a waker may be called when a schedule
// is over, where nobody can be waited for.
fn lock(notified: &Mutex<Notified>) -> MutexGuard<'_, Notified> {
    notified.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The join waker of one task.
struct Notify {
    key: u64,
    notified: Arc<Mutex<Notified>>,
}

impl Wake for Notify {
    fn wake(self: Arc<Self>) {
        let waker = {
            let mut notified = lock(&self.notified);
            if !notified.keys.contains(&self.key) {
                notified.keys.push_back(self.key);
            }
            notified.waker.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

impl<T: Send + 'static> JoinSet<T> {
    #[track_caller]
    pub(crate) fn spawn(&mut self, task: impl Future<Output = T> + Send + 'static) -> AbortHandle {
        let mut task = super::spawn(task);
        let abort = task.abort_handle();
        let key = self.next;
        self.next += 1;
        let waker = self.waker_of(key);
        let end = match poll_unconstrained(&mut task, &mut Context::from_waker(&waker)) {
            Poll::Ready(end) => {
                waker.wake();
                Some(end)
            }
            Poll::Pending => None,
        };
        self.tasks.insert(key, Entry { task, end });
        abort
    }

    pub(crate) fn try_join_next(&mut self) -> Option<End<T>> {
        loop {
            let key = lock(&self.notified).keys.pop_front()?;
            if let Poll::Ready(end) = self.poll_task(key) {
                return Some(end);
            }
        }
    }

    pub(crate) fn poll_join_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<End<T>>> {
        if self.tasks.is_empty() {
            return Poll::Ready(None);
        }
        loop {
            let waker = cx.waker().clone();
            let next = {
                let mut notified = lock(&self.notified);
                let next = notified.keys.pop_front();
                let old = if next.is_none() { notified.waker.replace(waker) } else { None };
                (next, old)
            };
            let (Some(key), _) = next else { return Poll::Pending };
            if let Poll::Ready(end) = self.poll_task(key) {
                return Poll::Ready(Some(end));
            }
        }
    }

    fn poll_task(&mut self, key: u64) -> Poll<End<T>> {
        let waker = self.waker_of(key);
        let Some(entry) = self.tasks.get_mut(&key) else { return Poll::Pending };
        let end = match entry.end.take() {
            Some(end) => end,
            None => std::task::ready!(poll_unconstrained(&mut entry.task, &mut Context::from_waker(&waker))),
        };
        self.tasks.remove(&key);
        Poll::Ready(end)
    }

    fn waker_of(&self, key: u64) -> Waker {
        Waker::from(Arc::new(Notify { key, notified: Arc::clone(&self.notified) }))
    }
}

impl<T> JoinSet<T> {
    pub(crate) fn new() -> Self {
        Self { next: 0, tasks: BTreeMap::new(), notified: Arc::default() }
    }

    pub(crate) fn len(&self) -> usize {
        self.tasks.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.tasks.is_empty()
    }

    /// Lets the tasks go on without the set.
    pub(crate) fn detach_all(&mut self) {
        self.tasks.clear();
    }
}

impl<T> Default for JoinSet<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> Drop for JoinSet<T> {
    fn drop(&mut self) {
        for entry in self.tasks.values() {
            entry.task.abort();
        }
    }
}
