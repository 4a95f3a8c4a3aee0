//! The port.

use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use sc_example_service::config::Config;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::time::{interval, sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::App;

/// Serves until the process is killed: the generator measures no shutdowns. What a shutdown needs while others run, the
/// token, is here.
pub(crate) async fn serve(config: Config, ready: oneshot::Sender<SocketAddr>) -> io::Result<()> {
    let listener = TcpListener::bind(config.listen).await?;
    let head_timeout = config.head_timeout;
    let app = App::new(config);
    tokio::spawn(refresh(Arc::clone(&app)));
    let _ = ready.send(listener.local_addr()?);
    let (router, shutdown) = (app.router(), CancellationToken::new());
    loop {
        tokio::select! {
            biased;
            () = shutdown.cancelled() => return Ok(()),
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => drop(tokio::spawn(connection(stream, router.clone(), head_timeout, shutdown.clone()))),
                Err(_) => sleep(Duration::from_millis(100)).await,
            },
        }
    }
}

async fn connection(stream: TcpStream, router: Router, head_timeout: Duration, shutdown: CancellationToken) {
    if !says_something(&stream, head_timeout, &shutdown).await {
        return;
    }
    let _ = stream.set_nodelay(true);
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(head_timeout)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    let mut connection = pin!(connection);
    tokio::select! {
        biased;
        _ = connection.as_mut() => return,
        () = shutdown.cancelled() => connection.as_mut().graceful_shutdown(),
    }
    let _ = connection.await;
}

async fn says_something(stream: &TcpStream, patience: Duration, shutdown: &CancellationToken) -> bool {
    tokio::select! {
        biased;
        readable = stream.readable() => readable.is_ok(),
        () = shutdown.cancelled() => false,
        () = sleep(patience) => false,
    }
}

async fn refresh(app: Arc<App>) {
    let mut ticks = interval(app.config.refresh_every);
    loop {
        ticks.tick().await;
        if let Ok(Ok(Some(rates))) = timeout(app.config.default_deadline, app.exchange.ask("rates")).await {
            app.rates.send_replace(Some(rates));
        }
    }
}
