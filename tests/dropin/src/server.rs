//! The commonest shape: an accept loop with a task per connection, whose handle sits in a struct.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinError, JoinHandle};
use tokio_util::sync::CancellationToken;

/// Answers each line with itself.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    served: Arc<AtomicUsize>,
    stop: CancellationToken,
    accepting: JoinHandle<io::Result<()>>,
}

impl Server {
    /// Listens on a port of the system's choice.
    ///
    /// # Errors
    ///
    /// If there is none.
    pub async fn start() -> io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let (served, stop) = (Arc::new(AtomicUsize::new(0)), CancellationToken::new());
        let accepting = tokio::spawn(accept(listener, Arc::clone(&served), stop.clone()));
        Ok(Self { address, served, stop, accepting })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// How many connections have ended.
    pub fn served(&self) -> usize {
        self.served.load(Ordering::SeqCst)
    }

    /// Whether it still accepts.
    pub fn is_accepting(&self) -> bool {
        !self.accepting.is_finished()
    }

    /// Asks it to accept no more.
    ///
    /// # Errors
    ///
    /// What went wrong meanwhile.
    pub async fn stop(self) -> io::Result<()> {
        self.stop.cancel();
        self.accepting.await.map_err(io::Error::other)?
    }

    /// Does not ask.
    ///
    /// # Errors
    ///
    /// What the handle says then.
    pub async fn abort(self) -> Result<io::Result<()>, JoinError> {
        self.accepting.abort();
        self.accepting.await
    }
}

async fn accept(listener: TcpListener, served: Arc<AtomicUsize>, stop: CancellationToken) -> io::Result<()> {
    loop {
        tokio::select! {
            () = stop.cancelled() => return Ok(()),
            accepted = listener.accept() => {
                let (socket, _) = accepted?;
                let served = Arc::clone(&served);
                tokio::spawn(async move {
                    // A client that leaves in the middle is no news.
                    let _ = answer(socket).await;
                    served.fetch_add(1, Ordering::SeqCst);
                });
            }
        }
    }
}

async fn answer(socket: TcpStream) -> io::Result<()> {
    let (read, mut write) = socket.into_split();
    let mut lines = BufReader::new(read).lines();
    while let Some(line) = lines.next_line().await? {
        write.write_all(format!("{line}\n").as_bytes()).await?;
    }
    Ok(())
}
