//! How much a nursery's future grows with each level of nesting.
//!
//! Every level is stored inside the one above, so that a wrapper which keeps its content twice
//! doubles the size each time.

use std::hint::black_box;

use sc_bench::{Row, Unit};
use sc_tokio::{Cancelled, nursery};
use tokio::task::yield_now;

/// What the innermost body holds across its await.
const HELD: usize = 1024;
/// What the design allows for one level.
const PER_LEVEL: f64 = 128.0;

async fn innermost() -> Result<(), Cancelled> {
    let held = [0_u8; HELD];
    yield_now().await;
    black_box(&held);
    Ok(())
}

macro_rules! level {
    ($inside:expr) => {
        nursery!(async |_n| -> Result<(), Cancelled> { $inside.await }).into_future()
    };
}

pub(crate) fn rows() -> Vec<Row> {
    let sizes = [
        size_of_val(&innermost()),
        size_of_val(&level!(innermost())),
        size_of_val(&level!(level!(innermost()))),
        size_of_val(&level!(level!(level!(innermost())))),
        size_of_val(&level!(level!(level!(level!(innermost()))))),
    ];
    (1_u8..)
        .zip(sizes.windows(2))
        .map(|(level, pair)| {
            let ours = format!("level {level}: {} to {} bytes", pair[0], pair[1]);
            let grown = difference(pair[1], pair[0]);
            Row::exact("future size per nesting level", ours, "the future inside", grown, Unit::Bytes).target(PER_LEVEL)
        })
        .collect()
}

fn difference(outer: usize, inner: usize) -> f64 {
    let bytes = u32::try_from(outer - inner).expect("futures are smaller than 4 GiB");
    f64::from(bytes)
}
