//! Programs with blocking code that does not come to an end.

fn block() {
    loop {
        std::thread::park();
    }
}

#[allow(clippy::module_inception, reason = "one of the programs of this file, by the name it is called by")]
pub(crate) mod blocked {
    use std::time::Duration;

    #[sc_tokio::main(drain = Duration::from_millis(50), abandon_after = Duration::from_millis(50))]
    pub(crate) async fn main() {
        sc_tokio::spawn_blocking(super::block);
        crate::say("ready");
        std::future::pending::<()>().await;
    }
}

/// No bound at all, for what ends by itself.
pub(crate) mod boundless {
    use std::time::Duration;

    #[sc_tokio::main(drain = Duration::MAX, pre_drain = Duration::ZERO, abandon_after = Duration::MAX)]
    pub(crate) async fn main() {
        tokio::task::spawn_blocking(|| std::thread::sleep(Duration::from_millis(20)));
        sc_tokio::root().begin_shutdown();
    }
}

/// The panic is not held up, either.
pub(crate) mod panics {
    use std::time::Duration;

    #[sc_tokio::main(abandon_after = Duration::from_millis(50))]
    pub(crate) async fn main() {
        tokio::task::spawn_blocking(super::block);
        panic!("beside a thread that is blocked")
    }
}

/// The thread is nobody's, as those of a dependency are.
pub(crate) mod not_ours {
    use std::time::Duration;

    #[sc_tokio::main(abandon_after = Duration::from_millis(50))]
    pub(crate) async fn main() {
        let (started, start) = tokio::sync::oneshot::channel();
        tokio::task::spawn_blocking(|| {
            started.send(()).unwrap();
            super::block();
        });
        start.await.unwrap();
    }
}
