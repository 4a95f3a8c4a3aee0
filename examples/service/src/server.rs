//! The port: accepting, connections, the orderly end.
//!
//! `axum::serve` bounds nothing: neither how long a client may take over a request's head, nor how long the last connection may hold
//! up a shutdown. What it takes to do so is in this file.

use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use sc_tokio::{Cancelled, Ready, Supervise, scoped};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::sleep;

use crate::app::App;
use crate::config::Config;
use crate::log::log;
use crate::rates;

/// How many connections the system may have accepted when we stop to: not fewer than it keeps for us.
const BACKLOG: usize = 4096;

/// How long somebody who has connected may still begin to ask when the drain begins.
const LAST_CALL: Duration = Duration::from_secs(1);

/// Why the service ended.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The port could not be opened.
    #[error("cannot listen on {address}: {error}")]
    Listen {
        /// The port.
        address: SocketAddr,
        /// What the system says.
        error: io::Error,
    },
    /// It was cancelled before it was done.
    #[error(transparent)]
    Cancelled(#[from] Cancelled),
}

/// Opens the port, says which one it is, and serves until the drain of the program's shutdown begins: then it accepts nobody else, answers
/// what it has been asked, and returns when the last connection and the last job have ended.
///
/// How long that may take is said where the program is started (`#[sc_tokio::main(drain = ..)]`).
///
/// # Errors
///
/// If the port cannot be opened, or the service is cancelled.
///
/// # Cancel safety
///
/// Dropping it closes all connections; the enclosing scope waits for what they have started.
#[scoped(|n|, policy = Supervise, name = "service")]
pub async fn serve(config: Config, ready: Ready<SocketAddr>) -> Result<(), ServeError> {
    let refused = |error| ServeError::Listen { address: config.listen, error };
    let listener = TcpListener::bind(config.listen).await.map_err(refused)?;
    let address = listener.local_addr().map_err(refused)?;
    let app = App::new(config);
    n.task().name("refresher").until_shutdown().spawn(rates::refresh(Arc::clone(&app)));
    ready.signal(address);
    connections(listener, &app).await?;
    // Nobody is left who could start another one.
    app.jobs.close();
    app.jobs.wait().await;
    Ok(())
}

/// Serves connections until the drain begins, and waits for the last.
#[scoped(|n|, policy = Supervise, name = "connections")]
async fn connections(listener: TcpListener, app: &Arc<App>) -> Result<(), Cancelled> {
    let (router, head_timeout) = (app.router(), app.config.head_timeout);
    let serve = |stream| drop(n.task().name("connection").spawn(connection(stream, router.clone(), head_timeout)));
    loop {
        tokio::select! {
            biased;
            () = sc_tokio::drain_begins() => break,
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => serve(stream),
                // Too many open files, for instance: that may pass. Who was to be accepted has gone, or waits.
                Err(error) => {
                    log(format_args!("cannot accept: {error}"));
                    sleep(Duration::from_millis(100)).await;
                }
            },
        }
    }
    // To those whom the system has accepted in our name, somebody has said that we are there.
    let accepted = listener.into_std().map(|listener| std::iter::from_fn(move || listener.accept().ok()));
    for (stream, _) in accepted.into_iter().flatten().take(BACKLOG) {
        if let Ok(stream) = stream.set_nonblocking(true).and_then(|()| TcpStream::from_std(stream)) {
            serve(stream);
        }
    }
    Ok(())
}

/// Serves one client. A request that it leaves in the middle is dropped by hyper; what the request has started ends before this does.
#[scoped]
async fn connection(stream: TcpStream, router: Router, head_timeout: Duration) {
    if !says_something(&stream, head_timeout).await {
        return;
    }
    // Of use to small answers, and no matter if it fails.
    let _ = stream.set_nodelay(true);
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(head_timeout)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    let mut connection = pin!(connection);
    // How a client breaks off is its own business.
    tokio::select! {
        biased;
        _ = connection.as_mut() => return,
        () = sc_tokio::drain_begins() => connection.as_mut().graceful_shutdown(),
    }
    let _ = connection.await;
}

/// Waits for the first byte. hyper, told to shut down, would hang up on a client whose request is still on its way.
async fn says_something(stream: &TcpStream, patience: Duration) -> bool {
    let last_call = async {
        sc_tokio::drain_begins().await;
        sleep(LAST_CALL).await;
    };
    tokio::select! {
        biased;
        readable = stream.readable() => readable.is_ok(),
        () = last_call => false,
        () = sleep(patience) => false,
    }
}
