//! Children that are accepted: the twins of `children`.

use std::rc::Rc;

use sc_tokio::{Scope, nursery};

async fn read() -> Result<usize, std::fmt::Error> {
    Ok(1)
}

async fn takes_along_and_borrows(argument: &str) -> anyhow::Result<usize> {
    let before = String::from("before the block");
    nursery!(async |n| {
        let inside = String::from("inside");
        let moved = n.spawn(async move { Ok(inside.len()) });
        let owned = argument.to_owned();
        let blocking = n.spawn_blocking(move |_cx| Ok(owned.len()));
        let borrowed = n.spawn_borrowed(async { Ok(before.len() + argument.len()) });
        let taken_along = String::from("taken along");
        n.defer(async move |_end| drop(taken_along));
        Ok(moved.await + blocking.await + borrowed.await)
    })
    .await
}

async fn returns_what_a_child_may() -> anyhow::Result<usize> {
    nursery!(async |n| {
        n.spawn(async {});
        n.task().daemon().spawn(async {
            loop {
                std::future::pending::<()>().await;
            }
        });
        n.spawn_blocking(|_cx| ());
        n.spawn_with(async |_n: &Scope<anyhow::Error>| Ok(1));
        let converted = n.spawn(async { Ok(read().await?) });
        let plain = n.spawn(async { Ok("without an error".len()) });
        Ok(converted.await + plain.await)
    })
    .await
}

async fn keeps_what_is_not_send_between_awaits() -> anyhow::Result<i32> {
    nursery!(async |n| {
        let child = n.spawn(async {
            let value = *Rc::new(1);
            tokio::task::yield_now().await;
            Ok(value)
        });
        Ok(child.await)
    })
    .await
}

async fn borrows_one_thing_after_another() -> anyhow::Result<Vec<u32>> {
    let mut log = Vec::new();
    nursery!(async |n| -> anyhow::Result<()> {
        n.spawn_borrowed(async {
            log.push(1);
            log.push(2);
        });
        Ok(())
    })
    .await?;
    Ok(log)
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    assert_eq!(takes_along_and_borrows("four").await?, 6 + 4 + 16 + 4);
    assert_eq!(returns_what_a_child_may().await?, 1 + 16);
    assert_eq!(keeps_what_is_not_send_between_awaits().await?, 1);
    assert_eq!(borrows_one_thing_after_another().await?, [1, 2]);
    Ok(())
}
