//! A type of one's own is made a child's output.

use sc_tokio::{Cancelled, ChildOutput};

struct Mine;

impl ChildOutput<Cancelled> for Mine {
    type Value = ();

    fn into_result(self) -> Result<(), Cancelled> {
        Ok(())
    }
}

fn main() {}
