//! Medians and quartiles: what a few slow rounds on a shared machine cannot move.

use serde::{Deserialize, Serialize};

/// The middle of a set of samples, and how far its middle half reaches.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Spread {
    /// A quarter of the samples is below.
    pub low: f64,
    /// Half of the samples is below.
    pub median: f64,
    /// Three quarters of the samples are below.
    pub high: f64,
}

impl Spread {
    /// A value that does not vary.
    pub const fn exact(value: f64) -> Self {
        Self { low: value, median: value, high: value }
    }

    /// Every value times a factor.
    #[must_use]
    pub fn scaled(self, factor: f64) -> Self {
        Self { low: self.low * factor, median: self.median * factor, high: self.high * factor }
    }

    /// The spread of some samples.
    ///
    /// # Panics
    ///
    /// Without samples.
    pub fn of(mut samples: Vec<f64>) -> Self {
        assert!(!samples.is_empty(), "a spread needs samples");
        samples.sort_by(f64::total_cmp);
        let quarter = |k: usize| {
            let last = samples.len() - 1;
            // Between two samples: the mean of both.
            let (below, above) = ((last * k) / 4, (last * k).div_ceil(4));
            f64::midpoint(samples[below], samples[above])
        };
        Self { low: quarter(1), median: quarter(2), high: quarter(3) }
    }
}

#[cfg(test)]
mod tests {
    use super::Spread;

    #[test]
    fn of_five_samples_are_the_second_third_and_fourth() {
        let spread = Spread::of(vec![5.0, 1.0, 4.0, 2.0, 3.0]);
        assert_eq!(spread, Spread { low: 2.0, median: 3.0, high: 4.0 });
    }

    #[test]
    fn a_few_slow_samples_move_nothing() {
        let quiet = Spread::of((1..=100).map(f64::from).collect());
        let stalled = Spread::of((1..=95).map(f64::from).chain([1e9; 5]).collect());
        assert_eq!(quiet, stalled);
    }

    #[test]
    fn is_scaled_as_a_whole() {
        let spread = Spread { low: 1.0, median: 2.0, high: 3.0 }.scaled(10.0);
        assert_eq!(spread, Spread { low: 10.0, median: 20.0, high: 30.0 });
    }

    #[test]
    fn of_one_sample_is_that_sample() {
        assert_eq!(Spread::of(vec![7.0]), Spread::exact(7.0));
    }
}
