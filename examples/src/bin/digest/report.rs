//! What the run found out, as a table or as JSON.

use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::time::Duration;

use sc_tokio::Failure;
use serde::Serialize;

use crate::Error;
use crate::hash::Digest;

/// Filled while the run goes on, so that it holds what was done when the run ends early.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Report {
    files: Vec<Digest>,
    failed: Vec<Failed>,
    pub(crate) skipped: Vec<Skipped>,
}

/// A file that could not be digested.
#[derive(Debug, Serialize)]
struct Failed {
    /// `None` if the program is to blame and not a file.
    path: Option<String>,
    error: String,
}

/// Something that is not a file to digest.
#[derive(Debug, Serialize)]
pub(crate) struct Skipped {
    pub(crate) path: String,
    pub(crate) reason: &'static str,
}

/// How the run ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum End {
    Complete,
    Failed,
    DeadlineExceeded,
    Interrupted,
}

#[derive(Serialize)]
struct Json<'r> {
    ended: &'r End,
    seconds: f64,
    total: Total,
    #[serde(flatten)]
    report: &'r Report,
}

#[derive(Serialize)]
struct Total {
    files: u64,
    lines: u64,
    bytes: u64,
}

impl Report {
    pub(crate) fn digested(&mut self, file: Digest) {
        self.files.push(file);
    }

    /// Notes a failure, unless it only says that the run ended early.
    pub(crate) fn failed(&mut self, failure: Failure<Error>) {
        let failed = match failure {
            Failure::Error(Error::Unreadable { path, source }) => {
                Failed { path: Some(shown(&path)), error: source.to_string() }
            }
            Failure::Panic(panic) => Failed { path: None, error: panic.to_string() },
            _ => return,
        };
        self.failed.push(failed);
    }

    pub(crate) fn is_complete(&self) -> bool {
        self.failed.is_empty()
    }

    /// How many files could not be digested, in words.
    pub(crate) fn failures(&self) -> String {
        count(self.failed.len() as u64, "file")
    }

    /// Prints everything to standard output, in the order of the paths.
    pub(crate) fn print(&mut self, json: bool, ended: &End, took: Duration) -> io::Result<()> {
        self.files.sort_unstable_by(|a, b| a.path.cmp(&b.path));
        self.failed.sort_unstable_by(|a, b| a.path.cmp(&b.path));
        let mut out = BufWriter::new(io::stdout().lock());
        if json {
            let report = Json { ended, seconds: took.as_secs_f64(), total: self.total(), report: self };
            serde_json::to_writer_pretty(&mut out, &report)?;
            writeln!(out)?;
        } else {
            self.table(&mut out, took)?;
        }
        out.flush()
    }

    fn table(&self, out: &mut impl Write, took: Duration) -> io::Result<()> {
        writeln!(out, "{:>12} {:>9}  {:64}  PATH", "BYTES", "LINES", "SHA-256")?;
        for Digest { path, bytes, lines, sha256 } in &self.files {
            writeln!(out, "{bytes:>12} {lines:>9}  {sha256:64}  {path}")?;
        }
        for Skipped { path, reason } in &self.skipped {
            writeln!(out, "skipped: {path} ({reason})")?;
        }
        for Failed { path, error } in &self.failed {
            writeln!(out, "failed: {}{error}", path.as_ref().map(|path| format!("{path}: ")).unwrap_or_default())?;
        }
        let Total { files, lines, bytes } = self.total();
        let (files, lines, bytes) = (count(files, "file"), count(lines, "line"), amount(bytes));
        let (skipped, failed) = (self.skipped.len(), self.failed.len());
        writeln!(out, "{files}, {lines}, {bytes} in {took:.1?}; {skipped} skipped, {failed} failed")
    }

    fn total(&self) -> Total {
        Total {
            files: self.files.len() as u64,
            lines: self.files.iter().map(|file| file.lines).sum(),
            bytes: self.files.iter().map(|file| file.bytes).sum(),
        }
    }
}

/// A path as text for people: what is not text, or would move the cursor, is replaced.
pub(crate) fn shown(path: &Path) -> String {
    let text = path.to_string_lossy();
    text.chars().map(|c| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c }).collect()
}

/// An amount of bytes as text for people.
pub(crate) fn amount(bytes: u64) -> String {
    const UNITS: [&str; 4] = ["kB", "MB", "GB", "TB"];
    if bytes < 1000 {
        return format!("{bytes} B");
    }
    let power = (bytes.ilog10() / 3).min(4);
    let unit = UNITS[power as usize - 1];
    let whole = 1000_u64.pow(power);
    format!("{}.{} {unit}", bytes / whole, bytes % whole * 10 / whole)
}

/// A number of things as text for people.
fn count(number: u64, thing: &str) -> String {
    format!("{number} {thing}{}", if number == 1 { "" } else { "s" })
}
