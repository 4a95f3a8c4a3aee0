//! Ctrl-C.

use std::task::Poll;

use futures::FutureExt;

/// Gives a future that resolves at Ctrl-C; never, if the system does not let us listen for it.
///
/// We listen from now on, not from the first time that somebody polls the future.
pub async fn interrupted() -> impl Future<Output = ()> + Send + 'static {
    let mut signal = Box::pin(tokio::signal::ctrl_c().fuse());
    let early = futures::poll!(&mut signal);
    async move {
        let signalled = match early {
            Poll::Ready(signalled) => signalled,
            Poll::Pending => signal.await,
        };
        if signalled.is_err() {
            std::future::pending::<()>().await;
        }
    }
}
