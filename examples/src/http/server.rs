//! Answering.

use std::io;
use std::net::Ipv4Addr;
use std::time::Duration;

use sc_tokio::{Supervise, nursery};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

/// What to answer.
#[derive(Debug, Clone)]
pub struct Reply {
    /// 200 if all is well.
    pub status: u16,
    /// What was asked for.
    pub body: String,
    /// How long to let the client wait for it.
    pub after: Duration,
}

impl Reply {
    /// An answer with a status, at once.
    #[must_use]
    pub fn new(status: u16, body: impl Into<String>) -> Self {
        Self { status, body: body.into(), after: Duration::ZERO }
    }

    /// The same answer, later.
    #[must_use]
    pub fn after(self, after: Duration) -> Self {
        Self { after, ..self }
    }
}

/// Opens a port on loopback that nobody else uses.
///
/// # Errors
///
/// If the system has none.
pub async fn listen() -> io::Result<TcpListener> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await
}

/// Answers requests until it is cancelled or the port fails; `route` is asked what.
///
/// # Cancel safety
///
/// Dropping it ends its connections; the enclosing scope waits for them.
///
/// # Errors
///
/// If the port fails.
pub async fn serve<R>(listener: TcpListener, route: R) -> io::Result<()>
where
    R: Fn(&str) -> Reply + Clone + Send + 'static,
{
    nursery!(async |n| {
        loop {
            let (stream, _) = listener.accept().await?;
            let route = route.clone();
            n.spawn(async move {
                // A client that went away is no reason to do anything.
                answer(stream, route).await.unwrap_or_default();
            });
        }
    })
    .named("server")
    // One connection's panic is not the others' concern.
    .policy(Supervise)
    .await
}

async fn answer(mut stream: TcpStream, route: impl Fn(&str) -> Reply) -> io::Result<()> {
    let (read, mut write) = stream.split();
    let mut lines = BufReader::new(read).lines();
    let request = lines.next_line().await?.unwrap_or_default();
    // The headers say nothing that we would do differently.
    while lines.next_line().await?.is_some_and(|line| !line.is_empty()) {}

    let mut words = request.split(' ');
    let reply = match (words.next(), words.next()) {
        (Some("GET"), Some(path)) => route(path),
        _ => Reply::new(400, "only GET is served here\n"),
    };
    tokio::time::sleep(reply.after).await;
    let Reply { status, body, .. } = reply;
    let answer = format!("HTTP/1.1 {status} -\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len());
    write.write_all(answer.as_bytes()).await?;
    write.shutdown().await
}
