//! Work that falls into parts, each part a child of the executor's scope.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use sc_examples::http;
use sc_tokio::{BlockingCx, Child, Failure, Scope};

use crate::error::Error;
use crate::tally::{Alive, Gauge};

/// Gets pages, all at the same time.
pub(crate) async fn get(
    n: &Scope<Error>,
    server: SocketAddr,
    paths: &[String],
    tasks: &Gauge,
) -> Result<String, Error> {
    let pages = paths.iter().map(|path| n.task().name(path.clone()).spawn(page(server, path.clone(), tasks.enter())));
    let parts = join(pages.collect()).await;
    let bytes: usize = parts.done.iter().sum();
    Ok(parts.note(&format!("pages, {bytes} bytes")))
}

async fn page(server: SocketAddr, path: String, _alive: Alive) -> Result<usize, Error> {
    match http::get(server, &path).await {
        Ok(response) if response.status == 200 => Ok(response.body.len()),
        Ok(response) => Err(Error::Status { path, status: response.status }),
        Err(source) => Err(Error::Get { path, source }),
    }
}

/// Reads files and counts their words.
pub(crate) async fn read(n: &Scope<Error>, from: &Path, files: &[PathBuf], tasks: &Gauge) -> Result<String, Error> {
    let texts = files.iter().map(|file| {
        let (path, alive) = (from.join(file), tasks.enter());
        n.task().name(file.display().to_string()).spawn_blocking(move |cx| words(path, cx, &alive))
    });
    let parts = join(texts.collect()).await;
    let words: usize = parts.done.iter().sum();
    Ok(parts.note(&format!("files, {words} words")))
}

fn words(path: PathBuf, cx: &BlockingCx, _alive: &Alive) -> Result<usize, Error> {
    cx.check()?;
    match std::fs::read_to_string(&path) {
        Ok(text) => Ok(text.split_whitespace().count()),
        Err(source) => Err(Error::Read { path, source }),
    }
}

/// Counts the prime numbers below a bound, by trial division: it is meant to take its time.
pub(crate) async fn primes(n: &Scope<Error>, below: u64, parts: u64, tasks: &Gauge) -> Result<String, Error> {
    let counts = (0..parts).map(|part| {
        let alive = tasks.enter();
        // Every part gets small and large numbers.
        n.spawn_blocking(move |cx| count_primes((2 + part..below).step_by(step(parts)), cx, &alive))
    });
    let parts = join(counts.collect()).await;
    let primes: usize = parts.done.iter().sum();
    Ok(parts.note(&format!("parts, {primes} prime numbers below {below}")))
}

fn step(parts: u64) -> usize {
    usize::try_from(parts).unwrap_or(usize::MAX)
}

fn count_primes(numbers: impl Iterator<Item = u64>, cx: &BlockingCx, _alive: &Alive) -> Result<usize, Error> {
    let mut found = 0;
    for (done, number) in numbers.enumerate() {
        // Nothing can stop a thread but the thread: it looks every now and then.
        if done % 1024 == 0 {
            cx.check()?;
        }
        found += usize::from(is_prime(number));
    }
    Ok(found)
}

fn is_prime(number: u64) -> bool {
    (2..=number.isqrt()).all(|divisor| number % divisor != 0)
}

/// What became of the parts.
struct Parts<T> {
    done: Vec<T>,
    failures: Vec<Failure<Error>>,
}

/// Waits for all parts. In a hard executor the first failure ends the scope, and the body here; a soft one comes to the end
/// and keeps what was done.
async fn join<T>(children: Vec<Child<'_, T, Error>>) -> Parts<T> {
    let mut parts = Parts { done: Vec::new(), failures: Vec::new() };
    for child in children {
        match child.join().await {
            Ok(value) => parts.done.push(value),
            Err(failure) => parts.failures.push(failure),
        }
    }
    parts
}

impl<T> Parts<T> {
    fn note(&self, what: &str) -> String {
        let all = self.done.len() + self.failures.len();
        let note = format!("{} of {all} {what}", self.done.len());
        self.failures.iter().fold(note, |note, failure| format!("{note}; {failure}"))
    }
}
