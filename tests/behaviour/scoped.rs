//! `#[scoped]`: on every kind of function, with every option, below and above other attributes.

mod options;
mod shapes;
mod stacked;

use std::future::pending;

use sc_tokio::{Cancelled, scoped};
use tokio::task::yield_now;

use crate::support::{Alive, Live, both_flavours};

#[scoped(|n|)]
async fn starts_and_returns(guard: Alive) -> Result<u32, Cancelled> {
    n.spawn(async move {
        let _guard = guard;
        yield_now().await;
        yield_now().await;
    });
    Ok(1)
}

#[test]
fn what_it_starts_has_ended_when_it_returns() {
    both_flavours(|| async {
        let live = Live::new();
        assert_eq!(starts_and_returns(live.one()).await.unwrap(), 1);
        assert_eq!(live.count(), 0);
    });
}

#[scoped(|n|)]
async fn leaves_early(guard: Alive, early: bool) -> Result<u32, std::io::Error> {
    n.spawn(async move {
        let _guard = guard;
        pending::<()>().await;
    });
    yield_now().await;
    if early {
        return Err(std::io::Error::other("early"));
    }
    let number: u32 = "no number".parse().map_err(std::io::Error::other)?;
    Ok(number)
}

#[test]
fn return_and_the_question_mark_leave_the_scope_and_stop_its_children() {
    both_flavours(|| async {
        let live = Live::new();
        assert_eq!(leaves_early(live.one(), true).await.unwrap_err().to_string(), "early");
        assert!(leaves_early(live.one(), false).await.unwrap_err().to_string().contains("invalid digit"));
        assert_eq!(live.count(), 0);
    });
}

#[scoped(|n|)]
async fn fails_in_a_child(panics: bool) -> Result<(), std::io::Error> {
    n.spawn(async move {
        assert!(!panics, "a child's panic");
        Err::<(), _>(std::io::Error::other("a child's error"))
    });
    pending().await
}

#[test]
fn errors_and_panics_of_children_are_the_functions() {
    both_flavours(|| async {
        assert_eq!(fails_in_a_child(false).await.unwrap_err().to_string(), "a child's error");
        let panic = tokio::spawn(fails_in_a_child(true)).await.unwrap_err();
        assert_eq!(panic.into_panic().downcast_ref(), Some(&"a child's panic"));
    });
}

#[scoped(|n|)]
async fn borrows(text: &str, log: &mut Vec<usize>, owned: Vec<u8>) -> Result<usize, Cancelled> {
    let length = n.spawn_borrowed(async { Ok(text.len() + owned.len()) });
    let logged = n.spawn_borrowed(async {
        log.push(text.len());
        Ok(log.len())
    });
    Ok(length.await + logged.await)
}

#[test]
fn borrowed_children_borrow_arguments() {
    both_flavours(|| async {
        let mut log = Vec::new();
        assert_eq!(borrows("four", &mut log, vec![1, 2]).await.unwrap(), 7);
        assert_eq!(log, [4]);
    });
}

#[scoped(|n|)]
async fn returns_nothing(guard: Alive, reached: &mut bool) {
    n.spawn(async move {
        let _guard = guard;
        pending::<()>().await;
    });
    n.cancel("enough");
    yield_now().await;
    *reached = true;
}

#[test]
fn without_a_result_a_cancelled_function_just_returns() {
    both_flavours(|| async {
        let (live, mut reached) = (Live::new(), false);
        let () = returns_nothing(live.one(), &mut reached).await;
        assert_eq!((live.count(), reached), (0, false));
    });
}

#[scoped(|n|)]
async fn returns_nothing_and_panics() {
    n.spawn(async { panic!("with no result to put it in") });
    pending::<()>().await;
}

#[test]
fn without_a_result_a_childs_panic_goes_on() {
    both_flavours(|| async {
        let panic = tokio::spawn(returns_nothing_and_panics()).await.unwrap_err();
        assert_eq!(panic.into_panic().downcast_ref(), Some(&"with no result to put it in"));
    });
}

#[test]
fn dropped_half_way_it_leaves_no_child_behind() {
    #[scoped(|n|)]
    async fn waits(guard: Alive) -> Result<(), Cancelled> {
        n.spawn(async move {
            let _guard = guard;
            pending::<()>().await;
        });
        pending().await
    }
    both_flavours(|| async {
        let live = Live::new();
        sc_tokio::nursery!(async |_n| -> Result<(), Cancelled> {
            let mut future = Box::pin(waits(live.one()));
            assert!(futures::poll!(future.as_mut()).is_pending());
            drop(future);
            Ok(())
        })
        .await
        .unwrap();
        assert_eq!(live.count(), 0);
    });
}

#[scoped]
async fn level_0() -> Result<(), Cancelled> {
    let kilobyte = [1_u8; 1024];
    yield_now().await;
    assert_eq!(kilobyte[0], 1);
    Ok(())
}

#[scoped(|n|)]
async fn level_1() -> Result<(), Cancelled> {
    n.spawn(async {});
    level_0().await
}

#[scoped(|n|)]
async fn level_2() -> Result<(), Cancelled> {
    n.spawn(async {});
    level_1().await
}

#[scoped(|n|, timeout = std::time::Duration::from_secs(1), policy = sc_tokio::Supervise)]
async fn level_3() -> Result<(), Cancelled> {
    n.spawn(async {});
    level_2().await
}

#[test]
fn a_level_adds_a_constant_and_does_not_double_the_future() {
    let sizes = [size_of_val(&level_0()), size_of_val(&level_1()), size_of_val(&level_2()), size_of_val(&level_3())];
    println!("{sizes:?}");
    for level in sizes.windows(2) {
        assert!(level[1] - level[0] <= 192, "{sizes:?}");
    }
}
