//! Programs that finish what they have begun.

/// The body of all of them: a request is in work when the shutdown begins, and is answered.
async fn serve() {
    let request = sc_tokio::spawn(async {
        sc_tokio::drain_begins().await;
        crate::say("drain");
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        crate::say("answered");
    });
    sc_tokio::spawn(std::future::pending::<()>()); // ends with main
    sc_tokio::spawn(async {
        sc_tokio::shutting_down().await;
        crate::say("not ready");
    });
    crate::say("ready");
    request.await.unwrap();
}

pub(crate) mod clean {
    #[sc_tokio::main]
    pub(crate) async fn main() {
        super::serve().await;
    }
}

pub(crate) mod delayed {
    use std::time::Duration;

    #[sc_tokio::main(worker_threads = 2, pre_drain = Duration::from_millis(200), drain = Duration::from_secs(60))]
    pub(crate) async fn main() {
        super::serve().await;
    }
}

pub(crate) mod current_thread {
    #[sc_tokio::main(flavor = "current_thread", signals = true)]
    pub(crate) async fn main() -> Result<(), sc_tokio::Cancelled> {
        super::serve().await;
        Ok(())
    }
}

pub(crate) mod own_runtime {
    use std::process::ExitCode;

    use sc_tokio::Root;

    pub(crate) fn main() -> ExitCode {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let ended = runtime.block_on(Root::new().signals().run(super::serve()));
        runtime.shutdown_timeout(ended.time_left());
        ended.exit_code()
    }
}
