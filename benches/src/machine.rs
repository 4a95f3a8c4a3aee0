//! What kind of machine the figures come from. Not which one.

use std::collections::BTreeMap;
use std::process::Command;
use std::{env, fs, thread};

use serde::{Deserialize, Serialize};

/// The kind of machine, and the versions of what ran on it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Machine {
    /// The processor's model.
    pub processor: String,
    /// How many threads run at once.
    pub cores: usize,
    /// Whether the processor says that it is shared with other machines.
    pub virtual_machine: bool,
    /// Operating system and architecture.
    pub system: String,
    /// The compiler.
    pub rustc: String,
    /// Load averages when the run began: a busy machine widens every spread.
    pub load: String,
    /// The versions of the peers, as built.
    pub versions: BTreeMap<String, String>,
}

impl Machine {
    /// This one.
    pub fn here() -> Self {
        let cpuinfo = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let field = |name: &str| {
            let line = cpuinfo.lines().find(|line| line.starts_with(name))?;
            Some(line.split_once(':')?.1.trim().to_owned())
        };
        let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
        Self {
            processor: field("model name").unwrap_or_else(|| "unknown".to_owned()),
            cores: thread::available_parallelism().map_or(1, Into::into),
            virtual_machine: field("flags").is_some_and(|flags| flags.split(' ').any(|flag| flag == "hypervisor")),
            system: format!("{} {}", env::consts::OS, env::consts::ARCH),
            rustc: rustc(),
            load: load.split(' ').take(3).collect::<Vec<_>>().join(" "),
            versions: versions(include_str!("../../Cargo.lock")),
        }
    }
}

fn rustc() -> String {
    let output = Command::new(env::var_os("RUSTC").unwrap_or_else(|| "rustc".into())).arg("--version").output();
    output.map_or_else(|_| "unknown".to_owned(), |output| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// Whose versions a reader of the figures has to know.
const MEASURED: [&str; 11] = [
    "async-scoped",
    "async_nursery",
    "futures",
    "futures-buffered",
    "futures-concurrency",
    "moro",
    "sc-tokio",
    "task-group",
    "tokio",
    "tokio-graceful-shutdown",
    "tokio-util",
];

/// The versions that a lock file names.
fn versions(lock: &str) -> BTreeMap<String, String> {
    let value = |line: &str, key: &str| {
        let rest = line.strip_prefix(key)?.strip_prefix(" = \"")?;
        Some(rest.strip_suffix('"')?.to_owned())
    };
    lock.lines()
        .zip(lock.lines().skip(1))
        .filter_map(|(name, version)| Some((value(name, "name")?, value(version, "version")?)))
        .filter(|(name, _)| MEASURED.contains(&name.as_str()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::{MEASURED, Machine, versions};

    #[test]
    fn a_lock_file_tells_the_versions() {
        let lock = "[[package]]\nname = \"tokio\"\nversion = \"1.2.3\"\n\n[[package]]\nname = \"x\"\nversion = \"1\"\n";
        assert_eq!(versions(lock), [("tokio".to_owned(), "1.2.3".to_owned())].into());
    }

    #[test]
    fn every_peer_is_in_our_own() {
        let here = Machine::here();
        assert_eq!(here.versions.len(), MEASURED.len(), "{here:?}");
    }
}
