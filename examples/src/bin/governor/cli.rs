//! What the user may say.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;
use sc_examples::http;

const DEFAULT_PLAN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/plans/research.json");

const NOTES: &str = "\
On a terminal the tree of the plan is drawn while it runs; elsewhere each change
is a line on standard error. The report goes to standard output. Ctrl-C cancels
the plan, and the report says what became of it.

A hard session fails with its first executor; a soft one goes on without. Either
fails when its own deadline passes. The exit code says what happened:

    0  every session is done
    1  a session failed, or the report could not be written
    2  the command line or the plan is wrong
  124  the plan's deadline has passed
  130  interrupted with Ctrl-C";

/// Runs a plan: a governor that owns sessions that own executors.
#[derive(Debug, Parser)]
#[command(name = "governor", version, after_help = NOTES)]
pub(crate) struct Options {
    /// The plan, a JSON file
    #[arg(long, default_value = DEFAULT_PLAN, hide_default_value = true)]
    pub(crate) plan: PathBuf,

    /// Stop when this much time has passed (500ms, 30s, "1m 30s"), whatever the plan says
    #[arg(long, value_parser = humantime::parse_duration)]
    pub(crate) deadline: Option<Duration>,

    /// Make an executor fail, to see what becomes of the others: `pages`, or `collect/pages`
    #[arg(long, value_name = "NAME")]
    pub(crate) fail: Option<String>,

    /// Where the local server listens; port 0 for one that is free
    #[arg(long, value_name = "ADDRESS", default_value_t = http::ANY_PORT)]
    pub(crate) listen: SocketAddr,

    /// Print the report only
    #[arg(long)]
    pub(crate) quiet: bool,
}
