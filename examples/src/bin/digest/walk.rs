//! Finds the files. Runs on a blocking thread.

use std::collections::BTreeMap;
use std::fs::{self, FileType};
use std::io;
use std::path::{Path, PathBuf};

use sc_tokio::BlockingCx;

use crate::Error;
use crate::report::{Skipped, shown};

/// What lies below the root, each list in the order of the paths.
#[derive(Debug, Default)]
pub(crate) struct Found {
    /// Files to digest; the error of a directory that cannot be listed stands in its place, so
    /// that it is handled as a file that cannot be read.
    pub(crate) files: Vec<Result<PathBuf, Error>>,
    pub(crate) skipped: Vec<Skipped>,
}

/// Lists the files below `root`, or `root` itself if it is a file.
pub(crate) fn walk(root: &Path, all: bool, cx: &BlockingCx) -> Result<Found, Error> {
    let mut found = Found::default();
    if !root.is_dir() {
        found.files.push(Ok(root.to_path_buf()));
        return Ok(found);
    }
    let mut directories = vec![root.to_path_buf()];
    while let Some(directory) = directories.pop() {
        let entries = match list(&directory) {
            Ok(entries) => entries,
            Err(source) => {
                found.files.push(Err(Error::Unreadable { path: short(&directory), source }));
                continue;
            }
        };
        for (path, kind) in entries {
            cx.check()?;
            match reason_to_skip(&path, kind, all) {
                Some(reason) => found.skipped.push(Skipped { path: shown(&short(&path)), reason }),
                None if kind.is_dir() => directories.push(path),
                None => found.files.push(Ok(short(&path))),
            }
        }
    }
    Ok(found)
}

/// The entries of one directory, in the order of their names.
fn list(directory: &Path) -> io::Result<BTreeMap<PathBuf, FileType>> {
    let entries = fs::read_dir(directory)?.map(|entry| {
        let entry = entry?;
        Ok((entry.path(), entry.file_type()?))
    });
    entries.collect()
}

fn reason_to_skip(path: &Path, kind: FileType, all: bool) -> Option<&'static str> {
    if kind.is_symlink() {
        Some("symbolic link")
    } else if kind.is_dir() {
        let is_made = path.file_name().is_some_and(|name| name == ".git" || name == "target");
        (is_made && !all).then_some("entered with --all only")
    } else {
        (!kind.is_file()).then_some("not a regular file")
    }
}

/// The path without the `./` that a root of `.` puts in front.
fn short(path: &Path) -> PathBuf {
    match path.strip_prefix(".") {
        Ok(rest) if !rest.as_os_str().is_empty() => rest.to_path_buf(),
        _ => path.to_path_buf(),
    }
}
