//! Hedged requests: ask one replica; if the answer takes too long, ask another one too; the first answer wins.
//!
//! What is asked in vain must not go on asking. Here it cannot: the requests are children of a nursery, so the losers are
//! cancelled and joined before the winner's answer is returned, and also if there is none.
//!
//! Were all replicas asked at the same time, `join::first_ok(requests)` would be all of it. Here it depends on the others
//! when the next one is asked, which a group that is given in advance cannot say. So this is a race by hand.

use std::io::{self, Write};
use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use futures::stream::{FuturesUnordered, StreamExt};
use sc_examples::http::{self, Reply};
use sc_tokio::{Cancelled, Failure, StartError, Supervise, nursery};

const NOTES: &str = "\
The exit code says what happened:

    0  a replica answered
    1  none could
    2  the command line is wrong
  124  the time was up";

/// Asks replicas of a server for a page until one answers. The replicas are started here.
#[derive(Debug, Parser)]
#[command(name = "hedged", version, after_help = NOTES)]
struct Options {
    /// How long to wait for an answer before the next replica is asked too
    #[arg(long, default_value = "100ms", value_parser = humantime::parse_duration)]
    after: Duration,

    /// Give up when this much time has passed
    #[arg(long, default_value = "10s", value_parser = humantime::parse_duration)]
    timeout: Duration,

    /// How long each replica takes to answer, or `down`
    #[arg(default_values = ["2s", "50ms", "50ms"], value_parser = replica)]
    replicas: Vec<Replica>,
}

/// How a replica behaves.
#[derive(Debug, Clone, Copy)]
enum Replica {
    Answers(Duration),
    Down,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
enum Error {
    #[error("replica {replica}: {source}")]
    Unreachable { replica: usize, source: io::Error },
    #[error("replica {replica}: status {status}")]
    Status { replica: usize, status: u16 },
    #[error("no replica could answer; the last said: {0}")]
    NoneLeft(String),
    #[error("cannot start a replica: {0}")]
    Start(io::Error),
    #[error(transparent)]
    Cancelled(#[from] Cancelled),
}

#[tokio::main]
async fn main() -> ExitCode {
    let options = Options::parse();
    match run(&options).await {
        Ok(answer) => {
            say(format_args!("answer: {}", answer.trim_end()));
            ExitCode::SUCCESS
        }
        Err(error) => {
            let _ = writeln!(io::stderr(), "error: {error}");
            let late = matches!(&error, Error::Cancelled(cancelled) if cancelled.is_deadline());
            ExitCode::from(if late { 124 } else { 1 })
        }
    }
}

/// Starts the replicas, and asks them.
async fn run(options: &Options) -> Result<String, Error> {
    nursery!(async |n| {
        let mut servers = Vec::new();
        for replica in options.replicas.iter().copied() {
            let server = async move |ready| {
                http::serve(http::ANY_PORT, ready, move |_| replica.reply()).await.map_err(Error::Start)
            };
            // A daemon: there for as long as somebody else is.
            let (server, _) = n.task().daemon().start(server).await.map_err(StartError::into_error)?;
            servers.push(server);
        }
        hedged(&servers, "/page", options.after).await
    })
    .named("hedged")
    .timeout(options.timeout)
    .await
}

/// The first answer that one of the servers gives.
async fn hedged(servers: &[SocketAddr], path: &'static str, after: Duration) -> Result<String, Error> {
    nursery!(async |n| {
        let mut next = servers.iter().copied().enumerate();
        let mut asked = FuturesUnordered::new();
        let mut last = "there is none".to_owned();
        // One that cannot answer is not to end the race: its failure is looked at here.
        loop {
            if let Some((replica, server)) = next.next() {
                say(format_args!("asked replica {replica}"));
                let request = n.spawn(ask(replica, server, path)).join();
                asked.push(async move { (replica, request.await) });
            } else if asked.is_empty() {
                return Err(Error::NoneLeft(last));
            }
            // The next is asked when the time is up, or at once if one more has failed.
            let answer = tokio::select! {
                Some(answer) = asked.next() => answer,
                () = tokio::time::sleep(after), if next.len() > 0 => continue,
            };
            match answer {
                (winner, Ok(page)) => {
                    say(format_args!("replica {winner} answered"));
                    n.cancel_children("another replica was faster");
                    while let Some((loser, end)) = asked.next().await {
                        say(format_args!("replica {loser} {}", lost(&end)));
                    }
                    return Ok(page);
                }
                (_, Err(failure)) => {
                    last = failure.to_string();
                    say(format_args!("{last}"));
                }
            }
        }
    })
    .named("race")
    .policy(Supervise)
    .await
}

async fn ask(replica: usize, server: SocketAddr, path: &'static str) -> Result<String, Error> {
    match http::get(server, path).await {
        Ok(response) if response.status == 200 => Ok(response.body),
        Ok(response) => Err(Error::Status { replica, status: response.status }),
        Err(source) => Err(Error::Unreachable { replica, source }),
    }
}

/// What became of a request that was not needed in the end.
fn lost(end: &Result<String, Failure<Error>>) -> &'static str {
    match end {
        Ok(_) => "answered too, a moment later",
        Err(Failure::Cancelled(_)) => "was cancelled and joined",
        Err(_) => "failed a moment later",
    }
}

impl Replica {
    fn reply(self) -> Reply {
        match self {
            Self::Answers(after) => Reply::new(200, "Hello from the page.\n").after(after),
            Self::Down => Reply::new(503, ""),
        }
    }
}

fn replica(text: &str) -> Result<Replica, humantime::DurationError> {
    if text == "down" { Ok(Replica::Down) } else { humantime::parse_duration(text).map(Replica::Answers) }
}

/// A line on standard output. `println!` would panic if nobody reads it any more.
fn say(line: std::fmt::Arguments<'_>) {
    let _ = writeln!(io::stdout(), "{line}");
}
