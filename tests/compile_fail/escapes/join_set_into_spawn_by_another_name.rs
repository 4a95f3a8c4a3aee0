//! A set of tasks is moved into a task of Tokio's, by a name that the macro does not know.

use sc_tokio::{Cancelled, nursery};
use tokio::spawn as run;

async fn f() -> Result<(), Cancelled> {
    nursery!(async |n| {
        let mut set = n.join_set();
        set.spawn(async { Ok(1) });
        run(async move { drop(set.join_next().await) });
        Ok(())
    })
    .await
}

fn main() {}
