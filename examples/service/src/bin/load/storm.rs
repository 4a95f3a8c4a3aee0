//! Storms: half of the clients leave in the middle of a request that takes long, again and again.

use std::fmt;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use sc_tokio::nursery;
use serde_json::Value;
use tokio::time::sleep;

use crate::Failure;
use crate::args::Args;
use crate::client::Client;
use crate::process::Program;

const STORM: Duration = Duration::from_secs(3);

/// How long those who leave stay.
const STAY: Duration = Duration::from_millis(5);

/// How long what is left may take to end.
const CALM: Duration = Duration::from_secs(1);

/// What a storm has left.
#[derive(Debug)]
pub(crate) struct Storm {
    name: String,
    left: usize,
    answered: usize,
    refused: usize,
    tasks: [u64; 2],
}

/// One for each of the services.
pub(crate) async fn storms(args: &Args, contestants: &[Program; 2]) -> Result<Vec<Storm>, Failure> {
    let mut storms = Vec::new();
    for contestant in contestants {
        storms.push(storm(contestant, args.clients.div_ceil(2)).await?);
    }
    Ok(storms)
}

async fn storm(service: &Program, clients: usize) -> Result<Storm, Failure> {
    let (address, until) = (service.address()?, Instant::now() + STORM);
    let before = tasks(address).await?;
    let (left, answers) = nursery!(async |n| -> Result<(usize, [usize; 2]), Failure> {
        let leaving: Vec<_> = (0..clients).map(|_| n.spawn(keep_leaving(address, until))).collect();
        let staying: Vec<_> = (0..clients).map(|_| n.spawn(keep_asking(address, until))).collect();
        let (mut left, mut answers) = (0, [0, 0]);
        for client in leaving {
            left += client.await;
        }
        for client in staying {
            let [answered, refused] = client.await;
            answers = [answers[0] + answered, answers[1] + refused];
        }
        Ok((left, answers))
    })
    .await?;
    sleep(CALM).await;
    let [answered, refused] = answers;
    Ok(Storm { name: service.name().to_owned(), left, answered, refused, tasks: [before, tasks(address).await?] })
}

/// Asks for what the catalog takes ten seconds to find, and leaves, until the time is over; gives how often.
async fn keep_leaving(address: SocketAddr, until: Instant) -> Result<usize, Failure> {
    let mut times = 0;
    while Instant::now() < until {
        let mut client = Client::connect(address).await?;
        client.ask("/products/14").await?;
        sleep(STAY).await;
        times += 1;
    }
    Ok(times)
}

/// Asks for something ordinary until the time is over; gives how often it was answered, and how often not in time.
async fn keep_asking(address: SocketAddr, until: Instant) -> Result<[usize; 2], Failure> {
    let mut client = Client::connect(address).await?;
    let mut answers = [0, 0];
    while Instant::now() < until {
        let (status, _) = client.get("/products/7").await?;
        answers[usize::from(status != 200)] += 1;
    }
    Ok(answers)
}

/// How many tasks the service has.
async fn tasks(address: SocketAddr) -> Result<u64, Failure> {
    let (_, status) = Client::connect(address).await?.get("/status").await?;
    let status: Value = serde_json::from_str(&status)?;
    status["tasks"].as_u64().ok_or_else(|| "a status without tasks".into())
}

impl fmt::Display for Storm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, left, answered, refused, tasks: [before, after] } = self;
        writeln!(
            f,
            "storm over `{name}`: {left} clients left in the middle; the others got {answered} answers, and {refused} times an error"
        )?;
        writeln!(f, "  tasks before {before}, a second after {after}")
    }
}
