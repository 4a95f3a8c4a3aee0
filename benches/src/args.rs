//! The command line.

/// What `--help` prints.
pub(crate) const HELP: &str = "\
Measures sc-tokio side by side with Tokio's own tasks, JoinSet and FuturesUnordered.

Usage: sc-bench [--full] [--filter NAME] [--json]

  --full         more rounds: about ten minutes instead of less than two
  --filter NAME  only measurements whose name contains NAME (upper and lower case are the same)
  --json         a JSON array instead of a Markdown table
  --help         this text

Every number is a median; a ratio is taken within a round, in which each contestant ran once.";

/// What the command line asks for.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Args {
    pub(crate) full: bool,
    pub(crate) json: bool,
    pub(crate) help: bool,
    filter: String,
}

impl Args {
    pub(crate) fn parse(arguments: impl IntoIterator<Item = String>) -> Result<Self, String> {
        let mut args = Self::default();
        let mut arguments = arguments.into_iter();
        while let Some(argument) = arguments.next() {
            match argument.as_str() {
                "--full" => args.full = true,
                "--json" => args.json = true,
                "--help" | "-h" => args.help = true,
                "--filter" => match arguments.next() {
                    Some(name) if !name.is_empty() => args.filter = name.to_lowercase(),
                    _ => return Err("`--filter` needs a name".to_owned()),
                },
                other => return Err(format!("`{other}` is not understood")),
            }
        }
        Ok(args)
    }

    /// Whether this measurement was asked for.
    pub(crate) fn wants(&self, name: &str) -> bool {
        name.to_lowercase().contains(&self.filter)
    }

    /// What the filter asks for, for messages.
    pub(crate) fn filter(&self) -> &str {
        &self.filter
    }
}

#[cfg(test)]
mod tests {
    use super::Args;

    fn parse(arguments: &[&str]) -> Result<Args, String> {
        Args::parse(arguments.iter().map(ToString::to_string))
    }

    #[test]
    fn a_filter_takes_a_part_of_a_name_in_any_case() {
        let args = parse(&["--filter", "NURSERY", "--json"]).unwrap();
        assert!(args.json && args.wants("empty nursery") && !args.wants("spawn"));
        assert!(parse(&[]).unwrap().wants("anything"));
    }

    #[test]
    fn what_is_not_understood_is_an_error() {
        assert!(parse(&["--fast"]).unwrap_err().contains("--fast"));
        assert!(parse(&["--filter"]).is_err());
    }
}
