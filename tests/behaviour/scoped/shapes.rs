//! Every kind of function.

use std::fmt::{Debug, Display};
use std::future::Future;
use std::pin::Pin;

use sc_tokio::{Cancelled, Nursery, Scope, scoped};
use tokio::task::yield_now;

use crate::support::both_flavours;

type Outcome<T = ()> = Result<T, Cancelled>;

#[scoped]
async fn without_a_handle(x: u32) -> Result<u32, Cancelled> {
    yield_now().await;
    Ok(x)
}

#[scoped(|n: &Nursery<'_, Cancelled>|)]
async fn through_an_alias(x: u32) -> Outcome<u32> {
    Ok(n.spawn(async move { Ok(x) }).await)
}

#[scoped(|n|)]
async fn with_the_unit_written_out(log: &mut Vec<u32>) -> () {
    n.spawn_borrowed(async { log.push(1) });
}

#[scoped(|n|)]
async fn generic<T, const N: usize>((a, b): (T, T), all: [u8; N]) -> Outcome<String>
where
    T: Display + Send + Sync,
{
    let text = n.spawn_borrowed(async { Ok(format!("{a}{b}")) });
    Ok(format!("{}{}", text.await, all.len()))
}

#[scoped]
async fn impl_in_and_out(x: impl Display, y: &(impl Debug + ?Sized)) -> Result<impl Display, Cancelled> {
    yield_now().await;
    Ok(format!("{x}{y:?}"))
}

#[scoped]
async fn boxed_output(short: bool) -> Result<Box<dyn Display + Send>, Cancelled> {
    if short {
        return Ok(Box::new('x'));
    }
    yield_now().await;
    Ok(Box::new("long"))
}

#[scoped]
async fn boxed_error(text: bool) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    if text {
        return Err("text".into());
    }
    Err(Box::new(std::fmt::Error))
}

#[scoped]
async fn explicit_lifetime<'a>(kept: &'a str, _other: &str) -> Outcome<&'a str> {
    Ok(kept)
}

#[scoped]
async fn mutable_patterns(mut count: u32, [first, .., last]: [u32; 3]) -> Outcome<u32> {
    count += first + last;
    Ok(count)
}

#[scoped(|n|)]
async fn factorial(of: u64) -> Outcome<u64> {
    if of == 0 {
        return Ok(1);
    }
    n.spawn(async {});
    Ok(of * Box::pin(factorial(of - 1)).await?)
}

#[scoped(|r#match|)]
async fn r#loop() -> Outcome<Option<String>> {
    Ok(r#match.name().map(str::to_owned))
}

#[scoped(|n|)]
fn boxed_by_hand<'a>(text: &'a str) -> Pin<Box<dyn Future<Output = Outcome<usize>> + Send + 'a>> {
    Box::pin(async move { Ok(n.spawn_borrowed(async { Ok(text.len()) }).await) })
}

#[scoped(|n|)]
async fn hands_the_scope_on() -> Outcome<usize> {
    fn start(scope: &Scope<Cancelled>) {
        scope.spawn(async {});
    }
    start(n);
    n.spawn_with(async |n: &Scope<Cancelled>| start(n)).await;
    Ok(1)
}

#[test]
fn free_functions() {
    both_flavours(|| async {
        assert_eq!(without_a_handle(1).await.unwrap(), 1);
        assert_eq!(through_an_alias(2).await.unwrap(), 2);
        let mut log = Vec::new();
        with_the_unit_written_out(&mut log).await;
        assert_eq!(log, [1]);
        assert_eq!(generic(("a", "b"), [0; 3]).await.unwrap(), "ab3");
        assert_eq!(impl_in_and_out(1, "x").await.unwrap().to_string(), "1\"x\"");
        assert_eq!(boxed_output(true).await.unwrap().to_string(), "x");
        assert_eq!(boxed_output(false).await.unwrap().to_string(), "long");
        assert_eq!(boxed_error(true).await.unwrap_err().to_string(), "text");
        assert!(boxed_error(false).await.unwrap_err().is::<std::fmt::Error>());
        assert_eq!(explicit_lifetime("kept", "other").await.unwrap(), "kept");
        assert_eq!(mutable_patterns(1, [2, 9, 3]).await.unwrap(), 6);
        assert_eq!(factorial(10).await.unwrap(), 3_628_800);
        assert_eq!(r#loop().await.unwrap().as_deref(), Some("loop"));
        assert_eq!(boxed_by_hand("four").await.unwrap(), 4);
        assert_eq!(hands_the_scope_on().await.unwrap(), 1);
    });
}

struct Account {
    owner: String,
    balance: u32,
}

impl Account {
    #[scoped(|n|)]
    async fn by_reference(&self) -> Outcome<usize> {
        Ok(n.spawn_borrowed(async { Ok(self.owner.len()) }).await)
    }

    #[scoped(|n|)]
    async fn by_mutable_reference(&mut self, amount: u32) -> Outcome<u32> {
        let balance = n.spawn_borrowed(async {
            self.balance += amount;
            Ok(self.balance)
        });
        Ok(balance.await)
    }

    #[scoped]
    async fn by_value(self) -> Outcome<Self> {
        yield_now().await;
        Ok(self)
    }

    #[scoped]
    async fn without_self() -> Outcome<Self> {
        Ok(Self { owner: "Ada".into(), balance: 1 })
    }
}

trait Named {
    fn name(&self) -> String;

    async fn declared(&self) -> Outcome<usize>;

    #[scoped(|n|)]
    async fn provided(&self) -> Outcome<String>
    where
        Self: Sync,
    {
        Ok(n.spawn_borrowed(async { Ok(self.name()) }).await)
    }
}

impl Named for Account {
    fn name(&self) -> String {
        self.owner.clone()
    }

    #[scoped(|n|)]
    async fn declared(&self) -> Outcome<usize> {
        Ok(n.spawn_borrowed(async { Ok(self.owner.len()) }).await)
    }
}

#[test]
fn methods_of_types_and_traits() {
    both_flavours(|| async {
        let mut account = Account::without_self().await.unwrap();
        assert_eq!(account.by_reference().await.unwrap(), 3);
        assert_eq!(account.by_mutable_reference(2).await.unwrap(), 3);
        assert_eq!(account.declared().await.unwrap(), 3);
        assert_eq!(account.provided().await.unwrap(), "Ada");
        assert_eq!(account.by_value().await.unwrap().balance, 3);
    });
}

#[async_trait::async_trait]
trait Store: Send + Sync {
    async fn get(&self, key: String, default: &str) -> Outcome<String>;

    async fn put(&mut self, value: u32);

    #[scoped(|n|)]
    async fn sum(&self, (a, b): (u32, u32)) -> Outcome<u32> {
        Ok(n.spawn_borrowed(async { Ok(a + b) }).await)
    }
}

#[async_trait::async_trait]
impl Store for Account {
    #[scoped(|n|)]
    async fn get(&self, key: String, default: &str) -> Outcome<String> {
        if key.is_empty() {
            return Ok(default.to_owned());
        }
        Ok(n.spawn_borrowed(async { Ok(format!("{key} of {}", self.owner)) }).await)
    }

    #[scoped(|n|)]
    async fn put(&mut self, value: u32) {
        n.spawn_borrowed(async { self.balance = value });
    }
}

#[test]
fn under_async_trait() {
    both_flavours(|| async {
        let mut store: Box<dyn Store> = Box::new(Account { owner: "Ada".into(), balance: 0 });
        assert_eq!(store.get(String::new(), "none").await.unwrap(), "none");
        assert_eq!(store.get("key".into(), "none").await.unwrap(), "key of Ada");
        store.put(7).await;
        assert_eq!(store.sum((1, 2)).await.unwrap(), 3);
    });
}

#[test]
fn its_future_is_send_where_the_arguments_are() {
    fn send<T: Send>(future: T) -> T {
        future
    }
    both_flavours(|| async {
        assert_eq!(send(generic((1_u8, 2_u8), [0; 1])).await.unwrap(), "121");
        assert_eq!(tokio::spawn(factorial(3)).await.unwrap().unwrap(), 6);
        let boxed: Pin<Box<dyn Future<Output = Outcome<u32>> + Send>> = Box::pin(through_an_alias(1));
        assert_eq!(boxed.await.unwrap(), 1);
    });
}
