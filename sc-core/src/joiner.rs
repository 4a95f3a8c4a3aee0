//! What a group of children amounts to: joiners, after those of JEP 505 (Java's `StructuredTaskScope`).

mod all;
mod race;
mod settle;

use std::ops::ControlFlow;

pub use all::{All, ForEach};
pub use race::{FirstOk, Quorum, RaceError};
pub use settle::Settle;

use crate::{Cancelled, Failure};

/// Decides what a group of children amounts to: told of each exit, it says whether to go on, and gives the result.
///
/// A joiner is a value without a runtime. `join::with` in `sc-tokio` runs one, and the built-in ones ([`All`],
/// [`FirstOk`], [`Settle`], [`Quorum`], [`ForEach`]) are behind the functions of that module. Unlike a
/// [`Policy`](crate::Policy), it owns the exits it is told of and makes the result of them.
///
/// # Contract
///
/// What the caller of these methods keeps to, and a joiner may rely on:
///
/// 1. [`begin`](Self::begin) comes first, at most once, and only where the number of children is known beforehand. If it
///    breaks, nothing is run.
/// 2. [`on_exit`](Self::on_exit) comes at most once for each child, in the order of their ends; children found ended at the
///    same look are told in spawn order. `index` is the child's position in the input, counted from zero.
/// 3. After a `Break` there is no further `on_exit`. The remaining children are cancelled and waited for; their values are
///    dropped, and their errors and panics go to the failure hook (P4).
/// 4. A child that was cancelled together with the whole group has no exit here: [`finish`](Self::finish) is told. A child
///    cancelled alone, since it awaited a child of an outer scope that could give no value, has one.
/// 5. [`finish`](Self::finish) comes last, when every child has ended and its captures are dropped (P1). It is left out if
///    a method of the joiner has panicked; then that panic is the result.
///
/// No lock is held during any of them, and no two of them run at once.
///
/// # Examples
///
/// The first value that is good enough, else the best of all:
///
/// ```
/// use std::ops::ControlFlow;
/// use sc_core::{Cancelled, Failure, Joiner};
///
/// struct GoodEnough(u32, Option<u32>);
///
/// impl<E> Joiner<u32, E> for GoodEnough {
///     type Output = Option<u32>;
///
///     fn on_exit(&mut self, _index: usize, exit: Result<u32, Failure<E>>) -> ControlFlow<()> {
///         self.1 = self.1.max(exit.ok());
///         if self.1 >= Some(self.0) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
///     }
///
///     fn finish(self, _cut: Option<Cancelled>, _unclaimed: &mut Vec<Failure<E>>) -> Option<u32> {
///         self.1
///     }
/// }
///
/// let mut joiner = GoodEnough(10, None);
/// assert!(Joiner::<_, ()>::on_exit(&mut joiner, 1, Ok(3)).is_continue());
/// assert!(Joiner::<_, ()>::on_exit(&mut joiner, 0, Ok(12)).is_break());
/// assert_eq!(Joiner::<_, ()>::finish(joiner, None, &mut Vec::new()), Some(12));
/// ```
pub trait Joiner<T, E> {
    /// The result of the whole.
    type Output;

    /// The group has `count` children, none of which has been started. `Break`: none will be.
    fn begin(&mut self, count: usize) -> ControlFlow<()> {
        let _ = count;
        ControlFlow::Continue(())
    }

    /// A child has ended. `Break`: the rest is cancelled and waited for.
    fn on_exit(&mut self, index: usize, exit: Result<T, Failure<E>>) -> ControlFlow<()>;

    /// Everything has ended.
    ///
    /// `cut` says why the group was cut short from outside (by a deadline or an ancestor), if it was: then children may
    /// be missing, and failures told after the cancellation are consequences of it (P4). It is `None` if a child's exit
    /// that is no such consequence made this joiner break, or if every child's exit was told.
    ///
    /// Failures that the output does not contain belong into `unclaimed`, which goes to the failure hook (P4).
    fn finish(self, cut: Option<Cancelled>, unclaimed: &mut Vec<Failure<E>>) -> Self::Output;
}

/// Puts something at its place in a list that may have to grow.
fn put<T>(slots: &mut Vec<Option<T>>, index: usize, value: T) {
    if slots.len() <= index {
        slots.resize_with(index + 1, || None);
    }
    slots[index] = Some(value);
}

/// In spawn order.
fn in_order<T>(mut found: Vec<(usize, T)>) -> impl Iterator<Item = T> {
    found.sort_by_key(|(index, _)| *index);
    found.into_iter().map(|(_, value)| value)
}

#[cfg(test)]
mod tests {
    use std::panic::Location;

    use crate::cancelled::Detail;
    use crate::{Cancelled, Failure, Origin, Reason, ScopeId};

    /// A notice of a deadline.
    pub(super) fn deadline() -> Cancelled {
        Cancelled::new(Reason::Deadline, Origin::new(ScopeId::new(1), None, Location::caller()), Detail::default())
    }

    /// The errors in a list of failures.
    pub(super) fn errors(failures: Vec<Failure<usize>>) -> Vec<usize> {
        let error = |failure| match failure {
            Failure::Error(error) => error,
            other => panic!("{other} is no error"),
        };
        failures.into_iter().map(error).collect()
    }
}
