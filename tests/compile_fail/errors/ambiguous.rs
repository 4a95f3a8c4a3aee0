//! Only `?` could tell the error type, and it converts into many.

use sc_tokio::{Cancelled, nursery};

#[derive(Debug)]
enum AppError {
    Io(std::io::Error),
    Cancelled(Cancelled),
}

impl From<std::io::Error> for AppError {
    fn from(error: std::io::Error) -> Self {
        Self::Io(error)
    }
}

impl From<Cancelled> for AppError {
    fn from(cancelled: Cancelled) -> Self {
        Self::Cancelled(cancelled)
    }
}

async fn read() -> Result<u8, std::io::Error> {
    Ok(1)
}

async fn f() -> Result<u8, AppError> {
    let byte = nursery!(async |_n| Ok(read().await?)).await?;
    Ok(byte)
}

fn main() {}
