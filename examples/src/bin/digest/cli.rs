//! What the user may say.

use std::io;
use std::num::NonZero;
use std::path::PathBuf;
use std::time::Duration;

use clap::builder::{PathBufValueParser, TypedValueParser};
use clap::{Parser, ValueEnum};

const NOTES: &str = "\
Symbolic links are not followed, except ROOT itself. Links and whatever else is
not a regular file are listed as skipped. LINES counts line feeds. The report
holds what was digested, whatever ended the run; the exit code says what did:

    0  everything was digested
    1  something could not be read, or the report could not be written
    2  the command line is wrong
  124  the time was up
  130  interrupted with Ctrl-C";

/// Size, line count and SHA-256 of every file below a directory, computed in parallel.
#[derive(Debug, Parser)]
#[command(name = "digest", version, after_help = NOTES)]
pub(crate) struct Options {
    /// Directory to digest, or a single file
    #[arg(default_value = ".", value_parser = PathBufValueParser::new().try_map(readable))]
    pub(crate) root: PathBuf,

    /// Stop when this much time has passed: 500ms, 30s, "1m 30s"
    #[arg(long, default_value = "60s", value_parser = humantime::parse_duration)]
    pub(crate) timeout: Duration,

    /// What a file that cannot be read means for the rest
    #[arg(long, value_enum, default_value_t)]
    pub(crate) policy: OnFailure,

    /// How many files are open at the same time [default: the number of processors]
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..=512))]
    jobs: Option<u16>,

    /// Enter directories named `.git` and `target` too, which are skipped otherwise
    #[arg(long)]
    pub(crate) all: bool,

    /// Print JSON instead of a table
    #[arg(long)]
    pub(crate) json: bool,
}

/// The scope's policy, by the name it has on the command line.
#[derive(Debug, Clone, Copy, Default, ValueEnum)]
pub(crate) enum OnFailure {
    /// It ends the run
    #[default]
    FailFast,
    /// It is listed, and the rest is digested
    Supervise,
}

impl Options {
    pub(crate) fn jobs(&self) -> usize {
        let processors = || std::thread::available_parallelism().map_or(1, NonZero::get);
        self.jobs.map_or_else(processors, usize::from)
    }
}

/// Refuses what there is no point in starting with; clap adds the path.
fn readable(root: PathBuf) -> io::Result<PathBuf> {
    let kind = root.metadata()?.file_type();
    if kind.is_dir() || kind.is_file() {
        Ok(root)
    } else {
        Err(io::Error::other("neither a directory nor a regular file"))
    }
}
