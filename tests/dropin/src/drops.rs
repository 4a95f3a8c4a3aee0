//! A destructor cannot wait, so it starts a task.

use tokio::runtime::Handle;
use tokio::sync::mpsc::UnboundedSender;

/// Says good-bye when it is dropped, if there is somebody to carry the word.
#[derive(Debug)]
pub struct Session {
    number: u32,
    goodbyes: UnboundedSender<u32>,
}

impl Session {
    /// Begins one.
    pub const fn new(number: u32, goodbyes: UnboundedSender<u32>) -> Self {
        Self { number, goodbyes }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if Handle::try_current().is_err() {
            return;
        }
        let (number, goodbyes) = (self.number, self.goodbyes.clone());
        tokio::spawn(async move {
            tokio::task::yield_now().await;
            let _ = goodbyes.send(number);
        });
    }
}
