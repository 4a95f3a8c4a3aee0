//! What stays inside: the twins of `escapes`.

use std::cell::Cell;
use std::sync::{Arc, Mutex};

use sc_tokio::{Cancelled, Canceller, Child, Nursery, Scope, nursery, scope, scoped};

/// The value leaves, not the handle.
async fn returns_the_value() -> Result<u32, Cancelled> {
    nursery!(async |n| Ok(n.spawn(async { Ok(1) }).await)).await
}

async fn returns_the_value_from_scope() -> Result<u32, Cancelled> {
    scope(async |s: &Scope<Cancelled>| Ok(s.spawn(async { Ok(1) }).await)).await
}

/// Handles are stored in the block that gave them out.
async fn stores_handles_inside() -> Result<u32, Cancelled> {
    nursery!(async |n: &Nursery<'_, Cancelled>| {
        let children: Vec<Child<'_, u32, Cancelled>> = (0..3).map(|i| n.spawn(async move { Ok(i) })).collect();
        let mut sum = 0;
        for child in children {
            sum += child.await;
        }
        Ok(sum)
    })
    .await
}

/// The handle of an outer block is used in an inner one.
async fn spawns_into_the_outer_block() -> Result<u32, Cancelled> {
    nursery!(async |outer| {
        let mut child = None;
        nursery!(async |_inner| -> Result<(), Cancelled> {
            child = Some(outer.spawn(async { Ok(1) }));
            Ok(())
        })
        .await?;
        match child {
            Some(child) => Ok(child.await),
            None => Ok(0),
        }
    })
    .await
}

/// A child that spawns siblings gets the scope lent.
async fn lends_the_scope_to_a_child() -> Result<(), Cancelled> {
    nursery!(async |n| {
        n.spawn_with(async |n: &Scope<Cancelled>| {
            n.spawn(async {});
        });
        Ok(())
    })
    .await
}

/// What may go anywhere is the stop button.
async fn hands_out_a_stop_button() -> Result<(), Cancelled> {
    thread_local! {
        static STOP: Cell<Option<Canceller>> = const { Cell::new(None) };
    }
    nursery!(async |n| {
        STOP.set(Some(n.canceller()));
        Ok(())
    })
    .await
}

/// An inner nursery borrows from the block around it, and ends in it.
async fn borrows_from_the_outer_block() -> Result<usize, Cancelled> {
    nursery!(async |_outer| {
        let text = String::from("inside");
        nursery!(async |n| {
            let length = n.spawn_borrowed(async { Ok(text.len()) });
            Ok(length.await)
        })
        .await
    })
    .await
}

#[scoped(|n|)]
async fn stores_the_value_in_its_argument(stored: &Arc<Mutex<Option<u32>>>) -> Result<(), Cancelled> {
    *stored.lock().unwrap() = Some(n.spawn(async { Ok(1) }).await);
    Ok(())
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Cancelled> {
    assert_eq!(returns_the_value().await?, 1);
    assert_eq!(returns_the_value_from_scope().await?, 1);
    assert_eq!(stores_handles_inside().await?, 3);
    assert_eq!(spawns_into_the_outer_block().await?, 1);
    lends_the_scope_to_a_child().await?;
    hands_out_a_stop_button().await?;
    assert_eq!(borrows_from_the_outer_block().await?, 6);
    let stored = Arc::default();
    stores_the_value_in_its_argument(&stored).await?;
    assert_eq!(*stored.lock().unwrap(), Some(1));
    Ok(())
}
