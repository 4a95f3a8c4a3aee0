//! What a scope says about itself, as `tracing` events.
//!
//! | event | level |
//! |---|---|
//! | a scope was cancelled | debug |
//! | a scope's future was dropped, or forgotten, before its end | debug |
//! | a spawn was refused | debug |
//! | a closing takes long | info |
//! | a drain takes long: whom it waits for | warn |
//! | a resource is released while shares of it are alive outside its scope | warn |
//! | finalizers were dropped unrun, since the runtime ended | error |
//! | a program's time is over: who was cancelled, who abandoned (also on standard error) | error |
//!
//! A failure that nobody took is the failure hook's business; see [`crate::set_failure_hook`].

use std::fmt;
use std::panic::Location;
use std::sync::Arc;

use sc_core::{Cancelled, Origin, Slow};

use crate::node::Node;

/// One thing worth saying.
#[derive(Debug)]
pub(crate) enum Notice {
    Cancelled { origin: Origin, cancelled: Cancelled },
    FutureGone { origin: Origin, forgotten: bool },
    Refused { origin: Origin, place: &'static Location<'static> },
    Slow { node: Arc<Node>, slow: Slow },
    Unrun { origin: Origin, finalizers: usize },
    Leaked { origin: Origin, what: &'static str, place: &'static Location<'static> },
}

/// How many members a message names.
const NAMED: usize = 16;

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cancelled { origin, cancelled } if origin == cancelled.origin() => {
                write!(f, "cancelled: {cancelled}")
            }
            Self::Cancelled { origin, cancelled } => write!(f, "{origin} cancelled: {cancelled}"),
            Self::FutureGone { origin, forgotten: false } => {
                write!(f, "{origin} was dropped before its end; its children are cancelled")
            }
            Self::FutureGone { origin, forgotten: true } => {
                write!(f, "{origin} was left open by the frame that opened it; its children are cancelled")
            }
            Self::Refused { origin, place } => write!(f, "spawn at {place} refused: {origin} is draining"),
            Self::Leaked { origin, what, place } => {
                write!(
                    f,
                    "the resource ({what}) acquired at {place} is released while shares of it are alive outside {origin}"
                )
            }
            Self::Unrun { origin, finalizers } => {
                write!(f, "the runtime ended; {finalizers} finalizers of {origin} were dropped unrun")
            }
            Self::Slow { node, slow } => {
                let what = if slow.draining { "draining" } else { "closing" };
                write!(f, "{} has been {what} for {:?} and waits for", node.origin(), slow.waited)?;
                let members = node.living(NAMED);
                if members.is_empty() {
                    f.write_str(" children that were never polled")?;
                }
                for (n, member) in members.iter().enumerate() {
                    write!(f, "{} {member}", if n == 0 { "" } else { "," })?;
                }
                Ok(())
            }
        }
    }
}

/// Whether anybody would read it. Reads one atomic and runs nobody's code, so it may be asked
/// under the lock.
#[cfg(feature = "tracing")]
pub(crate) fn is_enabled(notice: &Notice) -> bool {
    level(notice) <= tracing::level_filters::LevelFilter::current()
}

#[cfg(not(feature = "tracing"))]
pub(crate) fn is_enabled(_notice: &Notice) -> bool {
    false
}

#[cfg(feature = "tracing")]
fn level(notice: &Notice) -> tracing::Level {
    use tracing::Level;
    match notice {
        Notice::Cancelled { .. } | Notice::FutureGone { .. } | Notice::Refused { .. } => Level::DEBUG,
        Notice::Slow { slow, .. } if slow.draining => Level::WARN,
        Notice::Leaked { .. } => Level::WARN,
        Notice::Slow { .. } => Level::INFO,
        Notice::Unrun { .. } => Level::ERROR,
    }
}

/// Says it. A subscriber that panics is not the scope's failure.
#[cfg(feature = "tracing")]
pub(crate) fn tell(notice: &Notice) {
    use tracing::Level;
    let say = || match level(notice) {
        Level::ERROR => tracing::error!(target: "sc_tokio", "{notice}"),
        Level::WARN => tracing::warn!(target: "sc_tokio", "{notice}"),
        Level::INFO => tracing::info!(target: "sc_tokio", "{notice}"),
        _ => tracing::debug!(target: "sc_tokio", "{notice}"),
    };
    if let Err(payload) = std::panic::catch_unwind(std::panic::AssertUnwindSafe(say)) {
        crate::wake::discard(payload);
    }
}

#[cfg(not(feature = "tracing"))]
pub(crate) fn tell(_notice: &Notice) {}

/// Says it, if anybody would read it.
pub(crate) fn say(notice: &Notice) {
    if is_enabled(notice) {
        tell(notice);
    }
}
