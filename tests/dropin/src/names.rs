//! The ways to import it. Every function starts one task that gives its argument.

use tokio::task::JoinHandle;

/// `tokio::spawn`, by its full name.
pub fn absolute(value: u32) -> JoinHandle<u32> {
    ::tokio::spawn(async move { value })
}

/// By its own name.
pub mod imported {
    use tokio::spawn;
    use tokio::task::JoinHandle;

    /// Starts it.
    pub fn start(value: u32) -> JoinHandle<u32> {
        spawn(async move { value })
    }
}

/// By another name.
pub mod renamed {
    use tokio::spawn as go;
    use tokio::task::JoinHandle;

    /// Starts it.
    pub fn start(value: u32) -> JoinHandle<u32> {
        go(async move { value })
    }
}

/// From a module with another name.
pub mod module {
    use tokio::task as t;

    /// Starts it.
    pub fn start(value: u32) -> t::JoinHandle<u32> {
        t::spawn(async move { value })
    }
}

/// From a crate with another name.
pub mod krate {
    use tokio as rt;

    /// Starts it.
    pub fn start(value: u32) -> rt::task::JoinHandle<u32> {
        rt::spawn(async move { value })
    }
}

/// Beside others, in braces.
pub mod braces {
    use tokio::{
        spawn,
        task::{self, JoinHandle},
    };

    /// Starts it.
    pub fn start(value: u32) -> JoinHandle<u32> {
        spawn(async move { value })
    }

    /// Starts it.
    pub fn start_by_module(value: u32) -> JoinHandle<u32> {
        task::spawn(async move { value })
    }
}

/// By a glob.
#[allow(clippy::wildcard_imports, reason = "the glob is the point")]
pub mod glob {
    use tokio::task::*;

    /// Starts it.
    pub fn start(value: u32) -> JoinHandle<u32> {
        spawn(async move { value })
    }
}

/// Through a module of the program's own.
pub mod reexported {
    mod runtime {
        pub(super) use tokio::spawn;
        pub(super) use tokio::task::JoinHandle;
    }

    /// Starts it.
    pub fn start(value: u32) -> runtime::JoinHandle<u32> {
        runtime::spawn(async move { value })
    }
}

/// Inside a function.
pub fn in_function(value: u32) -> JoinHandle<u32> {
    use tokio::spawn;
    spawn(async move { value })
}
