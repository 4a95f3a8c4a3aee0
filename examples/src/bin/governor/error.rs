//! Why a piece of work did not get done.

use std::io;
use std::path::PathBuf;
use std::process::ExitStatus;

use sc_tokio::Cancelled;

/// One type for every level, so that an executor's error can become its session's and the plan's.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("GET {path}: {source}")]
    Get { path: String, source: io::Error },
    #[error("GET {path}: status {status}")]
    Status { path: String, status: u16 },
    #[error("{}: {source}", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("{program}: {source}")]
    Process { program: String, source: io::Error },
    #[error("{program}: {status}: {said}")]
    Exit { program: String, status: ExitStatus, said: String },
    #[error("{0}")]
    Planned(String),
    #[error("the server: {0}")]
    Server(io::Error),
    #[error("cannot write the report: {0}")]
    Report(io::Error),
    #[error("{name}: {source}")]
    Of { name: String, source: Box<Error> },
    /// The one variant that a scope asks of its error type.
    #[error(transparent)]
    Cancelled(#[from] Cancelled),
}

impl Error {
    /// Says whose error it is.
    pub(crate) fn of(self, name: &str) -> Self {
        Self::Of { name: name.to_owned(), source: Box::new(self) }
    }

    /// Whether it only says that an enclosing scope was cancelled.
    pub(crate) fn came_from_above(&self) -> bool {
        match self {
            Self::Of { source, .. } => source.came_from_above(),
            Self::Cancelled(cancelled) => cancelled.is_inherited(),
            _ => false,
        }
    }
}
