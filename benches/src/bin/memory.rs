//! Counts allocations and bytes, and prints rows for `sc-bench`.
//!
//! On a current-thread runtime, where a run of the same code allocates the same each time: one run is a
//! measurement, and no statistics are needed.

use std::alloc::System;
use std::future::pending;
use std::hint::black_box;
use std::process::ExitCode;

use sc_bench::subjects::{Subject, Threads};
use sc_bench::work::{self, Output, Work};
use sc_bench::{Row, Unit};
use sc_tokio::{Cancelled, nursery};
use stats_alloc::{INSTRUMENTED_SYSTEM, Stats, StatsAlloc};
use tokio::runtime::{Builder, Runtime};
use tokio::task::yield_now;

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Enough that what a scope itself allocates is lost among them.
const CHILDREN: u32 = 10_000;

fn main() -> ExitCode {
    let mut finished = 1_000_000;
    for argument in std::env::args().skip(1) {
        if argument != "--full" {
            eprintln!("sc-bench-memory: `{argument}` is not understood; it takes only `--full`");
            return ExitCode::from(2);
        }
        finished = 10_000_000;
    }
    let mut rows = allocations("ready", work::ready);
    rows.extend(allocations("suspended once", work::suspended));
    rows.extend(parked());
    rows.push(kept(finished));
    println!("{}", serde_json::to_string(&rows).expect("numbers and text"));
    ExitCode::SUCCESS
}

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_time().build().expect("a current-thread runtime needs nothing")
}

/// What is allocated and not freed.
fn live(stats: &Stats) -> i64 {
    let signed = |bytes: usize| i64::try_from(bytes).expect("fewer than 2^63 bytes");
    // Growth by reallocation is in both sums already.
    signed(stats.bytes_allocated) - signed(stats.bytes_deallocated)
}

fn per_child(total: i64, children: u32) -> f64 {
    let total = i32::try_from(total).expect("the measured sums are small");
    f64::from(total) / f64::from(children)
}

// Allocations.

fn allocations<F: Work>(kind: &str, child: fn(u64) -> F) -> Vec<Row> {
    let count = |subject: Subject| {
        let runtime = runtime();
        let run = || runtime.block_on(subject.run(CHILDREN, child));
        run();
        let before = ALLOCATOR.stats();
        run();
        let change = ALLOCATOR.stats() - before;
        per_child(i64::try_from(change.allocations).expect("fewer than 2^63 allocations"), CHILDREN)
    };
    let bare = count(Subject::Bare);
    let row = |subject: Subject| {
        let each = count(subject);
        if subject.is_ours() && subject != Subject::Ambient {
            // The scope's own few are in it: 0.001 are ten of them.
            let beyond = each - bare;
            Row::exact("allocations per child", subject.name(), "tokio::spawn", beyond, Unit::Allocations).target(0.01)
        } else {
            Row::exact("allocations per child", subject.name(), "", each, Unit::Allocations)
        }
    };
    let able = |subject: &Subject| subject.unable(CHILDREN, Threads::One).is_none();
    Subject::ALL.into_iter().filter(able).map(|subject| row(subject).kind(kind)).collect()
}

// Parked children.

/// Holds `SIZE` bytes for as long as it is parked.
async fn holding<const SIZE: usize>(captured: [u8; SIZE]) -> Output {
    pending::<()>().await;
    black_box(&captured);
    Ok(0)
}

/// Bytes per child, beyond Tokio's task.
fn parked_beyond<const SIZE: usize>() -> f64 {
    let ours = runtime().block_on(async {
        let before = ALLOCATOR.stats();
        let mut used = 0;
        let end = nursery!(async |n| -> Result<(), Cancelled> {
            for _ in 0..CHILDREN {
                drop(n.spawn(holding([0; SIZE])));
            }
            settle().await;
            used = live(&(ALLOCATOR.stats() - before));
            n.cancel("measured");
            Ok(())
        });
        end.await.expect_err("children were cut short");
        used
    });
    let bare = runtime().block_on(async {
        let before = ALLOCATOR.stats();
        for _ in 0..CHILDREN {
            drop(tokio::spawn(holding([0; SIZE])));
        }
        settle().await;
        live(&(ALLOCATOR.stats() - before))
    });
    per_child(ours - bare, CHILDREN)
}

/// Until every task has been polled, whatever the runtime polls between two turns of ours.
async fn settle() {
    for _ in 0..CHILDREN {
        yield_now().await;
    }
}

fn parked() -> Vec<Row> {
    macro_rules! sizes {
        ($($size:literal)*) => { vec![$(($size, parked_beyond::<$size>())),*] };
    }
    // Tokio rounds a task up to a multiple of 128 bytes: a step of 16 sees every remainder.
    let sizes: Vec<(u32, f64)> = sizes!(0 16 32 48 64 80 96 112 128 144 160 176 192 208 224 240 256);
    let count = u32::try_from(sizes.len()).expect("a handful");
    let average = sizes.iter().map(|(_, bytes)| bytes).sum::<f64>() / f64::from(count);
    let (at, worst) = sizes.iter().copied().max_by(|a, b| a.1.total_cmp(&b.1)).expect("a handful");
    let row = |ours: String, bytes| Row::exact("bytes per parked child", ours, "tokio::spawn", bytes, Unit::Bytes);
    vec![
        row("average over captures of 0 to 256 bytes".to_owned(), average).target(96.0),
        row(format!("worst, with a capture of {at} bytes"), worst).target(192.0),
    ]
}

// Finished children.

/// What a scope has grown by while `finished` children came and went, 100 alive at a time (P11).
fn kept(finished: u64) -> Row {
    let bytes = runtime().block_on(async {
        let mut grown = 0;
        let end = nursery!(async |n| -> Result<(), Cancelled> {
            let mut early = 0;
            for round in 0..finished / 100 {
                let children: Vec<_> = (0..100).map(|number| n.spawn(work::suspended(number))).collect();
                for child in children {
                    child.await;
                }
                if round == 100 {
                    early = live(&ALLOCATOR.stats());
                }
            }
            grown = live(&ALLOCATOR.stats()) - early;
            Ok(())
        });
        end.await.expect("no child fails");
        grown
    });
    let row = Row::exact(
        "memory kept by finished children",
        "100 alive at a time",
        "after the first 10000",
        per_child(bytes, 1),
        Unit::Bytes,
    );
    row.n(finished).target(0.0)
}
