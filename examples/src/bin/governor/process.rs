//! A process that ends with its scope.

use std::io;
use std::process::Stdio;
use std::sync::Arc;

use sc_examples::PLAN_ID;
use sc_tokio::{Leaked, Scope};
use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::Mutex;

use crate::error::Error;
use crate::tally::Gauge;

/// Runs a program to its end. If the scope ends first, for whatever reason, the process is killed and reaped.
pub(crate) async fn run(
    n: &Scope<Error>,
    program: &str,
    arguments: &[String],
    processes: &Gauge,
) -> Result<String, Error> {
    let (program, mut command, counted) = (program.to_owned(), command(program, arguments), processes.clone());
    let process =
        n.resource(async move { Process::start(&mut command, program, counted) }, async move |process, _end| {
            // Nobody has a share; if somebody had, the process would have to go all the same.
            process.map_or_else(Leaked::into_shared, Arc::new).reap().await
        });
    let process = process.await?;
    let mut child = process.child.lock().await;
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let ended = tokio::try_join!(lines(stdout), lines(stderr), child.wait());
    let (out, err, status) = ended.map_err(|source| process.failed(source))?;
    if status.success() {
        Ok(format!("{} lines, the last: {}", out.count, out.last))
    } else {
        Err(Error::Exit { program: process.program.clone(), status, said: err.last })
    }
}

fn command(program: &str, arguments: &[String]) -> Command {
    let mut command = Command::new(program);
    command
        .args(arguments)
        .env("PLAN_ID", PLAN_ID.get())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    // Should the runtime end before the finalizers have run.
    command.kill_on_drop(true);
    // Ctrl-C on a terminal goes to the whole group of processes. This one is stopped by its scope.
    #[cfg(unix)]
    command.process_group(0);
    command
}

/// Started, and not reaped yet.
struct Process {
    program: String,
    child: Mutex<Child>,
    counted: Gauge,
}

impl Process {
    fn start(command: &mut Command, program: String, counted: Gauge) -> Result<Self, Error> {
        match command.spawn() {
            Ok(child) => {
                counted.begin();
                Ok(Self { program, child: Mutex::new(child), counted })
            }
            Err(source) => Err(Error::Process { program, source }),
        }
    }

    async fn reap(&self) -> Result<(), Error> {
        let mut child = self.child.lock().await;
        let reaped = match child.try_wait() {
            Ok(None) => child.kill().await,
            ended => ended.map(drop),
        };
        reaped.map_err(|source| self.failed(source))?;
        self.counted.end();
        Ok(())
    }

    fn failed(&self, source: io::Error) -> Error {
        Error::Process { program: self.program.clone(), source }
    }
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

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::path::{Path, PathBuf};

    use sc_tokio::nursery;

    use super::*;

    /// Runs a shell that writes its number to a file and goes on for ever; when it has, `end` comes to the aid of its scope.
    /// Gives the number.
    async fn end_of(script: &str, end: impl Fn(&Scope<Error>) -> Result<(), Error> + Send + 'static) -> String {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("pid");
        let (arguments, processes) =
            (["-c".to_owned(), script.replace("FILE", &file.to_string_lossy())], Gauge::default());
        let outcome = PLAN_ID.scope("run".to_owned(), async {
            nursery!(async |n| {
                n.spawn_with(async move |n: &Scope<Error>| {
                    number_in(file).await;
                    end(n)
                });
                run(n, "sh", &arguments, &processes).await
            })
            .outcome()
            .await
        });
        assert!(!outcome.await.is_ok());
        assert_eq!(processes.to_string(), "0 of 1");
        number_in(directory.path().join("pid")).await
    }

    #[allow(clippy::unnecessary_wraps, reason = "another way to end a scope is to fail")]
    fn cancel(n: &Scope<Error>) -> Result<(), Error> {
        n.cancel("no longer wanted");
        Ok(())
    }

    async fn number_in(file: PathBuf) -> String {
        loop {
            if let Some(number) = std::fs::read_to_string(&file).unwrap_or_default().strip_suffix('\n') {
                return number.to_owned();
            }
            tokio::task::yield_now().await;
        }
    }

    /// A process that was killed and not reaped is a zombie, which has an entry there.
    fn assert_reaped(process: &str) {
        assert!(!Path::new("/proc").join(process).exists(), "process {process} is still there");
    }

    #[tokio::test]
    async fn a_process_is_reaped_when_its_scope_ends_whatever_ends_it() {
        let script = "echo $$ >FILE; exec sleep 1000";
        assert_reaped(&end_of(script, cancel).await);
        assert_reaped(&end_of(script, |_| Err(Error::Planned("no luck".to_owned()))).await);
    }

    #[tokio::test]
    async fn a_process_that_has_nothing_more_to_say_or_does_not_listen_is_reaped_too() {
        for script in
            ["exec >&- 2>&-; echo $$ >FILE; exec sleep 1000", "trap '' TERM INT; echo $$ >FILE; exec sleep 1000"]
        {
            assert_reaped(&end_of(script, cancel).await);
        }
    }

    #[tokio::test]
    async fn a_process_whose_scope_is_dropped_is_reaped_by_the_scope_around() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("pid");
        let (arguments, processes) =
            (["-c".to_owned(), format!("echo $$ >{}; exec sleep 1000", file.display())], Gauge::default());
        let outer = PLAN_ID.scope("run".to_owned(), async {
            nursery!(async |_n| -> Result<(), Error> {
                let inner = nursery!(async |n| run(n, "sh", &arguments, &processes).await).into_future();
                tokio::select! {
                    _ = inner => unreachable!("it sleeps"),
                    _ = number_in(file.clone()) => Ok(()),
                }
            })
            .await
        });
        outer.await.unwrap();
        assert_eq!(processes.to_string(), "0 of 1");
        assert_reaped(&number_in(file).await);
    }
}
