//! Runs the service, and the services that it asks.

use std::error::Error;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::LazyLock;
use std::time::Duration;

use clap::Parser;
use sc_example_service::config::Config;
use sc_example_service::{server, shop};
use sc_tokio::{StartError, nursery};

/// A small shop, until SIGTERM or Ctrl-C.
#[derive(Debug, Parser)]
#[command(name = "service", version)]
struct Options {
    /// Where to listen; port 0 for one that is free
    #[arg(default_value = "127.0.0.1:8080")]
    address: SocketAddr,

    /// How long to go on as before when told to end, but for not being ready: until no load balancer sends anybody
    #[arg(long, default_value = "0s", value_parser = humantime::parse_duration)]
    pre_drain: Duration,

    /// How long requests may take after that
    #[arg(long, default_value = "20s", value_parser = humantime::parse_duration)]
    drain: Duration,
}

static OPTIONS: LazyLock<Options> = LazyLock::new(Options::parse);

#[sc_tokio::main(pre_drain = OPTIONS.pre_drain, drain = OPTIONS.drain)]
async fn main() -> ExitCode {
    sc_tokio::set_failure_hook(|failure| say(&mut io::stderr(), format_args!("{failure}")));
    match run(OPTIONS.address).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(&mut io::stderr(), format_args!("error: {error}"));
            ExitCode::FAILURE
        }
    }
}

/// Starts the services of the shop, and serves until the program is told to end.
async fn run(listen: SocketAddr) -> Result<(), Box<dyn Error + Send + Sync>> {
    nursery!(async |n| {
        let config = Config { listen, ..Config::new(shop::start(n).await?) };
        let served = n.task().name("service").start(|ready| async { Ok(server::serve(config, ready).await?) }).await;
        let (address, _service) = served.map_err(StartError::into_error)?;
        say(&mut io::stdout(), format_args!("listening on http://{address}"));
        Ok(())
    })
    .named("program")
    .await
}

/// A line. `println!` would panic if nobody reads it any more.
fn say(to: &mut dyn Write, line: std::fmt::Arguments<'_>) {
    let _ = writeln!(to, "{line}");
}
