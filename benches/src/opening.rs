//! Opening and closing a scope that does nothing, against one bare spawn and await.

use std::time::Instant;

use sc_tokio::{Cancelled, nursery};

use crate::rounds::{Contest, Contestant, Flavour, Pair};

const TIMES: u32 = 2_000;

pub(crate) fn contests() -> Vec<Contest> {
    Flavour::BOTH.into_iter().map(contest).collect()
}

fn contest(flavour: Flavour) -> Contest {
    let pair = |ours| Pair { ours, peer: 2, target: Some(1.0) };
    Contest {
        name: "empty nursery".to_owned(),
        flavour,
        contestants: vec![
            Contestant::repeated("outermost", TIMES, empty),
            Contestant::new("inside another", || async {
                let started = Instant::now();
                let end = nursery!(async |_n| -> Result<(), Cancelled> {
                    for _ in 0..TIMES {
                        empty().await;
                    }
                    Ok(())
                });
                end.await.expect("nothing fails");
                started.elapsed()
            }),
            Contestant::repeated("one tokio::spawn, awaited", TIMES, || async {
                tokio::spawn(async {}).await.expect("nothing panics");
            }),
        ],
        pairs: vec![pair(0), pair(1)],
        operations: TIMES,
    }
}

async fn empty() {
    nursery!(async |_n| -> Result<(), Cancelled> { Ok(()) }).await.expect("nothing fails");
}
