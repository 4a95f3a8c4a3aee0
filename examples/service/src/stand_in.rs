//! The other services: real servers on real ports, in this program, so that the example runs by itself.

use std::fmt;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use sc_tokio::{Scope, Supervise, nursery};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

use crate::config::Upstreams;
use crate::wire::WELCOME;

/// A service that is running.
#[derive(Debug)]
pub struct StandIn {
    /// Where.
    pub address: SocketAddr,
    /// What it has lived through.
    pub seen: Arc<Seen>,
}

/// What a service has lived through.
#[derive(Debug, Default)]
pub struct Seen {
    asked: AtomicUsize,
    answered: AtomicUsize,
    abandoned: AtomicUsize,
}

/// What to answer, and when.
pub struct Reply {
    /// `None`: hang up instead.
    line: Option<String>,
    /// `None`: at once.
    when: Option<BoxFuture<'static, ()>>,
}

impl Reply {
    /// The answer to [`HELLO`](crate::wire::HELLO).
    pub fn welcome() -> Self {
        Self::line(WELCOME.to_owned())
    }

    /// A value, as JSON.
    pub fn value(value: &serde_json::Value) -> Self {
        Self::line(format!("ok {value}"))
    }

    /// There is no such thing.
    pub fn none() -> Self {
        Self::line("none".to_owned())
    }

    /// An error.
    pub fn error(text: &str) -> Self {
        Self::line(format!("error {text}"))
    }

    /// Whatever it says.
    pub const fn line(line: String) -> Self {
        Self { line: Some(line), when: None }
    }

    /// No answer at all.
    pub const fn hang_up() -> Self {
        Self { line: None, when: None }
    }

    /// The same answer, later.
    #[must_use]
    pub fn after(self, time: Duration) -> Self {
        self.when(tokio::time::sleep(time))
    }

    /// The same answer, when something else has happened.
    #[must_use]
    pub fn when(self, event: impl Future<Output = ()> + Send + 'static) -> Self {
        Self { when: Some(event.boxed()), ..self }
    }
}

impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reply").field("line", &self.line).finish_non_exhaustive()
    }
}

impl Seen {
    /// Questions, greetings included.
    pub fn asked(&self) -> usize {
        self.asked.load(Relaxed)
    }

    /// Questions whose answer was sent.
    pub fn answered(&self) -> usize {
        self.answered.load(Relaxed)
    }

    /// Questions whose asker hung up before the answer.
    pub fn abandoned(&self) -> usize {
        self.abandoned.load(Relaxed)
    }
}

/// Starts a service that answers every line with what `answer` says; [`HELLO`](crate::wire::HELLO) comes first. It is there for as long as others are in
/// the scope.
///
/// # Errors
///
/// If no port is free.
///
/// # Cancel safety
///
/// Dropping it starts nothing.
pub async fn start<E, A>(n: &Scope<E>, name: &'static str, answer: A) -> io::Result<StandIn>
where
    E: fmt::Debug + Send + 'static,
    A: Fn(&str) -> Reply + Clone + Send + Sync + 'static,
{
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let stand_in = StandIn { address: listener.local_addr()?, seen: Arc::default() };
    n.task().name(name).daemon().spawn(serve(listener, Arc::clone(&stand_in.seen), answer));
    Ok(stand_in)
}

/// Addresses at which nobody is.
pub const fn nowhere() -> Upstreams {
    let nobody = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 1);
    Upstreams { catalog: nobody, reviews: nobody, payments: nobody, mail: nobody, rates: nobody }
}

async fn serve<A>(listener: TcpListener, seen: Arc<Seen>, answer: A)
where
    A: Fn(&str) -> Reply + Clone + Send + Sync + 'static,
{
    let conversations = nursery!(async |n| -> io::Result<()> {
        loop {
            let (stream, _) = listener.accept().await?;
            let (seen, answer) = (Arc::clone(&seen), answer.clone());
            n.spawn(async move {
                // Who has gone is not told why.
                let _ = conversation(stream, &seen, answer).await;
            });
        }
    });
    if let Err(error) = conversations.named("conversations").policy(Supervise).await {
        crate::log::log(format_args!("a stand-in has ended: {error}"));
    }
}

async fn conversation(mut stream: TcpStream, seen: &Seen, answer: impl Fn(&str) -> Reply) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let (read, mut write) = stream.split();
    let mut lines = BufReader::new(read).lines();
    while let Some(question) = lines.next_line().await? {
        seen.asked.fetch_add(1, Relaxed);
        let reply = answer(&question);
        if let Some(time) = reply.when {
            tokio::select! {
                () = time => {}
                // Nobody asks twice at the same time: the asker has hung up.
                _ = lines.next_line() => {
                    seen.abandoned.fetch_add(1, Relaxed);
                    return Ok(());
                }
            }
        }
        let Some(line) = reply.line else { return Ok(()) };
        write.write_all(format!("{line}\n").as_bytes()).await?;
        seen.answered.fetch_add(1, Relaxed);
    }
    Ok(())
}
