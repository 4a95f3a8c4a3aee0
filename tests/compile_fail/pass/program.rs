//! The twins of `program`.

use std::time::Duration;

const DRAIN: Duration = Duration::from_secs(1);

mod multi_thread {
    use super::{DRAIN, Duration};

    #[sc_tokio::main(
        worker_threads = 2,
        name = "service",
        drain = DRAIN,
        pre_drain = Duration::from_millis(1),
        abandon_after = DRAIN * 2,
        signals = false
    )]
    pub async fn main() -> Result<(), std::io::Error> {
        std::future::ready(Ok(())).await
    }
}

mod current_thread {
    #[sc_tokio::main(flavor = "current_thread", start_paused = true, crate = "tokio", signals = true)]
    pub async fn main() -> impl std::process::Termination {
        tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    }
}

mod local {
    #[sc_tokio::main(flavor = "local")]
    pub async fn main() {
        let here = std::rc::Rc::new(1);
        assert_eq!(*sc_tokio::spawn_local(async move { here }).await.unwrap(), 1);
    }
}

#[sc_tokio::main(flavor = "current_thread")]
async fn value<T: Clone>(value: &T) -> T {
    value.clone()
}

#[sc_tokio::test(leaks = "allow")]
async fn leaks() {
    sc_tokio::spawn(std::future::pending::<()>());
}

#[sc_tokio::test(leaks = "deny", start_paused = true)]
async fn does_not() -> Result<(), String> {
    Ok(())
}

fn main() {
    multi_thread::main();
    current_thread::main();
    local::main();
    assert_eq!(value(&5), 5);
}
