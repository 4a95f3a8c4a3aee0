//! How far the run has got, and the line that shows it on a terminal.

use std::fmt;
use std::io::{self, Write};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use crate::report::amount;

/// Counters that the children write and the line reads. Relaxed: each stands for itself.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    found: AtomicUsize,
    done: AtomicUsize,
    bytes: AtomicU64,
}

impl Progress {
    /// The walk is over.
    pub(crate) fn found(&self, files: usize) {
        self.found.store(files, Relaxed);
    }

    /// A chunk was read.
    pub(crate) fn read(&self, bytes: usize) {
        self.bytes.fetch_add(bytes as u64, Relaxed);
    }

    /// A file was digested, or could not be.
    pub(crate) fn done(&self) {
        self.done.fetch_add(1, Relaxed);
    }

    /// Redraws the line for as long as it is polled. Wherever it is dropped, the line goes with it.
    pub(crate) async fn keep_line(&self) -> ! {
        let _erased = EraseOnDrop;
        let mut ticks = tokio::time::interval(Duration::from_millis(100));
        loop {
            ticks.tick().await;
            draw(format_args!("{self}"));
        }
    }
}

impl fmt::Display for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (done, found) = (self.done.load(Relaxed), self.found.load(Relaxed));
        write!(f, "{done} of {found} files, {}", amount(self.bytes.load(Relaxed)))
    }
}

struct EraseOnDrop;

impl Drop for EraseOnDrop {
    fn drop(&mut self) {
        draw(format_args!(""));
    }
}

/// Puts the text in place of the line. A terminal that went away is no reason to stop.
fn draw(text: fmt::Arguments<'_>) {
    let mut terminal = io::stderr().lock();
    let _ = write!(terminal, "\r\x1b[2K{text}").and_then(|()| terminal.flush());
}
