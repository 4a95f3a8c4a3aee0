//! Rounds: one route, one service, some time.

use std::time::{Duration, Instant};

use sc_tokio::nursery;

use crate::args::Args;
use crate::client::Client;
use crate::process::Program;
use crate::report::Contest;
use crate::{Failure, report};

/// What is asked for: the common case, the handler with spawns in it, and one that does next to nothing, for which a scope is
/// most of the work.
const ROUTES: [&str; 3] = ["/products/7", "/search?for=lamp", "/rates"];

/// Before its rounds each service is asked that often.
const WARM_UP: Duration = Duration::from_millis(300);

/// What one round has shown.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Round {
    pub(crate) per_second: f64,
    /// In microseconds.
    pub(crate) p50: f64,
    /// In microseconds.
    pub(crate) p99: f64,
    /// Processor time of the service per request, in microseconds.
    pub(crate) processor: Option<f64>,
}

/// Each route with both services, in interleaved rounds.
pub(crate) async fn contests(args: &Args, contestants: &[Program; 2]) -> Result<Vec<Contest>, Failure> {
    let length = args.round(ROUTES.len());
    let mut contests = Vec::new();
    for route in ROUTES {
        for contestant in contestants {
            round(contestant, route, args.clients, WARM_UP).await?;
        }
        let mut pairs = Vec::new();
        for number in 0..args.rounds.max(1) {
            // Who goes first changes.
            let first = number as usize % 2;
            let one = round(&contestants[first], route, args.clients, length).await?;
            let other = round(&contestants[1 - first], route, args.clients, length).await?;
            pairs.push(if first == 0 { [one, other] } else { [other, one] });
        }
        contests.push(Contest { route, names: contestants.each_ref().map(|c| c.name().to_owned()), pairs });
    }
    Ok(contests)
}

async fn round(service: &Program, route: &'static str, clients: usize, length: Duration) -> Result<Round, Failure> {
    let address = service.address()?;
    let (began, before) = (Instant::now(), service.processor_time());
    let mut latencies = nursery!(async |n| -> Result<Vec<u32>, Failure> {
        let asking: Vec<_> = (0..clients).map(|_| n.spawn(keep_asking(address, route, began + length))).collect();
        let mut latencies = Vec::new();
        for client in asking {
            latencies.extend(client.await);
        }
        Ok(latencies)
    })
    .await?;
    let (took, after) = (began.elapsed(), service.processor_time());
    latencies.sort_unstable();
    let requests = report::count(latencies.len());
    let processor =
        before.zip(after).map(|(before, after)| after.saturating_sub(before).as_secs_f64() * 1e6 / requests);
    Ok(Round {
        per_second: requests / took.as_secs_f64(),
        p50: report::percentile(&latencies, 50),
        p99: report::percentile(&latencies, 99),
        processor,
    })
}

/// Asks for the same thing until the time is over, and gives how long each answer took, in microseconds.
async fn keep_asking(address: std::net::SocketAddr, route: &str, until: Instant) -> Result<Vec<u32>, Failure> {
    let mut client = Client::connect(address).await?;
    let mut latencies = Vec::new();
    while Instant::now() < until {
        let asked = Instant::now();
        let (status, body) = client.get(route).await?;
        if status != 200 {
            return Err(format!("{route}: {status} {body}").into());
        }
        latencies.push(u32::try_from(asked.elapsed().as_micros()).unwrap_or(u32::MAX));
    }
    Ok(latencies)
}
