//! Logarithmic axes.

/// An axis from its first tick to its last.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Axis {
    /// Where, and what is written there.
    pub(super) ticks: Vec<(f64, String)>,
}

impl Axis {
    /// With powers of ten.
    pub(super) fn decades(values: impl Iterator<Item = f64>) -> Self {
        Self::over(values, &[1.0], |exponent, _| format!("10{}", superscript(exponent)))
    }

    /// With one, two and five of each power of ten.
    pub(super) fn steps(values: impl Iterator<Item = f64>) -> Self {
        Self::over(
            values,
            &[1.0, 2.0, 5.0],
            |_, value| if value < 1.0 { format!("{value:.1}") } else { grouped(value) },
        )
    }

    fn over(values: impl Iterator<Item = f64>, steps: &[f64], label: impl Fn(i32, f64) -> String) -> Self {
        let (low, high) = values.fold((f64::INFINITY, 0.0_f64), |(low, high), value| (low.min(value), high.max(value)));
        let all =
            || (-3..12).flat_map(|exponent| steps.iter().map(move |step| (exponent, step * 10_f64.powi(exponent))));
        // A hair wider, so that what ought to be on a tick is.
        let first = all().take_while(|(_, value)| *value <= low * 1.000_1).fold(None, |_, step| Some(step));
        let last = all().find(|(_, value)| *value * 1.000_1 >= high);
        let (first, last) = (first.map_or(0.0, |(_, value)| value), last.map_or(f64::INFINITY, |(_, value)| value));
        let inside = all().filter(|(_, value)| (first..=last).contains(value));
        Self { ticks: inside.map(|(exponent, value)| (value, label(exponent, value))).collect() }
    }

    /// Between zero, the first tick, and one, the last.
    pub(super) fn place(&self, value: f64) -> f64 {
        let (Some((first, _)), Some((last, _))) = (self.ticks.first(), self.ticks.last()) else { return 0.0 };
        if self.ticks.len() == 1 { 0.5 } else { (value / first).ln() / (last / first).ln() }
    }
}

fn superscript(exponent: i32) -> String {
    let digits = ['⁰', '¹', '²', '³', '⁴', '⁵', '⁶', '⁷', '⁸', '⁹'];
    exponent.to_string().chars().filter_map(|digit| Some(digits[digit.to_digit(10)? as usize])).collect()
}

/// With a space before each three digits.
fn grouped(value: f64) -> String {
    let digits = format!("{value:.0}");
    let mut grouped = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index) % 3 == 0 {
            grouped.push('\u{202f}');
        }
        grouped.push(digit);
    }
    grouped
}

#[cfg(test)]
mod tests {
    use super::Axis;

    fn labels(axis: &Axis) -> Vec<&str> {
        axis.ticks.iter().map(|(_, label)| label.as_str()).collect()
    }

    #[test]
    fn an_axis_reaches_from_the_step_below_to_the_step_above() {
        let axis = Axis::steps([43.0, 170.0, 1_600.0].into_iter());
        assert_eq!(labels(&axis), ["20", "50", "100", "200", "500", "1\u{202f}000", "2\u{202f}000"]);
        assert!((axis.place(20.0)).abs() < 1e-9 && (axis.place(2_000.0) - 1.0).abs() < 1e-9);
        assert!((axis.place(200.0) - 0.5).abs() < 1e-9);
    }

    #[test]
    fn numbers_of_children_are_powers_of_ten() {
        let axis = Axis::decades([10.0, 1_000.0, 1_000_000.0].into_iter());
        assert_eq!(labels(&axis), ["10¹", "10²", "10³", "10⁴", "10⁵", "10⁶"]);
    }

    #[test]
    fn a_single_value_is_in_the_middle() {
        let axis = Axis::decades([100.0].into_iter());
        assert_eq!((labels(&axis), axis.place(100.0).to_bits()), (vec!["10²"], 0.5_f64.to_bits()));
    }
}
