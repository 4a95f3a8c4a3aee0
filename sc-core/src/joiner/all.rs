//! All have to succeed.

use std::ops::ControlFlow;

use super::{Joiner, put};
use crate::{Cancelled, Failure};

/// All values in the order of the input; the first failure in time decides.
///
/// As `Joiner.awaitAllSuccessfulOrThrow` of JEP 505. Where the number of children is not known it grows with them.
///
/// # Examples
///
/// ```
/// use sc_core::{All, Failure, Joiner};
///
/// let mut all = All::<_, ()>::new();
/// let _ = all.on_exit(1, Ok("second"));
/// let _ = all.on_exit(0, Ok("first"));
/// assert_eq!(all.finish(None, &mut Vec::new()).unwrap(), ["first", "second"]);
/// ```
#[derive(Debug)]
pub struct All<T, E> {
    values: Vec<Option<T>>,
    failure: Option<Failure<E>>,
}

impl<T, E> All<T, E> {
    /// Has seen nobody.
    pub const fn new() -> Self {
        Self { values: Vec::new(), failure: None }
    }
}

impl<T, E> Default for All<T, E> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T, E> Joiner<T, E> for All<T, E> {
    type Output = Result<Vec<T>, Failure<E>>;

    fn begin(&mut self, count: usize) -> ControlFlow<()> {
        self.values.reserve_exact(count);
        ControlFlow::Continue(())
    }

    fn on_exit(&mut self, index: usize, exit: Result<T, Failure<E>>) -> ControlFlow<()> {
        match exit {
            Ok(value) => {
                put(&mut self.values, index, value);
                ControlFlow::Continue(())
            }
            Err(failure) => {
                self.failure = Some(failure);
                ControlFlow::Break(())
            }
        }
    }

    /// # Panics
    ///
    /// Without a failure or a cut, if a child before the last had no exit, which is against the contract.
    fn finish(self, cut: Option<Cancelled>, unclaimed: &mut Vec<Failure<E>>) -> Self::Output {
        settled(self.failure, cut, unclaimed)?;
        let value = |value: Option<T>| value.expect("a group that nobody cut short and no failure ended is complete");
        Ok(self.values.into_iter().map(value).collect())
    }
}

/// All have to succeed, and nothing is kept of those who did: for work that is done for its effects.
///
/// As `Joiner.awaitAll` of JEP 505, but the first failure decides.
///
/// # Examples
///
/// ```
/// use sc_core::{Failure, ForEach, Joiner};
///
/// let mut each = ForEach::new();
/// assert!(each.on_exit(0, Ok("dropped at once")).is_continue());
/// assert!(Joiner::<(), _>::on_exit(&mut each, 1, Err(Failure::Error("disk full"))).is_break());
/// assert!(Joiner::<(), _>::finish(each, None, &mut Vec::new()).is_err());
/// ```
#[derive(Debug)]
pub struct ForEach<E> {
    failure: Option<Failure<E>>,
}

impl<E> ForEach<E> {
    /// Has seen nobody.
    pub const fn new() -> Self {
        Self { failure: None }
    }
}

impl<E> Default for ForEach<E> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T, E> Joiner<T, E> for ForEach<E> {
    type Output = Result<(), Failure<E>>;

    fn on_exit(&mut self, _index: usize, exit: Result<T, Failure<E>>) -> ControlFlow<()> {
        match exit {
            Ok(_) => ControlFlow::Continue(()),
            Err(failure) => {
                self.failure = Some(failure);
                ControlFlow::Break(())
            }
        }
    }

    fn finish(self, cut: Option<Cancelled>, unclaimed: &mut Vec<Failure<E>>) -> Self::Output {
        settled(self.failure, cut, unclaimed)
    }
}

/// What came first wins: a failure after the cut is its consequence (P4, P5).
fn settled<E>(
    failure: Option<Failure<E>>,
    cut: Option<Cancelled>,
    unclaimed: &mut Vec<Failure<E>>,
) -> Result<(), Failure<E>> {
    match (failure, cut) {
        (None, None) => Ok(()),
        (Some(failure), None) => Err(failure),
        (failure, Some(cancelled)) => {
            unclaimed.extend(failure);
            Err(Failure::Cancelled(cancelled))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{deadline, errors};
    use super::*;

    #[test]
    fn values_come_in_spawn_order_whatever_the_order_of_the_ends() {
        for order in [[0, 1, 2], [2, 1, 0], [1, 2, 0]] {
            let mut all = All::<usize, usize>::new();
            assert!(all.begin(3).is_continue());
            for index in order {
                assert!(all.on_exit(index, Ok(index * 10)).is_continue());
            }
            assert_eq!(all.finish(None, &mut Vec::new()).unwrap(), [0, 10, 20]);
        }
    }

    #[test]
    fn nobody_is_a_success() {
        let mut all = All::<usize, usize>::new();
        assert!(all.begin(0).is_continue());
        assert!(all.finish(None, &mut Vec::new()).unwrap().is_empty());
        assert!(Joiner::<usize, usize>::finish(ForEach::new(), None, &mut Vec::new()).is_ok());
    }

    #[test]
    fn a_failure_decides() {
        let mut all = All::<usize, usize>::new();
        assert!(all.on_exit(0, Ok(1)).is_continue());
        assert!(all.on_exit(3, Err(Failure::Error(7))).is_break());
        let mut unclaimed = Vec::new();
        assert!(matches!(all.finish(None, &mut unclaimed), Err(Failure::Error(7))));
        assert!(unclaimed.is_empty());
    }

    #[test]
    fn a_cut_comes_before_the_failures_it_caused_which_are_not_lost() {
        let mut all = All::<usize, usize>::new();
        assert!(all.on_exit(0, Err(Failure::Error(7))).is_break());
        let mut unclaimed = Vec::new();
        assert!(matches!(all.finish(Some(deadline()), &mut unclaimed), Err(Failure::Cancelled(c)) if c.is_deadline()));
        assert_eq!(errors(unclaimed), [7]);
        let mut each = ForEach::new();
        assert!(each.on_exit(0, Err::<(), _>(Failure::Error(8))).is_break());
        let mut unclaimed = Vec::new();
        let end = Joiner::<(), _>::finish(each, Some(deadline()), &mut unclaimed);
        assert!(end.unwrap_err().is_cancelled());
        assert_eq!(errors(unclaimed), [8]);
    }

    #[test]
    fn for_each_drops_values_at_once() {
        let value = std::rc::Rc::new(());
        let mut each = ForEach::<usize>::new();
        assert!(each.on_exit(0, Ok(std::rc::Rc::clone(&value))).is_continue());
        assert_eq!(std::rc::Rc::strong_count(&value), 1);
    }
}
