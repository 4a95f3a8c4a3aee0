//! Some have to succeed.

use std::error::Error;
use std::fmt;
use std::ops::ControlFlow;

use super::{Joiner, in_order};
use crate::{Cancelled, Failure};

/// Why a race ([`FirstOk`], [`Quorum`]) has no winner.
///
/// # Examples
///
/// ```
/// use sc_core::{Failure, RaceError};
///
/// let lost = RaceError::Failed(vec![Failure::Error("refused"), Failure::Error("timed out")]);
/// assert_eq!(lost.to_string(), "2 failed, too many to win: refused; timed out");
/// assert_eq!(lost.failures().len(), 2);
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub enum RaceError<E> {
    /// There was nobody to race.
    Empty,
    /// The quorum is larger than the group. Nothing was run.
    TooFew {
        /// How many successes were asked for.
        needed: usize,
        /// How many children there were.
        given: usize,
    },
    /// So many failed that the rest, if there was one, could not win any more: every failure until then, in spawn order.
    Failed(Vec<Failure<E>>),
    /// It was cut short from outside.
    Cancelled(Cancelled),
}

impl<E> RaceError<E> {
    /// The failures, in spawn order; none unless it is [`Failed`](Self::Failed).
    pub fn failures(&self) -> &[Failure<E>] {
        match self {
            Self::Failed(failures) => failures,
            _ => &[],
        }
    }

    /// The failures, owned, in spawn order.
    pub fn into_failures(self) -> Vec<Failure<E>> {
        match self {
            Self::Failed(failures) => failures,
            _ => Vec::new(),
        }
    }

    /// Why it was cut short, if it was.
    pub const fn as_cancelled(&self) -> Option<&Cancelled> {
        match self {
            Self::Cancelled(cancelled) => Some(cancelled),
            _ => None,
        }
    }

    /// Whether it was cut short.
    pub const fn is_cancelled(&self) -> bool {
        matches!(self, Self::Cancelled(_))
    }
}

impl<E: fmt::Display> fmt::Display for RaceError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("a race of nobody has no winner"),
            Self::TooFew { needed, given } => write!(f, "{needed} successes were asked of {given}"),
            Self::Failed(failures) => {
                write!(f, "{} failed, too many to win", failures.len())?;
                for (n, failure) in failures.iter().enumerate() {
                    write!(f, "{} {failure}", if n == 0 { ":" } else { ";" })?;
                }
                Ok(())
            }
            Self::Cancelled(cancelled) => cancelled.fmt(f),
        }
    }
}

// Not `E: Error`, so that `RaceError<anyhow::Error>` is an error too.
impl<E: fmt::Debug + fmt::Display> Error for RaceError<E> {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.as_cancelled().and_then(Error::source)
    }
}

/// The first value in time; a failure does not decide as long as somebody is left.
///
/// As `Joiner.anySuccessfulResultOrThrow` of JEP 505, and `Promise.any` of JavaScript.
///
/// # Examples
///
/// ```
/// use sc_core::{Failure, FirstOk, Joiner};
///
/// let mut race = FirstOk::new();
/// assert!(race.on_exit(0, Err(Failure::Error("refused"))).is_continue());
/// assert!(race.on_exit(1, Ok("answer")).is_break());
/// let mut unclaimed = Vec::new();
/// assert_eq!(race.finish(None, &mut unclaimed).unwrap(), "answer");
/// assert_eq!(unclaimed.len(), 1); // for the failure hook
/// ```
#[derive(Debug)]
pub struct FirstOk<T, E> {
    winner: Option<T>,
    failures: Vec<(usize, Failure<E>)>,
}

impl<T, E> FirstOk<T, E> {
    /// Has seen nobody.
    pub const fn new() -> Self {
        Self { winner: None, failures: Vec::new() }
    }
}

impl<T, E> Default for FirstOk<T, E> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T, E> Joiner<T, E> for FirstOk<T, E> {
    type Output = Result<T, RaceError<E>>;

    fn on_exit(&mut self, index: usize, exit: Result<T, Failure<E>>) -> ControlFlow<()> {
        match exit {
            Ok(value) => {
                self.winner = Some(value);
                ControlFlow::Break(())
            }
            Err(failure) => {
                self.failures.push((index, failure));
                ControlFlow::Continue(())
            }
        }
    }

    fn finish(self, cut: Option<Cancelled>, unclaimed: &mut Vec<Failure<E>>) -> Self::Output {
        let failures = in_order(self.failures);
        match (self.winner, cut) {
            (Some(winner), _) => {
                unclaimed.extend(failures);
                Ok(winner)
            }
            (None, Some(cancelled)) => {
                unclaimed.extend(failures);
                Err(RaceError::Cancelled(cancelled))
            }
            (None, None) => {
                let failures: Vec<_> = failures.collect();
                Err(if failures.is_empty() { RaceError::Empty } else { RaceError::Failed(failures) })
            }
        }
    }
}

/// The first so many values in time, in the order of the input. Ends as soon as too many have failed.
///
/// A quorum of none is won by nobody, and one larger than the group is lost: in both cases nothing is run. Where the number
/// of children is not known, no number of failures is too many.
///
/// # Examples
///
/// ```
/// use sc_core::{Joiner, Quorum};
///
/// let mut quorum = Quorum::<_, ()>::new(2);
/// assert!(quorum.begin(3).is_continue());
/// assert!(quorum.on_exit(2, Ok('c')).is_continue());
/// assert!(quorum.on_exit(0, Ok('a')).is_break());
/// assert_eq!(quorum.finish(None, &mut Vec::new()).unwrap(), ['a', 'c']);
/// ```
#[derive(Debug)]
pub struct Quorum<T, E> {
    needed: usize,
    given: Option<usize>,
    values: Vec<(usize, T)>,
    failures: Vec<(usize, Failure<E>)>,
}

impl<T, E> Quorum<T, E> {
    /// Asks for so many successes.
    pub const fn new(needed: usize) -> Self {
        Self { needed, given: None, values: Vec::new(), failures: Vec::new() }
    }

    fn is_won(&self) -> bool {
        self.values.len() >= self.needed
    }

    fn is_lost(&self) -> bool {
        self.given.is_some_and(|given| self.needed > given.saturating_sub(self.failures.len()))
    }

    fn decided(&self) -> ControlFlow<()> {
        if self.is_won() || self.is_lost() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }
}

impl<T, E> Joiner<T, E> for Quorum<T, E> {
    type Output = Result<Vec<T>, RaceError<E>>;

    fn begin(&mut self, count: usize) -> ControlFlow<()> {
        self.given = Some(count);
        self.decided()
    }

    fn on_exit(&mut self, index: usize, exit: Result<T, Failure<E>>) -> ControlFlow<()> {
        match exit {
            Ok(value) => self.values.push((index, value)),
            Err(failure) => self.failures.push((index, failure)),
        }
        self.decided()
    }

    fn finish(self, cut: Option<Cancelled>, unclaimed: &mut Vec<Failure<E>>) -> Self::Output {
        let won = self.is_won();
        let (needed, seen) = (self.needed, self.values.len() + self.failures.len());
        let given = self.given.unwrap_or(seen);
        let failures = in_order(self.failures);
        if won {
            unclaimed.extend(failures);
            return Ok(in_order(self.values).collect());
        }
        if let Some(cancelled) = cut {
            unclaimed.extend(failures);
            return Err(RaceError::Cancelled(cancelled));
        }
        Err(if given < needed { RaceError::TooFew { needed, given } } else { RaceError::Failed(failures.collect()) })
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{deadline, errors};
    use super::*;

    /// Every order of `0..n`.
    fn orders(n: usize) -> Vec<Vec<usize>> {
        if n == 0 {
            return vec![Vec::new()];
        }
        let mut all = Vec::new();
        for shorter in orders(n - 1) {
            for at in 0..n {
                let mut order = shorter.clone();
                order.insert(at, n - 1);
                all.push(order);
            }
        }
        all
    }

    /// Tells the exits until the joiner breaks; gives how many it was told of.
    fn tell(joiner: &mut impl Joiner<usize, usize>, order: &[usize], succeeds: impl Fn(usize) -> bool) -> usize {
        if joiner.begin(order.len()).is_break() {
            return 0;
        }
        for (told, &index) in order.iter().enumerate() {
            let exit = if succeeds(index) { Ok(index) } else { Err(Failure::Error(index)) };
            if joiner.on_exit(index, exit).is_break() {
                return told + 1;
            }
        }
        order.len()
    }

    fn sorted(mut list: Vec<usize>) -> Vec<usize> {
        list.sort_unstable();
        list
    }

    #[test]
    fn a_quorum_is_what_its_definition_says_for_every_order_of_every_small_group() {
        for n in 0..=4 {
            for (order, fates, needed) in orders(n)
                .iter()
                .flat_map(|order| (0..1 << n).flat_map(move |f| (0..=n + 1).map(move |k| (order, f, k))))
            {
                let succeeds = |index: usize| fates >> index & 1 == 1;
                let mut quorum = Quorum::new(needed);
                let told = &order[..tell(&mut quorum, order, succeeds)];
                let (values, failed): (Vec<_>, Vec<_>) = told.iter().partition(|&&index| succeeds(index));
                let mut unclaimed = Vec::new();
                let end = quorum.finish(None, &mut unclaimed);
                if (0..n).filter(|&index| succeeds(index)).count() >= needed {
                    let first: Vec<_> = order.iter().copied().filter(|&index| succeeds(index)).take(needed).collect();
                    assert_eq!(end.unwrap(), sorted(first), "{order:?} {fates:b} {needed}");
                    assert_eq!((values.len(), errors(unclaimed)), (needed, sorted(failed)));
                } else if needed > n {
                    assert!(matches!(end, Err(RaceError::TooFew { needed: k, given }) if (k, given) == (needed, n)));
                    assert!(told.is_empty(), "nothing is run");
                } else {
                    let failures = errors(end.unwrap_err().into_failures());
                    assert_eq!(failures.len(), n - needed + 1, "it ends with the failure that decides");
                    assert_eq!(failures, sorted(failed));
                }
            }
        }
    }

    #[test]
    fn the_first_success_in_time_wins_for_every_order_of_every_small_group() {
        for n in 0..=4 {
            for (order, fates) in orders(n).iter().flat_map(|order| (0..1 << n).map(move |fates| (order, fates))) {
                let succeeds = |index: usize| fates >> index & 1 == 1;
                let mut race = FirstOk::new();
                let told = tell(&mut race, order, succeeds);
                let end = race.finish(None, &mut Vec::new());
                match order.iter().position(|&index| succeeds(index)) {
                    Some(at) => assert_eq!((end.unwrap(), told), (order[at], at + 1)),
                    None if n == 0 => assert!(matches!(end, Err(RaceError::Empty))),
                    None => assert_eq!(errors(end.unwrap_err().into_failures()), (0..n).collect::<Vec<_>>()),
                }
            }
        }
    }

    #[test]
    fn a_cut_leaves_the_failures_unclaimed() {
        let mut race = FirstOk::<usize, usize>::new();
        assert!(race.on_exit(1, Err(Failure::Error(1))).is_continue());
        let mut unclaimed = Vec::new();
        assert!(race.finish(Some(deadline()), &mut unclaimed).unwrap_err().is_cancelled());
        assert_eq!(errors(unclaimed), [1]);
        let mut quorum = Quorum::<usize, usize>::new(2);
        assert!(quorum.begin(3).is_continue());
        assert!(quorum.on_exit(1, Err(Failure::Error(1))).is_continue());
        let mut unclaimed = Vec::new();
        let end = quorum.finish(Some(deadline()), &mut unclaimed).unwrap_err();
        assert!(end.as_cancelled().is_some_and(Cancelled::is_deadline));
        assert_eq!(errors(unclaimed), [1]);
    }

    #[test]
    fn what_was_won_before_a_cut_stays_won() {
        let mut race = FirstOk::<usize, usize>::new();
        assert!(race.on_exit(1, Ok(1)).is_break());
        assert_eq!(race.finish(Some(deadline()), &mut Vec::new()).unwrap(), 1);
    }
}
