//! The command line.

use std::path::PathBuf;

/// What `--help` prints.
pub(crate) const HELP: &str = "\
Measures sc-tokio side by side with the alternatives, in one process.

Usage: sc-bench plot FILE --out DIR
       sc-bench tables FILE --into DOCUMENT
       sc-bench [--quick | --full] [--filter TEXT]... [--against NAME] [--json FILE] [--callgrind] [--markdown]

  --quick         few rounds and at most 10^5 children: less than two minutes (the default)
  --full          many rounds and up to 10^6 children: less than half an hour
  --filter TEXT   only measurements in whose heading TEXT occurs (upper and lower case are the same);
                  given several times, all have to occur
  --against NAME  only peers in whose name NAME occurs, and bare tasks: a round is shorter
  --callgrind     also count instructions, with valgrind (--full does, too)
  --json FILE     write the results to FILE as well
  --markdown      a Markdown table instead of one for the terminal
  --help          this text

  plot            draws cost per child over their number from the results in FILE, as SVG into DIR
  tables          writes the tables between the markers of DOCUMENT anew, from the results in FILE

Every number is a median; a ratio is taken within a round, in which each contestant ran once.";

/// What to do.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Task {
    Measure(Args),
    Plot { results: PathBuf, out: PathBuf },
    Tables { results: PathBuf, document: PathBuf },
}

impl Task {
    pub(crate) fn parse(arguments: Vec<String>) -> Result<Self, String> {
        let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
        match words[..] {
            ["plot", results, "--out", out] => Ok(Self::Plot { results: results.into(), out: out.into() }),
            ["tables", results, "--into", document] => {
                Ok(Self::Tables { results: results.into(), document: document.into() })
            }
            ["plot" | "tables", ..] => Err(format!("`{}` needs a file and where to put it", words[0])),
            _ => Args::parse(arguments).map(Self::Measure),
        }
    }
}

/// What is to be measured, and how.
#[derive(Debug, Default, PartialEq, Eq)]
#[allow(clippy::struct_excessive_bools, reason = "each is a switch of the command line")]
pub(crate) struct Args {
    pub(crate) full: bool,
    pub(crate) callgrind: bool,
    pub(crate) markdown: bool,
    pub(crate) help: bool,
    pub(crate) json: Option<PathBuf>,
    pub(crate) against: Option<String>,
    filters: Vec<String>,
}

impl Args {
    pub(crate) fn parse(arguments: impl IntoIterator<Item = String>) -> Result<Self, String> {
        let mut args = Self::default();
        let mut arguments = arguments.into_iter();
        while let Some(argument) = arguments.next() {
            let mut value = || match arguments.next() {
                Some(value) if !value.is_empty() => Ok(value),
                _ => Err(format!("`{argument}` needs a value")),
            };
            match argument.as_str() {
                "--quick" => args.full = false,
                "--full" => args.full = true,
                "--callgrind" => args.callgrind = true,
                "--markdown" => args.markdown = true,
                "--help" | "-h" => args.help = true,
                "--json" => args.json = Some(value()?.into()),
                "--against" => args.against = Some(value()?.to_lowercase()),
                "--filter" => args.filters.push(value()?.to_lowercase()),
                other => return Err(format!("`{other}` is not understood")),
            }
        }
        Ok(args)
    }

    /// Whether the measurement with this heading was asked for.
    pub(crate) fn wants(&self, heading: &str) -> bool {
        let heading = heading.to_lowercase();
        self.filters.iter().all(|filter| heading.contains(filter))
    }

    /// What the filters ask for, for messages.
    pub(crate) fn filter(&self) -> String {
        self.filters.join("`, `")
    }
}

#[cfg(test)]
mod tests {
    use super::{Args, Task};

    fn parse(arguments: &[&str]) -> Result<Args, String> {
        Args::parse(arguments.iter().map(ToString::to_string))
    }

    #[test]
    fn a_filter_takes_a_part_of_a_heading_in_any_case() {
        let args = parse(&["--filter", "NURSERY", "--markdown"]).unwrap();
        assert!(args.markdown && args.wants("empty nursery") && !args.wants("spawn"));
        assert!(parse(&[]).unwrap().wants("anything"));
    }

    #[test]
    fn of_several_filters_all_have_to_be_met() {
        let args = parse(&["--filter", "spawn", "--filter", "multi"]).unwrap();
        assert!(args.wants("spawn 10, multi_thread") && !args.wants("spawn 10, current_thread"));
    }

    #[test]
    fn pictures_and_tables_need_a_file_and_a_place() {
        let task = |arguments: &[&str]| Task::parse(arguments.iter().map(ToString::to_string).collect());
        let plot = Task::Plot { results: "a.json".into(), out: "b".into() };
        assert_eq!(task(&["plot", "a.json", "--out", "b"]), Ok(plot));
        assert!(task(&["tables", "a.json"]).is_err());
        assert_eq!(task(&[]), Ok(Task::Measure(Args::default())));
    }

    #[test]
    fn what_is_not_understood_is_an_error() {
        assert!(parse(&["--fast"]).unwrap_err().contains("--fast"));
        assert!(parse(&["--filter"]).unwrap_err().contains("--filter"));
    }
}
