//! Joins that are accepted: the twins of `joins`.

use sc_tokio::{Cancelled, Failure, RaceError, join};

async fn length(text: &str) -> Result<usize, Cancelled> {
    tokio::task::yield_now().await;
    Ok(text.len())
}

async fn borrows() -> Result<Vec<usize>, Cancelled> {
    let texts = [String::from("a")];
    join::all(texts.iter().map(|text| length(text))).await
}

async fn is_parallel() -> Result<Vec<usize>, Cancelled> {
    let texts = [String::from("a")];
    join::all(texts.map(|text| async move { length(&text).await })).parallel().await
}

async fn needs_no_conversion() -> Result<Vec<i32>, Failure<std::fmt::Error>> {
    join::with(join::All::new(), [1, 2].map(|n| async move { Ok::<_, std::fmt::Error>(n) })).await
}

async fn races() -> Result<usize, RaceError<Cancelled>> {
    let text = String::from("a");
    join::first_ok([length(&text), length("bc")]).await
}

async fn takes_a_stream() -> Result<Vec<i32>, Cancelled> {
    join::map(join::stream(futures::stream::iter([1, 2])), |n| async move { Ok(n) }).await
}

async fn in_anyhow() -> anyhow::Result<()> {
    let first = join::first_ok([async { anyhow::Ok(1) }]).await?;
    join::for_each(0..first, async |_| anyhow::Ok(())).limit(2).await
}

struct Holder<'a> {
    texts: &'a [String],
}

impl Holder<'_> {
    async fn all(&self) -> Result<Vec<usize>, Cancelled> {
        join::map(self.texts, |text| length(text)).await
    }
}

fn is_send<T: Send>(_: T) {}

fn main() {
    is_send(borrows());
    is_send(is_parallel());
    is_send(needs_no_conversion());
    is_send(races());
    is_send(takes_a_stream());
    is_send(in_anyhow());
    is_send(Holder { texts: &[] }.all());
    tokio::runtime::Builder::new_multi_thread().build().unwrap().block_on(async {
        let spawned = tokio::task::spawn(async { (borrows().await, races().await, in_anyhow().await) });
        assert!(matches!(spawned.await.unwrap(), (Ok(_), Ok(1), Ok(()))));
    });
}
