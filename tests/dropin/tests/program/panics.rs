//! A panic of a task is in its handle, and the places that panics name are the caller's.

use std::cell::RefCell;
use std::future::pending;
use std::panic::{AssertUnwindSafe, Location, catch_unwind, panic_any};
use std::sync::Once;

use sc_dropin::generic::spawn_named;
use tokio::runtime::Builder;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// Panics when it is dropped.
struct Mine;

impl Drop for Mine {
    fn drop(&mut self) {
        panic_any("in the destructor");
    }
}

thread_local! {
    static PANICKED_AT: RefCell<Option<(String, u32)>> = const { RefCell::new(None) };
}

/// Where code panics that needs a runtime and has none.
fn place_of_panic(code: impl FnOnce()) -> (String, u32) {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let usual = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            let place = info.location().map(|place| (place.file().to_owned(), place.line()));
            PANICKED_AT.with_borrow_mut(|at| *at = place);
            usual(info);
        }));
    });
    let panic = catch_unwind(AssertUnwindSafe(code)).unwrap_err();
    let message = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref().copied());
    assert!(message.unwrap().contains("there is no reactor running"), "{message:?}");
    PANICKED_AT.take().unwrap()
}

#[track_caller]
fn place(offset: u32) -> (String, u32) {
    (Location::caller().file().to_owned(), Location::caller().line() + offset)
}

#[tokio::test]
async fn the_payload_of_a_panic_is_in_the_handle() {
    let panicked = tokio::spawn(async { panic_any(7_u32) }).await.unwrap_err();
    assert!(panicked.is_panic() && !panicked.is_cancelled());
    assert_eq!(*panicked.into_panic().downcast::<u32>().unwrap(), 7);
}

#[tokio::test]
async fn the_payload_of_a_panic_in_blocking_code_is_in_the_handle() {
    let task: JoinHandle<()> = tokio::task::spawn_blocking(|| panic_any("out of paper".to_owned()));
    let panicked = task.await.unwrap_err();
    assert!(panicked.to_string().contains("out of paper"), "{panicked}");
    assert_eq!(*panicked.into_panic().downcast::<String>().unwrap(), "out of paper");
}

#[tokio::test]
async fn a_panic_stops_nobody_else() {
    let sibling = tokio::spawn(async {
        tokio::task::yield_now().await;
        "fine"
    });
    let panicked: JoinHandle<()> = tokio::spawn(async { panic!("on its own") });
    assert!(panicked.await.unwrap_err().is_panic());
    assert_eq!(sibling.await.unwrap(), "fine");
}

#[tokio::test]
async fn the_panic_of_a_destructor_after_an_abort_is_in_the_handle() {
    let mine = Mine;
    let (begun, has_begun) = oneshot::channel();
    let task = tokio::spawn(async {
        begun.send(()).unwrap();
        pending::<()>().await;
        drop(mine);
    });
    has_begun.await.unwrap();
    task.abort();
    let panicked = task.await.unwrap_err();
    assert!(panicked.is_panic(), "{panicked}");
    assert_eq!(*panicked.into_panic().downcast::<&str>().unwrap(), "in the destructor");
}

#[test]
fn the_panic_of_a_queued_closures_destructor_after_an_abort_is_in_the_handle() {
    let runtime = Builder::new_current_thread().max_blocking_threads(1).build().unwrap();
    runtime.block_on(async {
        let (busy, is_busy) = std::sync::mpsc::channel::<()>();
        let holder = tokio::task::spawn_blocking(move || is_busy.recv());
        let mine = Mine;
        let queued = tokio::task::spawn_blocking(move || drop(mine));
        queued.abort();
        drop(busy);
        assert!(holder.await.unwrap().is_err());
        let panicked = queued.await.unwrap_err();
        assert!(panicked.is_panic(), "{panicked}");
        assert_eq!(*panicked.into_panic().downcast::<&str>().unwrap(), "in the destructor");
    });
}

#[test]
fn outside_a_runtime_the_panic_names_the_caller() {
    let expected = place(1);
    let panicked = place_of_panic(|| drop(tokio::spawn(async {})));
    assert_eq!(panicked, expected);
}

#[test]
fn outside_a_runtime_the_panic_of_blocking_code_names_the_caller() {
    let expected = place(1);
    let panicked = place_of_panic(|| drop(tokio::task::spawn_blocking(|| ())));
    assert_eq!(panicked, expected);
}

#[test]
fn outside_a_runtime_a_wrapper_passes_the_caller_on() {
    let expected = place(1);
    let panicked = place_of_panic(|| drop(spawn_named("nobody", async {})));
    assert_eq!(panicked, expected);
}
