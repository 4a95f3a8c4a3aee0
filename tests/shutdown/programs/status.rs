//! Programs that say how they ended.

use std::process::ExitCode;
use std::time::Duration;

pub(crate) mod error {
    #[sc_tokio::main]
    pub(crate) async fn main() -> Result<(), String> {
        Err("the disk is full".into())
    }
}

/// The error is told although somebody had to be abandoned.
pub(crate) mod error_in_the_end {
    use std::time::Duration;

    #[sc_tokio::main(abandon_after = Duration::from_millis(50))]
    pub(crate) async fn main() -> Result<(), String> {
        sc_tokio::spawn_shielded(Duration::from_secs(600), std::future::pending::<()>());
        tokio::task::yield_now().await;
        Err("the disk is full".into())
    }
}

pub(crate) mod code {
    use std::process::ExitCode;

    #[sc_tokio::main]
    pub(crate) async fn main() -> impl std::process::Termination {
        ExitCode::from(7)
    }
}

pub(crate) mod never {
    #[sc_tokio::main]
    pub(crate) async fn main() -> ! {
        crate::say("ready");
        sc_tokio::shutting_down().await;
        std::process::exit(3)
    }
}

pub(crate) mod panics {
    #[sc_tokio::main]
    pub(crate) async fn main() {
        panic!("the main function's own")
    }
}

/// Not the program's `main`: what it returns is for its caller, and an end that is not clean is a panic.
pub(crate) fn function() -> ExitCode {
    assert_eq!(program(3), 3);
    let cut = std::panic::catch_unwind(cut);
    let message = cut.unwrap_err().downcast::<&str>().unwrap();
    crate::say(&message);
    ExitCode::SUCCESS
}

#[sc_tokio::main(flavor = "current_thread")]
async fn program(value: u8) -> u8 {
    value
}

#[sc_tokio::main(flavor = "current_thread", drain = Duration::ZERO, signals = false)]
async fn cut() -> u8 {
    sc_tokio::root().begin_shutdown();
    std::future::pending().await
}
