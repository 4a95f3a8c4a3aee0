//! Answering.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use sc_tokio::{Ready, Supervise, nursery};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

use super::PLAN_ID_HEADER;
use crate::PLAN_ID;

/// A port on loopback that nobody else uses.
pub const ANY_PORT: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

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

/// Opens a port, says which one it is, and answers requests until it is cancelled or the port fails; `route` is asked what,
/// with [`PLAN_ID`] bound to what came with the request.
///
/// # Cancel safety
///
/// Dropping it ends its connections; the enclosing scope waits for them.
///
/// # Errors
///
/// If the port is taken, or fails.
pub async fn serve<R>(address: SocketAddr, ready: Ready<SocketAddr>, route: R) -> io::Result<()>
where
    R: Fn(&str) -> Reply + Clone + Send + 'static,
{
    let listener = TcpListener::bind(address).await?;
    ready.signal(listener.local_addr()?);
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
    let mut whose = None;
    // The other headers say nothing that we would do differently.
    while let Some(header) = lines.next_line().await?.filter(|line| !line.is_empty()) {
        let plan_id = header.split_once(": ").filter(|(name, _)| name.eq_ignore_ascii_case(PLAN_ID_HEADER));
        whose = plan_id.map(|(_, id)| id.to_owned()).or(whose);
    }

    let mut words = request.split(' ');
    let reply = match (words.next(), words.next()) {
        (Some("GET"), Some(path)) => match whose {
            Some(id) => PLAN_ID.sync_scope(id, || route(path)),
            None => route(path),
        },
        _ => Reply::new(400, "only GET is served here\n"),
    };
    tokio::time::sleep(reply.after).await;
    let Reply { status, body, .. } = reply;
    let answer = format!("HTTP/1.1 {status} -\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len());
    write.write_all(answer.as_bytes()).await?;
    write.shutdown().await
}
