//! Children that are woken from outside, in an order that no collection can foresee.

use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::Poll;

use futures::future::poll_fn;
use futures::task::AtomicWaker;
use tokio::task::yield_now;

use crate::work::{Output, Work};

/// How often each child is woken.
const WAKES: u32 = 3;
/// How many are woken before they are polled.
const BATCH: usize = 16;

#[derive(Debug, Default)]
struct Bell {
    rung: AtomicU32,
    waker: AtomicWaker,
}

impl Bell {
    async fn rung(&self, times: u32) {
        poll_fn(|cx| {
            self.waker.register(cx.waker());
            if self.rung.load(Ordering::Acquire) >= times { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }

    fn ring(&self) {
        self.rung.fetch_add(1, Ordering::Release);
        self.waker.wake();
    }
}

/// One for each child.
#[derive(Debug, Clone)]
pub struct Bells(Arc<[Bell]>);

impl Bells {
    /// So many.
    pub fn new(count: u32) -> Self {
        Self((0..count).map(|_| Bell::default()).collect())
    }

    /// A child for each, which ends when its bell has rung often enough.
    pub fn children(self) -> impl Iterator<Item: Work> + Send {
        (0..self.0.len()).map(move |index| {
            let bells = self.clone();
            async move {
                for time in 1..=WAKES {
                    bells.0[index].rung(time).await;
                }
                Ok(black_box(index as u64)) as Output
            }
        })
    }

    /// Rings in this order.
    pub async fn ring(self, order: &'static [u32]) {
        for batch in order.chunks(BATCH) {
            // Also before the first: a child that nobody has polled does not wait.
            yield_now().await;
            for &index in batch {
                self.0[index as usize].ring();
            }
        }
    }
}

/// Everybody's number, as often as it is woken, in an order that is the same each time. Never freed: one is made for each
/// measurement, and lives as long.
pub fn shuffled(count: u32) -> &'static [u32] {
    let mut order: Vec<u32> = (0..WAKES).flat_map(|_| 0..count).collect();
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    for last in (1..order.len()).rev() {
        // Xorshift.
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        let other = state % (last as u64 + 1);
        order.swap(last, usize::try_from(other).unwrap_or(last));
    }
    order.leak()
}

#[cfg(test)]
mod tests {
    use futures::executor::block_on;
    use futures::future::{join, join_all};

    use super::{Bells, WAKES, shuffled};

    #[test]
    fn everybody_is_woken_often_enough_and_not_in_order() {
        let order = shuffled(100);
        assert!(!order.is_sorted() && order.len() == 100 * WAKES as usize);
        let bells = Bells::new(100);
        let (ends, ()) = block_on(join(join_all(bells.clone().children()), bells.ring(order)));
        assert_eq!(ends.into_iter().map(Result::unwrap).sum::<u64>(), 4_950);
    }
}
