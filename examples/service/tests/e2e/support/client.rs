//! HTTP as it is on the wire, so that a test can stop anywhere.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;

use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

use super::watched;

/// A connection to the service. Dropping it is leaving.
pub(crate) struct Client {
    stream: BufReader<TcpStream>,
}

/// What the service has answered.
#[derive(Debug)]
pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) headers: HashMap<String, String>,
    pub(crate) body: String,
}

impl Response {
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

impl Client {
    pub(crate) async fn connect(address: SocketAddr) -> Self {
        Self { stream: BufReader::new(TcpStream::connect(address).await.expect("the service is there")) }
    }

    pub(crate) fn over(stream: TcpStream) -> Self {
        Self { stream: BufReader::new(stream) }
    }

    /// Bytes, whatever they say. If the service has hung up, that is seen when the answer is read.
    pub(crate) async fn send(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        self.stream.write_all(bytes.as_ref()).await.is_ok()
    }

    /// A request without a body; `headers` are lines.
    pub(crate) async fn ask(&mut self, path: &str, headers: &str) {
        self.send(format!("GET {path} HTTP/1.1\r\nhost: shop\r\n{headers}\r\n")).await;
    }

    pub(crate) async fn get(&mut self, path: &str) -> Response {
        self.ask(path, "").await;
        self.response().await
    }

    /// An order of product 1.
    pub(crate) async fn order(&mut self, id: u64) {
        let body = r#"{"product":1,"email":"ada@example.org"}"#;
        self.put(&format!("/orders/{id}"), body).await;
    }

    pub(crate) async fn put(&mut self, path: &str, body: &str) {
        let length = body.len();
        let head =
            format!("PUT {path} HTTP/1.1\r\nhost: shop\r\ncontent-type: application/json\r\ncontent-length: {length}");
        self.send(format!("{head}\r\n\r\n{body}")).await;
    }

    #[track_caller]
    pub(crate) fn response(&mut self) -> impl Future<Output = Response> {
        let response = watched(self.try_response());
        async { response.await.expect("a complete answer") }
    }

    /// The next answer; an error if the service hangs up before it is complete.
    pub(crate) async fn try_response(&mut self) -> io::Result<Response> {
        let head = self.head().await?;
        let mut lines = head.lines();
        let status =
            lines.next().and_then(|line| line.split(' ').nth(1)?.parse().ok()).ok_or(io::ErrorKind::InvalidData)?;
        let headers: HashMap<_, _> = lines
            .filter_map(|line| line.split_once(": "))
            .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
            .collect();
        let body = match headers.get("content-length").map(|length| length.parse::<usize>()) {
            Some(length) => {
                let mut body = vec![0; length.map_err(|_| io::ErrorKind::InvalidData)?];
                self.stream.read_exact(&mut body).await?;
                body
            }
            None if headers.contains_key("transfer-encoding") => {
                let mut body = Vec::new();
                while let Some(chunk) = self.chunk().await? {
                    body.extend(chunk);
                }
                body
            }
            None => Vec::new(),
        };
        let body = String::from_utf8(body).map_err(|_| io::ErrorKind::InvalidData)?;
        Ok(Response { status, headers, body })
    }

    /// The lines of an answer's head.
    pub(crate) async fn head(&mut self) -> io::Result<String> {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if self.stream.read_line(&mut head).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        Ok(head)
    }

    /// The next part of a streamed body; `None` at its proper end.
    pub(crate) async fn chunk(&mut self) -> io::Result<Option<Vec<u8>>> {
        let mut length = String::new();
        self.stream.read_line(&mut length).await?;
        let length = usize::from_str_radix(length.trim_end(), 16).map_err(|_| io::ErrorKind::UnexpectedEof)?;
        let mut chunk = vec![0; length + 2];
        self.stream.read_exact(&mut chunk).await?;
        chunk.truncate(length);
        Ok((length > 0).then_some(chunk))
    }

    /// Waits until the service hangs up, and gives what it has said before that.
    pub(crate) async fn rest(&mut self) -> String {
        let mut rest = Vec::new();
        // A reset is an end, too.
        let _ = watched(self.stream.read_to_end(&mut rest)).await;
        String::from_utf8_lossy(&rest).into_owned()
    }
}
