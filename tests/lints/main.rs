//! Every form of every macro, for clippy: `.ci/run macro-lints` looks at this with `clippy::pedantic` and `clippy::nursery`,
//! so that no user is told off for what a macro wrote. And it runs.

use std::time::Duration;

use sc_tokio::{Cancelled, Nursery, Scope, Supervise, nursery, scope_local, scoped};

type Page<T = u32> = Result<T, Cancelled>;

scope_local! {
    static REQUEST: u64;
    /// Documented, and not the only one.
    pub static TENANT: String;
}

async fn plain(text: &str) -> Page<usize> {
    nursery!(async |n| {
        let length = n.spawn_borrowed(async { Ok(text.len()) });
        Ok(length.await)
    })
    .await
}

async fn with_header(text: String) -> Page<usize> {
    nursery!(<Supervise> async move |n: &Nursery<'_, Cancelled>| -> Result<usize, Cancelled> {
        let length = n.spawn(async { Ok(4) });
        Ok(length.await.min(text.len()))
    })
    .named("header")
    .timeout(Duration::from_secs(9))
    .await
}

async fn without_a_name() -> Page {
    let one = nursery!(async |_| Ok::<_, Cancelled>(1)).await?;
    let two = nursery!(async |_n| Ok::<_, Cancelled>(2)).outcome().await;
    nursery!(async |n| {
        n.spawn_with(async |n: &Scope<Cancelled>| {
            n.spawn(async {});
        });
        // Nested, with the same name.
        nursery!(async |n| {
            n.spawn(async {});
            Ok::<_, Cancelled>(one + two.into_value().unwrap_or_default())
        })
        .await
    })
    .await
}

#[scoped]
async fn bare() -> Page {
    Ok(1)
}

#[scoped(|n|, policy = Supervise, timeout = Duration::from_secs(9), grace = Duration::ZERO, limit = 2, name = "page")]
async fn with_options(text: &str) -> Page<usize> {
    let length = n.spawn_borrowed(async { Ok(text.len()) });
    Ok(length.await)
}

#[scoped(|n|, map_cancelled = |_| std::fmt::Error)]
async fn foreign() -> std::fmt::Result {
    n.spawn(async {});
    Ok(())
}

#[scoped(|n|, allow(tokio_spawn))]
async fn nothing() {
    n.spawn(async {});
    drop(tokio::spawn(async {}).await);
}

struct Shop(u32);

trait Work {
    async fn work(&self) -> Page;
}

impl Work for Shop {
    #[scoped(|n|)]
    async fn work(&self) -> Page {
        let number = self.0;
        Ok(n.spawn(async move { Ok(number) }).await)
    }
}

#[async_trait::async_trait]
trait Count {
    async fn count(&mut self, by: u32) -> Page;
}

#[async_trait::async_trait]
impl Count for Shop {
    #[scoped(|n|)]
    async fn count(&mut self, by: u32) -> Page {
        self.0 += n.spawn(async move { Ok(by) }).await;
        Ok(self.0)
    }
}

#[sc_tokio::test]
async fn every_form_runs() {
    assert_eq!(plain("four").await.unwrap() + with_header("four".to_owned()).await.unwrap(), 8);
    assert_eq!(without_a_name().await.unwrap() + bare().await.unwrap(), 4);
    assert_eq!(with_options("four").await.unwrap(), 4);
    foreign().await.unwrap();
    nothing().await;
    let mut shop = Shop(1);
    assert_eq!((shop.count(2).await.unwrap(), shop.work().await.unwrap()), (3, 3));
    REQUEST.scope(7, async { assert_eq!(REQUEST.get(), 7) }).await;
    assert!(TENANT.try_get().is_err());
}

#[sc_tokio::test(start_paused = true)]
#[should_panic(expected = "meant")]
async fn the_test_attribute_takes_what_tokios_takes() {
    tokio::time::sleep(Duration::from_secs(60)).await;
    panic!("meant");
}

#[sc_tokio::main(flavor = "current_thread")]
async fn main_of_a_program() -> Page {
    bare().await
}

#[test]
fn a_program_runs() {
    assert_eq!(main_of_a_program().unwrap(), 1);
}
