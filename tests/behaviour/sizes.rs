//! How much a level of nesting adds to a future.

use std::future::IntoFuture;
use std::mem::size_of_val;

use sc_tokio::{Cancelled, nursery};

async fn work() -> Result<(), Cancelled> {
    let kilobyte = [1_u8; 1024];
    tokio::task::yield_now().await;
    assert_eq!(kilobyte[0], 1);
    Ok(())
}

#[test]
fn a_level_of_nesting_adds_a_constant_and_does_not_double_the_future() {
    let one = nursery!(async |_n| work().await).into_future();
    let two = nursery!(async |_n| nursery!(async |_n| work().await).await).into_future();
    let three = nursery!(async |_n| nursery!(async |_n| nursery!(async |_n| work().await).await).await).into_future();
    let sizes = [size_of_val(&work()), size_of_val(&one), size_of_val(&two), size_of_val(&three)];
    println!("{sizes:?}");
    for level in sizes.windows(2) {
        assert!(level[1] - level[0] <= 128, "{sizes:?}");
    }
}
