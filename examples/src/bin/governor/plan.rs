//! The plan: what to run, and how long and how strictly. Read from a JSON file.

use std::fmt;
use std::io;
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::de::{self, Deserialize, Deserializer, Visitor};

/// The governor's level.
#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Plan {
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) limits: Limits,
    /// How many executors run at the same time, whichever session they are of; all of them, if it is not said.
    pub(crate) executors_at_once: Option<NonZero<usize>>,
    pub(crate) sessions: Vec<Session>,
}

/// Executors that belong together.
#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Session {
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) limits: Limits,
    pub(crate) executors: Vec<Executor>,
}

/// One piece of work.
#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Executor {
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) limits: Limits,
    pub(crate) work: Work,
}

/// What each level may say about its scope.
#[derive(Debug, Clone, Copy, Default, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Limits {
    pub(crate) policy: Option<OnFailure>,
    #[serde(deserialize_with = "duration")]
    pub(crate) deadline: Option<Duration>,
    #[serde(deserialize_with = "duration")]
    pub(crate) grace: Option<Duration>,
}

/// What the failure of a member means for the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum OnFailure {
    /// It takes them down.
    Hard,
    /// They go on.
    Soft,
}

/// What an executor does. Paths of files are relative to the plan's.
#[derive(Debug, serde::Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
pub(crate) enum Work {
    /// Gets pages from the local server, all at the same time.
    Get { paths: Vec<String> },
    /// Runs a program.
    Run { program: String, args: Vec<String> },
    /// Reads files and counts their words.
    Read { files: Vec<PathBuf> },
    /// Counts prime numbers, on several processors.
    Primes { below: u64, parts: NonZero<u64> },
    /// Fails, after a while.
    Fail {
        #[serde(default, deserialize_with = "duration")]
        after: Option<Duration>,
        message: String,
    },
    /// Never ends by itself.
    Hang,
}

/// Why there is no plan.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PlanError {
    #[error("cannot read the plan {}: {source}", path.display())]
    Unreadable { path: PathBuf, source: io::Error },
    #[error("bad plan {}: line {line}, column {column}{}: {message}", path.display(), in_field(field))]
    Bad { path: PathBuf, line: usize, column: usize, field: String, message: String },
    #[error("no executor of the plan is named `{name}`; there are: {}", known.join(", "))]
    NoSuchExecutor { name: String, known: Vec<String> },
}

impl Plan {
    pub(crate) fn load(path: &Path) -> Result<Self, PlanError> {
        let unreadable = |source| PlanError::Unreadable { path: path.to_path_buf(), source };
        let text = std::fs::read_to_string(path).map_err(unreadable)?;
        let mut json = serde_json::Deserializer::from_str(&text);
        let plan = serde_path_to_error::deserialize(&mut json).map_err(|error| {
            let field = error.path().to_string();
            bad(path, field, error.inner())
        })?;
        json.end().map_err(|error| bad(path, ".".to_owned(), &error))?;
        Ok(plan)
    }

    /// Makes the executors of that name fail: `pages`, or `collect/pages` for the one in that session.
    pub(crate) fn fail(&mut self, name: &str) -> Result<(), PlanError> {
        let (mut found, mut known) = (false, Vec::new());
        for session in &mut self.sessions {
            for executor in &mut session.executors {
                let full = format!("{}/{}", session.name, executor.name);
                if name == executor.name || name == full {
                    executor.work = Work::Fail { after: None, message: "told to fail by --fail".to_owned() };
                    found = true;
                }
                known.push(full);
            }
        }
        if found { Ok(()) } else { Err(PlanError::NoSuchExecutor { name: name.to_owned(), known }) }
    }
}

fn bad(path: &Path, field: String, error: &serde_json::Error) -> PlanError {
    let (line, column) = (error.line(), error.column());
    let message = error.to_string();
    // The place is told once, in front.
    let message = message.strip_suffix(&format!(" at line {line} column {column}")).unwrap_or(&message).to_owned();
    PlanError::Bad { path: path.to_path_buf(), line, column, field, message }
}

/// A mistake in the JSON itself may be in no field, or in one whose name has not been read yet.
fn in_field(field: &str) -> String {
    match field.trim_end_matches(['.', '?']) {
        "" => String::new(),
        field => format!(", field `{field}`"),
    }
}

/// Reads "1s 500ms". By a visitor, so that a mistake is told with its own line and not the next token's.
fn duration<'de, D: Deserializer<'de>>(json: D) -> Result<Option<Duration>, D::Error> {
    Option::<Span>::deserialize(json).map(|span| span.map(|Span(duration)| duration))
}

struct Span(Duration);

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
        json.deserialize_str(Self(Duration::ZERO))
    }
}

impl Visitor<'_> for Span {
    type Value = Self;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a duration such as \"1s 500ms\"")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Self, E> {
        let duration = humantime::parse_duration(text);
        duration.map(Self).map_err(|error| E::custom(format!("{text:?} is no duration such as \"1s 500ms\": {error}")))
    }
}
