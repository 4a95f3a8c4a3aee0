//! Ways in which programs write `tokio::spawn`, collected. Nothing in here knows of `sc-tokio`: a copy is converted by
//! machine (`.ci/dropin.sh`), and its tests have to pass before and after.

pub mod blocking;
pub mod drops;
pub mod generic;
pub mod handles;
pub mod local;
pub mod macros;
pub mod names;
pub mod server;
pub mod values;
