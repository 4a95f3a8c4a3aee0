//! Digests one file. Runs on a blocking thread.

use std::fmt::Write;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use sc_tokio::BlockingCx;
use serde::Serialize;
use sha2::{Digest as _, Sha256};

use crate::Error;
use crate::progress::Progress;
use crate::report::shown;

/// Small enough that a cancellation is noticed within a millisecond, large enough that looking
/// for one costs nothing.
const CHUNK: usize = 64 * 1024;

/// What there is to say about a file.
#[derive(Debug, Serialize)]
pub(crate) struct Digest {
    pub(crate) path: String,
    pub(crate) bytes: u64,
    pub(crate) lines: u64,
    pub(crate) sha256: String,
}

/// Reads a file to its end, or until the scope is cancelled.
pub(crate) fn digest(path: &Path, progress: &Progress, cx: &BlockingCx) -> Result<Digest, Error> {
    let unreadable = |source| Error::Unreadable { path: path.to_path_buf(), source };
    let mut file = File::open(path).map_err(unreadable)?;
    let mut chunk = vec![0; CHUNK];
    let (mut bytes, mut lines, mut hasher) = (0, 0, Sha256::new());
    loop {
        cx.check()?;
        let read = read(&mut file, &mut chunk).map_err(unreadable)?;
        if read.is_empty() {
            break;
        }
        hasher.update(read);
        bytes += read.len() as u64;
        lines += read.iter().map(|&byte| u64::from(byte == b'\n')).sum::<u64>();
        progress.read(read.len());
    }
    Ok(Digest { path: shown(path), bytes, lines, sha256: hex(&hasher.finalize()) })
}

/// The next bytes; none at the end.
fn read<'c>(file: &mut File, chunk: &'c mut [u8]) -> io::Result<&'c [u8]> {
    loop {
        match file.read(chunk) {
            Ok(length) => return Ok(&chunk[..length]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("a string takes any text");
        text
    })
}
