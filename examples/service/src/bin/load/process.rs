//! The other processes of a measurement.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::Failure;

/// A process, killed when this is dropped.
#[derive(Debug)]
pub(crate) struct Program {
    name: String,
    process: Child,
    told: String,
}

impl Program {
    /// Starts this program in a role, and waits for what it says first.
    pub(crate) fn start(arguments: &[&str]) -> Result<Self, Failure> {
        let mut process = Command::new(std::env::current_exe()?)
            .args(arguments)
            .stdout(Stdio::piped())
            // A client that leaves is told of there, and thousands do.
            .stderr(Stdio::null())
            .spawn()?;
        let mut told = String::new();
        let output = process.stdout.take().ok_or("a process without output")?;
        BufReader::new(output).read_line(&mut told)?;
        Ok(Self { name: arguments[0].to_owned(), process, told: told.trim_end().to_owned() })
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// What it has said first.
    pub(crate) fn told(&self) -> &str {
        &self.told
    }

    pub(crate) fn address(&self) -> Result<SocketAddr, Failure> {
        Ok(self.told.parse()?)
    }

    /// How much processor time its threads have taken so far; `None` where the system does not say.
    pub(crate) fn processor_time(&self) -> Option<Duration> {
        let threads = fs::read_dir(format!("/proc/{}/task", self.process.id())).ok()?;
        let times = threads.flatten().map(|thread| {
            let times = fs::read_to_string(thread.path().join("schedstat")).ok()?;
            times.split(' ').next()?.parse().ok().map(Duration::from_nanos)
        });
        times.sum()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
