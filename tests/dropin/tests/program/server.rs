//! The server, over real sockets.

use std::io;
use std::time::Duration;

use sc_dropin::server::Server;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// Real sockets, so a real limit: only a hang exceeds it.
const LONG: Duration = Duration::from_secs(30);

async fn ask(server: &Server, line: &str) -> io::Result<String> {
    let mut socket = BufReader::new(TcpStream::connect(server.address()).await?);
    socket.write_all(format!("{line}\n").as_bytes()).await?;
    let mut answer = String::new();
    socket.read_line(&mut answer).await?;
    Ok(answer.trim_end().to_owned())
}

async fn serves_many_at_once() -> io::Result<()> {
    let server = Server::start().await?;
    let (one, two) = tokio::join!(ask(&server, "one"), ask(&server, "two"));
    assert_eq!((one?, two?), ("one".to_owned(), "two".to_owned()));
    while server.served() < 2 {
        tokio::task::yield_now().await;
    }
    assert!(server.is_accepting());
    server.stop().await
}

#[tokio::test]
async fn serves_on_one_thread() -> io::Result<()> {
    timeout(LONG, serves_many_at_once()).await?
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn serves_on_two_threads() -> io::Result<()> {
    timeout(LONG, serves_many_at_once()).await?
}

#[tokio::test]
async fn an_aborted_server_says_so() -> io::Result<()> {
    let server = Server::start().await?;
    assert!(server.abort().await.is_err_and(|aborted| aborted.is_cancelled()));
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_outlives_the_loop_that_accepted_it() -> io::Result<()> {
    timeout(LONG, async {
        let server = Server::start().await?;
        let mut socket = BufReader::new(TcpStream::connect(server.address()).await?);
        let mut answer = String::new();
        socket.write_all(b"accepted\n").await?;
        socket.read_line(&mut answer).await?;
        server.stop().await?;
        socket.write_all(b"still here\n").await?;
        socket.read_line(&mut answer).await?;
        assert_eq!(answer, "accepted\nstill here\n");
        Ok(())
    })
    .await?
}
