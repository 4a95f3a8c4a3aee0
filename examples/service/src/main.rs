//! Runs the service, and the services that it asks.

use std::error::Error;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::process::ExitCode;

use clap::Parser;
use sc_example_service::config::Config;
use sc_example_service::{server, shop};
use sc_tokio::{StartError, nursery};
use tokio::signal::unix::{SignalKind, signal};

/// A small shop, until SIGTERM or Ctrl-C.
#[derive(Debug, Parser)]
#[command(name = "service", version)]
struct Options {
    /// Where to listen; port 0 for one that is free
    #[arg(default_value = "127.0.0.1:8080")]
    address: SocketAddr,
}

#[sc_tokio::main]
async fn main() -> ExitCode {
    let options = Options::parse();
    sc_tokio::set_failure_hook(|failure| say(&mut io::stderr(), format_args!("{failure}")));
    match run(options).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(&mut io::stderr(), format_args!("error: {error}"));
            ExitCode::FAILURE
        }
    }
}

/// Starts the services of the shop, and serves until the program is told to end.
async fn run(options: Options) -> Result<(), Box<dyn Error + Send + Sync>> {
    nursery!(async |n| {
        let config = Config { listen: options.address, ..Config::new(shop::start(n).await?) };
        let served = n.task().name("service").start(|ready| async { Ok(server::serve(config, ready).await?) }).await;
        let (address, _service) = served.map_err(StartError::into_error)?;
        n.task().name("signals").daemon().spawn(shut_down_on_signal());
        say(&mut io::stdout(), format_args!("listening on http://{address}"));
        Ok(())
    })
    .await
}

/// Begins the shutdown when the program is told to end.
async fn shut_down_on_signal() -> Result<(), Box<dyn Error + Send + Sync>> {
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        _ = terminate.recv() => {}
        interrupted = tokio::signal::ctrl_c() => interrupted?,
    }
    sc_tokio::root().begin_shutdown();
    Ok(())
}

/// A line. `println!` would panic if nobody reads it any more.
fn say(to: &mut dyn Write, line: std::fmt::Arguments<'_>) {
    let _ = writeln!(to, "{line}");
}
