//! Everybody's result.

use std::ops::ControlFlow;

use super::{Joiner, put};
use crate::{Cancelled, Failure};

/// Everybody's result in the order of the input; never fails. Those that a cut left without a result have the
/// notice of the cancellation.
///
/// As `Promise.allSettled` of JavaScript, and `Joiner.awaitAll` of JEP 505.
///
/// # Examples
///
/// ```
/// use sc_core::{Failure, Joiner, Settle};
///
/// let mut settle = Settle::new();
/// let _ = settle.on_exit(1, Err(Failure::Error("no such host")));
/// let _ = settle.on_exit(0, Ok(200));
/// let results = settle.finish(None, &mut Vec::new());
/// assert_eq!(results[0].as_ref().unwrap(), &200);
/// assert!(results[1].is_err());
/// ```
#[derive(Debug)]
pub struct Settle<T, E> {
    results: Vec<Option<Result<T, Failure<E>>>>,
}

impl<T, E> Settle<T, E> {
    /// Has seen nobody.
    pub const fn new() -> Self {
        Self { results: Vec::new() }
    }
}

impl<T, E> Default for Settle<T, E> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T, E> Joiner<T, E> for Settle<T, E> {
    type Output = Vec<Result<T, Failure<E>>>;

    fn begin(&mut self, count: usize) -> ControlFlow<()> {
        self.results.resize_with(count, || None);
        ControlFlow::Continue(())
    }

    fn on_exit(&mut self, index: usize, exit: Result<T, Failure<E>>) -> ControlFlow<()> {
        put(&mut self.results, index, exit);
        ControlFlow::Continue(())
    }

    /// # Panics
    ///
    /// Without a cut, if a child had no exit, which is against the contract.
    fn finish(self, cut: Option<Cancelled>, _unclaimed: &mut Vec<Failure<E>>) -> Self::Output {
        let missing = || Err(Failure::Cancelled(cut.clone().expect("a group that nobody cut short is complete")));
        self.results.into_iter().map(|result| result.unwrap_or_else(missing)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::deadline;
    use super::*;

    #[test]
    fn after_a_cut_the_finished_ones_keep_their_results() {
        let mut settle = Settle::<usize, usize>::new();
        assert!(settle.begin(4).is_continue());
        assert!(settle.on_exit(2, Ok(2)).is_continue());
        assert!(settle.on_exit(0, Err(Failure::Error(0))).is_continue());
        let results = settle.finish(Some(deadline()), &mut Vec::new());
        assert!(matches!(
            results[..],
            [Err(Failure::Error(0)), Err(Failure::Cancelled(_)), Ok(2), Err(Failure::Cancelled(_))]
        ));
    }

    #[test]
    fn nobody_is_an_empty_list() {
        let mut settle = Settle::<usize, usize>::new();
        assert!(settle.begin(0).is_continue());
        assert!(settle.finish(None, &mut Vec::new()).is_empty());
    }
}
