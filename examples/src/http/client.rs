//! Asking.

use std::io;
use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::PLAN_ID_HEADER;
use crate::PLAN_ID;

/// What a server answered.
#[derive(Debug)]
pub struct Response {
    /// 200 if all is well.
    pub status: u16,
    /// What was asked for.
    pub body: String,
}

/// Asks a server for a path, and says for whom ([`PLAN_ID`]) if that is known here.
///
/// # Cancel safety
///
/// Dropping the future closes the connection.
///
/// # Errors
///
/// If the server cannot be reached, or answers something that is not HTTP.
pub async fn get(server: SocketAddr, path: &str) -> io::Result<Response> {
    let mut stream = TcpStream::connect(server).await?;
    let whose = PLAN_ID.try_with(|id| format!("{PLAN_ID_HEADER}: {id}\r\n")).unwrap_or_default();
    let request = format!("GET {path} HTTP/1.1\r\nHost: {server}\r\n{whose}Connection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    // The server closes the connection behind its answer, since it was asked to.
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    parse(&answer).ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "the answer is not HTTP, or cut short"))
}

fn parse(answer: &str) -> Option<Response> {
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let mut lines = head.lines();
    let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
    let length: usize = lines.find_map(|line| line.strip_prefix("Content-Length: "))?.parse().ok()?;
    (body.len() == length).then(|| Response { status, body: body.to_owned() })
}
