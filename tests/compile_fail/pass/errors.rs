//! Error types that a scope can return: the twins of `errors`.

use sc_tokio::{Cancelled, Nursery, OutcomeKind, Supervise, nursery, scoped};

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

async fn by_return_type() -> Result<u8, AppError> {
    let byte = nursery!(async |_n| -> Result<u8, AppError> { Ok(read().await?) }).await?;
    Ok(byte)
}

async fn by_typed_handle() -> Result<u8, AppError> {
    let byte = nursery!(async |_n: &Nursery<'_, AppError>| Ok(read().await?)).await?;
    Ok(byte)
}

async fn anyhow() -> anyhow::Result<u8> {
    nursery!(async |_n| Ok(read().await?)).await
}

async fn boxed() -> Result<u8, Box<dyn std::error::Error + Send + Sync>> {
    nursery!(<Supervise> async |_n| Ok(read().await?)).await
}

async fn io() -> Result<u8, std::io::Error> {
    nursery!(async |_n| read().await).await
}

async fn foreign() -> Result<u8, std::fmt::Error> {
    nursery!(async |_n| Ok(1)).map_cancelled(|_| std::fmt::Error).await
}

#[scoped(map_cancelled = |_| std::fmt::Error)]
async fn foreign_in_scoped() -> Result<u8, std::fmt::Error> {
    Ok(1)
}

async fn as_an_outcome() -> OutcomeKind {
    nursery!(async |_n| -> Result<u8, std::fmt::Error> { Ok(1) }).outcome().await.kind()
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    assert_eq!(by_return_type().await.unwrap() + by_typed_handle().await.unwrap(), 2);
    assert_eq!(anyhow().await.unwrap() + boxed().await.unwrap() + io().await.unwrap(), 3);
    assert_eq!(foreign().await.unwrap() + foreign_in_scoped().await.unwrap(), 2);
    assert_eq!(as_an_outcome().await, OutcomeKind::Ok);
    for error in [AppError::Io(std::io::Error::other("shown")), AppError::from(std::io::Error::other("shown"))] {
        let (AppError::Io(_) | AppError::Cancelled(_)) = error;
    }
}
