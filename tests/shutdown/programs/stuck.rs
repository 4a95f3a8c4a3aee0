//! Programs that do not finish.

use std::future::pending;

async fn hold() {
    crate::say("ready");
    sc_tokio::spawn(async {
        sc_tokio::shutting_down().await;
        crate::say("not ready");
    });
    let session = sc_tokio::nursery!(async |n| -> Result<(), sc_tokio::Cancelled> {
        n.task().name("upload").spawn(async { pending::<()>().await });
        pending().await
    });
    let _ = session.named("session").await;
}

#[allow(clippy::module_inception, reason = "one of the programs of this file, by the name it is called by")]
pub(crate) mod stuck {
    use std::time::Duration;

    #[sc_tokio::main(drain = Duration::from_millis(100))]
    pub(crate) async fn main() {
        super::hold().await;
    }
}

pub(crate) mod patient {
    use std::time::Duration;

    #[sc_tokio::main(drain = Duration::from_secs(600))]
    pub(crate) async fn main() {
        super::hold().await;
    }
}

pub(crate) mod deaf {
    #[sc_tokio::main(signals = false)]
    pub(crate) async fn main() {
        super::hold().await;
    }
}
