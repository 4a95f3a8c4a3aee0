//! The command line.

use std::time::Duration;

use clap::{Parser, Subcommand};

/// Measures the service against the same service written with plain `tokio::spawn`.
#[derive(Debug, Parser)]
#[command(name = "load", version)]
pub(crate) struct Args {
    /// How long to measure, in all; the storms come on top
    #[arg(long, default_value = "40")]
    pub(crate) seconds: u32,

    /// How many clients ask at the same time
    #[arg(long, default_value = "32")]
    pub(crate) clients: usize,

    /// How many rounds each of the two gets for each route
    #[arg(long, default_value = "10")]
    pub(crate) rounds: u32,

    #[command(subcommand)]
    pub(crate) role: Option<Role>,
}

/// What a process of the measurement does.
#[derive(Debug, Subcommand)]
pub(crate) enum Role {
    /// The upstreams
    #[command(hide = true)]
    Upstreams,
    /// The service in scopes
    #[command(hide = true)]
    Scoped {
        /// Where the upstreams are
        upstreams: String,
    },
    /// The service with plain tasks
    #[command(hide = true)]
    Plain {
        /// Where the upstreams are
        upstreams: String,
    },
}

impl Args {
    /// How long a round takes if there are so many routes.
    pub(crate) fn round(&self, routes: usize) -> Duration {
        let rounds = self.rounds.max(1) * 2 * u32::try_from(routes).expect("there are few routes");
        Duration::from_secs(u64::from(self.seconds)) / rounds
    }
}
