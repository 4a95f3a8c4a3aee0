//! In macros of one's own, and in the arguments of others'.

use tokio::task::JoinHandle;

macro_rules! go {
    ($($code:tt)*) => {
        tokio::spawn(async move { $($code)* })
    };
}

macro_rules! go_by {
    ($start:expr, $value:expr) => {
        $start(async move { $value })
    };
}

/// The macro says it. Used twice, since it is rewritten once.
pub fn in_definition(value: u32) -> (JoinHandle<u32>, JoinHandle<u32>) {
    (go!(value), go!(value + 1))
}

/// The caller says it.
pub fn in_argument(value: u32) -> JoinHandle<u32> {
    go_by!(tokio::spawn, value)
}

/// In the arguments of macros of the standard library and of Tokio.
pub async fn in_arguments_of_others(value: u32) -> u32 {
    let tasks = vec![tokio::spawn(async move { value }), go!(value)];
    let mut sum = 0;
    for task in tasks {
        sum += task.await.unwrap_or(0);
    }
    let (one, two) = tokio::join!(tokio::spawn(async move { value }), async move { value });
    sum += one.unwrap_or(0) + two;
    tokio::select! {
        Ok(value) = tokio::spawn(async move { value }) => sum + value,
        else => 0,
    }
}
