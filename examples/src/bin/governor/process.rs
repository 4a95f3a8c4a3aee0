//! A process that ends with its scope.

use std::io;
use std::process::Stdio;
use std::sync::Arc;

use sc_tokio::Scope;
use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::Mutex;

use crate::error::Error;
use crate::tally::Gauge;

/// Runs a program to its end. If the scope ends first, for whatever reason, a finalizer kills and reaps the process.
pub(crate) async fn run(
    n: &Scope<Error>,
    program: &str,
    arguments: &[String],
    processes: &Gauge,
) -> Result<String, Error> {
    let failed = |source| Error::Process { program: program.to_owned(), source };
    let mut child = command(program, arguments).spawn().map_err(failed)?;
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());

    // No await since the start: there is no moment at which the process has no owner.
    processes.begin();
    let child = Arc::new(Mutex::new(child));
    let (theirs, name, counted) = (Arc::clone(&child), program.to_owned(), processes.clone());
    n.defer(async move |_end| {
        reap(&mut *theirs.lock().await).await.map_err(|source| Error::Process { program: name, source })?;
        counted.end();
        Ok::<(), Error>(())
    });

    // If the scope ends here, the lock is dropped with this future, and the finalizer gets it.
    let ended = async { child.lock().await.wait().await };
    let (out, err, status) = tokio::try_join!(lines(stdout), lines(stderr), ended).map_err(failed)?;
    if status.success() {
        Ok(format!("{} lines, the last: {}", out.count, out.last))
    } else {
        Err(Error::Exit { program: program.to_owned(), status, said: err.last })
    }
}

fn command(program: &str, arguments: &[String]) -> Command {
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    // Should the runtime end before the finalizers have run.
    command.kill_on_drop(true);
    // Ctrl-C on a terminal goes to the whole group of processes. This one is stopped by its scope.
    #[cfg(unix)]
    command.process_group(0);
    command
}

async fn reap(child: &mut Child) -> io::Result<()> {
    if child.try_wait()?.is_none() {
        child.start_kill()?;
        child.wait().await?;
    }
    Ok(())
}

/// What a process said.
#[derive(Default)]
struct Lines {
    count: usize,
    last: String,
}

async fn lines(output: Option<impl AsyncRead + Unpin>) -> io::Result<Lines> {
    let mut said = Lines::default();
    let Some(output) = output else { return Ok(said) };
    let mut lines = BufReader::new(output).lines();
    while let Some(line) = lines.next_line().await? {
        said = Lines { count: said.count + 1, last: line };
    }
    Ok(said)
}
