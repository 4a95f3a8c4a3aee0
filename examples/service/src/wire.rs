//! The protocol between the services: a greeting, then a line for each line.
//!
//! As small as a protocol can be that is like those of databases and caches: a connection takes time to open, serves one
//! question at a time, and is of no use any more if a question was given up half-way.

use std::io;
use std::net::SocketAddr;

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

/// What a client says first.
pub const HELLO: &str = "hello";

/// What the server says then.
pub const WELCOME: &str = "welcome";

/// An open connection to a server.
#[derive(Debug)]
pub struct Connection {
    stream: BufReader<TcpStream>,
    /// A question is on its way, or its answer.
    busy: bool,
}

impl Connection {
    /// Connects, and waits for the greeting.
    ///
    /// # Errors
    ///
    /// If nobody is there, or somebody who does not greet.
    ///
    /// # Cancel safety
    ///
    /// Dropping it closes the connection.
    pub async fn open(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let mut connection = Self { stream: BufReader::new(stream), busy: false };
        if connection.ask(HELLO).await? == WELCOME {
            return Ok(connection);
        }
        Err(io::Error::new(io::ErrorKind::InvalidData, "the server does not greet"))
    }

    /// Asks for a line with a line.
    ///
    /// # Errors
    ///
    /// If the connection breaks before the answer is complete.
    ///
    /// # Cancel safety
    ///
    /// Dropping it leaves a connection that is not [idle](Self::is_idle) and must not be used again.
    pub async fn ask(&mut self, question: &str) -> io::Result<String> {
        self.busy = true;
        self.stream.write_all(format!("{question}\n").as_bytes()).await?;
        let mut answer = String::new();
        self.stream.read_line(&mut answer).await?;
        if answer.pop() != Some('\n') {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.busy = false;
        Ok(answer)
    }

    /// Whether the next question can be asked: no answer is outstanding, and the server has not hung up.
    pub fn is_idle(&self) -> bool {
        let nothing_there =
            |read: io::Result<usize>| read.is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock);
        !self.busy && nothing_there(self.stream.get_ref().try_read(&mut [0]))
    }
}
