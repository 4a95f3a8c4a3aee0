//! The signals that end a program.

#[cfg(unix)]
mod system {
    use tokio::signal::unix::{Signal, SignalKind, signal};

    /// What a service manager and a terminal send.
    pub(crate) struct Signals {
        terminate: Signal,
        interrupt: Signal,
    }

    impl Signals {
        pub(crate) fn listen() -> Self {
            let listen = |kind| match signal(kind) {
                Ok(signal) => signal,
                Err(error) => panic!("the program's root cannot listen for signals: {error}"),
            };
            Self { terminate: listen(SignalKind::terminate()), interrupt: listen(SignalKind::interrupt()) }
        }

        pub(crate) async fn recv(&mut self) {
            let Self { terminate, interrupt } = self;
            std::future::poll_fn(|cx| {
                // Each registers its waker, unless one has come.
                if matches!(terminate.poll_recv(cx), std::task::Poll::Ready(Some(()))) {
                    return std::task::Poll::Ready(());
                }
                interrupt.poll_recv(cx).map(drop)
            })
            .await;
        }
    }
}

#[cfg(not(unix))]
mod system {
    use std::pin::Pin;

    /// What a terminal sends.
    pub(crate) struct Signals(Pin<Box<dyn Future<Output = ()> + Send>>);

    impl Signals {
        pub(crate) fn listen() -> Self {
            Self(next())
        }

        pub(crate) async fn recv(&mut self) {
            self.0.as_mut().await;
            self.0 = next();
        }
    }

    fn next() -> Pin<Box<dyn Future<Output = ()> + Send>> {
        Box::pin(async {
            if let Err(error) = tokio::signal::ctrl_c().await {
                panic!("the program's root cannot listen for ctrl-c: {error}");
            }
        })
    }
}

pub(super) use system::Signals;
