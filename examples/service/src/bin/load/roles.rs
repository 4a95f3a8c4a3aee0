//! What the other processes do: they say where they are, and serve until they are killed.

use std::future::pending;
use std::io::{self, Write};
use std::net::SocketAddr;

use sc_example_service::config::{Config, Upstreams};
use sc_example_service::{server, shop};
use sc_tokio::{StartError, nursery};
use tokio::sync::oneshot;

use crate::args::Role;
use crate::{Failure, plain};

pub(crate) async fn run(role: &Role) -> Result<(), Failure> {
    match role {
        Role::Upstreams => upstreams().await,
        Role::Scoped { upstreams } => scoped(Config::new(read(upstreams)?)).await,
        Role::Plain { upstreams } => plain(Config::new(read(upstreams)?)).await,
    }
}

async fn upstreams() -> Result<(), Failure> {
    nursery!(async |n| {
        let Upstreams { catalog, reviews, payments, mail, rates } = shop::start(n).await?;
        say(&format!("{catalog},{reviews},{payments},{mail},{rates}"))?;
        pending().await
    })
    .await
}

async fn scoped(config: Config) -> Result<(), Failure> {
    nursery!(async |n| {
        let service = async |ready| Ok::<_, Failure>(server::serve(config, ready).await?);
        let (address, _service) = n.start(service).await.map_err(StartError::into_error)?;
        say(&address.to_string())?;
        Ok(())
    })
    .await
}

async fn plain(config: Config) -> Result<(), Failure> {
    let (ready, address) = oneshot::channel();
    let service = tokio::spawn(plain::serve(config, ready));
    if let Ok(address) = address.await {
        say(&address.to_string())?;
    }
    Ok(service.await??)
}

fn read(upstreams: &str) -> Result<Upstreams, Failure> {
    let addresses: Vec<SocketAddr> = upstreams.split(',').map(str::parse).collect::<Result<_, _>>()?;
    let [catalog, reviews, payments, mail, rates] = addresses[..] else {
        return Err("five upstreams are needed".into());
    };
    Ok(Upstreams { catalog, reviews, payments, mail, rates })
}

fn say(line: &str) -> io::Result<()> {
    let mut out = io::stdout();
    writeln!(out, "{line}")?;
    out.flush()
}
