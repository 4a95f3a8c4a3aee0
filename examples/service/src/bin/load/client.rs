//! A client that costs little: what it takes is missing from the service, on a machine with few processors.

use std::io;
use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// A connection that is kept.
#[derive(Debug)]
pub(crate) struct Client {
    stream: TcpStream,
    received: Vec<u8>,
}

impl Client {
    pub(crate) async fn connect(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, received: Vec::with_capacity(4096) })
    }

    /// Asks, and does not wait for the answer.
    pub(crate) async fn ask(&mut self, path: &str) -> io::Result<()> {
        self.stream.write_all(format!("GET {path} HTTP/1.1\r\nhost: load\r\n\r\n").as_bytes()).await
    }

    /// Asks, and gives the answer's status and body.
    pub(crate) async fn get(&mut self, path: &str) -> io::Result<(u16, String)> {
        self.ask(path).await?;
        self.received.clear();
        loop {
            if self.stream.read_buf(&mut self.received).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            if let Some(answer) = complete(&self.received) {
                return answer;
            }
        }
    }
}

/// The answer, if all of it is there.
fn complete(received: &[u8]) -> Option<io::Result<(u16, String)>> {
    let text = std::str::from_utf8(received).ok()?;
    let (head, body) = text.split_once("\r\n\r\n")?;
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
    let status = head.get(9..12).and_then(|status| status.parse().ok());
    match (status, length) {
        (Some(_), Some(length)) if body.len() < length => None,
        (Some(status), Some(_)) => Some(Ok((status, body.to_owned()))),
        _ => Some(Err(io::ErrorKind::InvalidData.into())),
    }
}
