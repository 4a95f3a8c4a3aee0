//! A server that answers each line with its words in reverse.
//!
//! Take a Tokio server as it is usually written, put `#[scoped]` above the functions that start tasks, and write
//! `sc_tokio::spawn` where `tokio::spawn` stood: nothing else is different. A connection ends with everything that was
//! started for it; the server ends when all connections have.

use std::io::{self, Write};
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use clap::Parser;
use sc_tokio::{OutcomeKind, nursery, scoped};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::tcp::OwnedWriteHalf;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

/// Nobody may occupy the server longer.
const LONGEST_VISIT: Duration = Duration::from_secs(10 * 60);

/// Answers each line with its words in reverse, until Ctrl-C.
#[derive(Debug, Parser)]
#[command(name = "line_server", version)]
struct Options {
    /// Where to listen; port 0 for one that is free
    #[arg(default_value = "127.0.0.1:7007")]
    address: SocketAddr,
}

/// For the last words of the server.
static OPEN: AtomicUsize = AtomicUsize::new(0);
static SERVED: AtomicUsize = AtomicUsize::new(0);

#[tokio::main]
async fn main() -> ExitCode {
    let options = Options::parse();
    let outcome = nursery!(async |_n| -> io::Result<()> {
        let listener = TcpListener::bind(options.address).await?;
        say(format_args!("listening on {}", listener.local_addr()?));
        serve(listener).await
    })
    .named("line server")
    .cancel_on(sc_examples::interrupted().await)
    .outcome()
    .await;

    // Here no connection is left, and no task of one.
    let (open, served) = (OPEN.load(Relaxed), SERVED.load(Relaxed));
    say(format_args!("connections served: {served}, still open: {open}"));
    match (outcome.kind(), outcome.failures().first()) {
        // That is how a server ends.
        (OutcomeKind::Cancelled, _) => ExitCode::SUCCESS,
        (_, Some(failure)) => {
            let _ = writeln!(io::stderr(), "error: {failure}");
            ExitCode::FAILURE
        }
        _ => ExitCode::FAILURE,
    }
}

/// Accepts connections until its port fails, or its caller is cancelled.
#[scoped]
async fn serve(listener: TcpListener) -> io::Result<()> {
    loop {
        let (stream, client) = listener.accept().await?;
        sc_tokio::spawn(async move {
            // A connection's error is nobody else's: it is told, and the others go on.
            if let Err(error) = connection(stream).await {
                let _ = writeln!(io::stderr(), "{client}: {error}");
            }
        });
    }
}

/// Serves one client. Whatever ends it (the client, an error, the time, Ctrl-C), the tasks that it started end with it.
#[scoped(timeout = LONGEST_VISIT)]
async fn connection(stream: TcpStream) -> io::Result<()> {
    let _open = Open::new();
    let (read, write) = stream.into_split();
    let (replies, queue) = mpsc::channel(16);
    let writer = sc_tokio::spawn(write_lines(write, queue));

    let mut lines = BufReader::new(read).lines();
    while let Some(line) = lines.next_line().await? {
        let reply = line.split_whitespace().rev().collect::<Vec<_>>().join(" ");
        if replies.send(reply).await.is_err() {
            // The writer has ended, and knows why.
            break;
        }
    }
    drop(replies);
    writer.await?
}

/// Writes what is queued, so that a client which does not read its replies keeps nobody from reading its lines.
async fn write_lines(mut write: OwnedWriteHalf, mut queue: mpsc::Receiver<String>) -> io::Result<()> {
    while let Some(mut line) = queue.recv().await {
        line.push('\n');
        write.write_all(line.as_bytes()).await?;
    }
    write.shutdown().await
}

/// Counts a connection for as long as it is open.
struct Open(());

impl Open {
    fn new() -> Self {
        OPEN.fetch_add(1, Relaxed);
        SERVED.fetch_add(1, Relaxed);
        Self(())
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        OPEN.fetch_sub(1, Relaxed);
    }
}

/// A line on standard output. `println!` would panic if nobody reads it any more.
fn say(line: std::fmt::Arguments<'_>) {
    let _ = writeln!(io::stdout(), "{line}");
}
