//! The command line.

use std::time::Duration;

/// What `--help` prints.
pub(crate) const HELP: &str = "\
Runs random trees of scopes on a runtime with two workers, and fails if anything is left of them.

Usage: sc-soak [--seconds N] [--seed N] [--json]

  --seconds N  how long (600 if nothing is said)
  --seed N     which trees (1 if nothing is said); their schedules are the machine's
  --json       the report as a JSON object instead of text
  --help       this text

The trees have cancellations, deadlines, panics, errors, futures dropped half-way, shields, graces, limits, starts,
resources, owned scopes, join sets, joins, blocking and borrowed children, ambient tasks. Every 30 s a line on standard
error says how far it is.

Exit code 0: everything that was started has ended, when its scope said so. 1: something was left, ended late, or
panicked that should not have; or nothing moved for a minute (the tree of what is stuck is on standard error then).
2: the command line was not understood.";

/// What the command line asks for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Args {
    pub(crate) time: Duration,
    pub(crate) seed: u64,
    pub(crate) json: bool,
    pub(crate) help: bool,
}

impl Args {
    pub(crate) fn parse(arguments: impl IntoIterator<Item = String>) -> Result<Self, String> {
        let mut args = Self { time: Duration::from_secs(600), seed: 1, json: false, help: false };
        let mut arguments = arguments.into_iter();
        while let Some(argument) = arguments.next() {
            let mut number = || {
                let number = arguments.next().and_then(|text| text.parse::<u64>().ok());
                number.ok_or_else(|| format!("`{argument}` needs a number"))
            };
            match argument.as_str() {
                "--seconds" => args.time = Duration::from_secs(number()?),
                "--seed" => args.seed = number()?,
                "--json" => args.json = true,
                "--help" | "-h" => args.help = true,
                other => return Err(format!("`{other}` is not understood")),
            }
        }
        Ok(args)
    }
}

#[cfg(test)]
mod tests {
    use super::{Args, Duration};

    fn parse(arguments: &[&str]) -> Result<Args, String> {
        Args::parse(arguments.iter().map(ToString::to_string))
    }

    #[test]
    fn a_time_and_a_seed_are_numbers() {
        let args = parse(&["--seconds", "20", "--seed", "7"]).unwrap();
        assert_eq!((args.time, args.seed, args.json), (Duration::from_secs(20), 7, false));
        assert!(parse(&["--seconds", "soon"]).unwrap_err().contains("--seconds"));
        assert!(parse(&["--seed"]).is_err());
    }

    #[test]
    fn what_is_not_understood_is_an_error() {
        assert!(parse(&["--fast"]).unwrap_err().contains("--fast"));
    }
}
