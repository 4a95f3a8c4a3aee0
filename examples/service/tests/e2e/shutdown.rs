//! The orderly end: who asked is answered, what was begun is finished, nobody is waited for without end.

use std::io::Write;
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

use sc_example_service::stand_in::Reply;
use sc_tokio::root;
use serde_json::json;

use crate::support::{Client, eventually, gate, shop};

#[sc_tokio::test(flavor = "multi_thread")]
async fn who_has_asked_is_answered_and_who_has_not_is_hung_up_on() {
    let (gate, open) = gate();
    let catalog = move |_: &str| Reply::value(&json!({ "name": "lamp", "price": 1 })).when(open());
    shop()
        .catalog(catalog)
        .run(async |world| {
            let (mut asking, mut idle) = (world.client().await, world.client().await);
            assert_eq!(idle.get("/live").await.status, 200);
            asking.ask("/products/1", "").await;
            eventually("the catalog is asked", || world.catalog.asked() == 2).await;
            root().begin_shutdown();
            assert_eq!(idle.rest().await, "");
            gate.add_permits(1);
            let answer = asking.response().await;
            assert_eq!((answer.status, &answer.headers["connection"][..]), (200, "close"));
            assert_eq!(asking.rest().await, "");
            world.quiet().await;
        })
        .await;
}

// On one thread, so that the service does not get to accept anybody before the shutdown has begun.
#[sc_tokio::test]
async fn who_was_accepted_by_the_system_alone_is_answered_too() {
    shop()
        .run(async |world| {
            let mut clients = Vec::new();
            for _ in 0..50 {
                let mut client = TcpStream::connect(world.address).unwrap();
                client.write_all(b"GET /products/1 HTTP/1.1\r\nhost: shop\r\n\r\n").unwrap();
                clients.push(client);
            }
            root().begin_shutdown();
            for client in clients {
                client.set_nonblocking(true).unwrap();
                let mut client = Client::over(tokio::net::TcpStream::from_std(client).unwrap());
                assert_eq!(client.response().await.status, 200);
                assert_eq!(client.rest().await, "");
            }
            eventually("nobody listens any more", || TcpStream::connect(world.address).is_err()).await;
        })
        .await;
}

#[sc_tokio::test(flavor = "multi_thread")]
async fn who_has_connected_and_says_nothing_is_not_waited_for() {
    shop()
        .run(async |world| {
            let mut silent = world.client().await;
            eventually("it is accepted", || {
                sc_tokio::tree().scopes.iter().any(|scope| scope.name.as_deref() == Some("connection"))
            })
            .await;
            root().begin_shutdown();
            assert_eq!(silent.rest().await, "");
            world.quiet().await;
        })
        .await;
}

#[sc_tokio::test(flavor = "multi_thread")]
async fn a_stream_ends_as_one_that_is_complete() {
    shop()
        .run(async |world| {
            let mut client = world.client().await;
            client.ask("/rates/stream", "").await;
            client.head().await.unwrap();
            assert!(client.chunk().await.unwrap().is_some());
            root().begin_shutdown();
            while client.chunk().await.unwrap().is_some() {}
            assert_eq!(client.rest().await, "");
            world.quiet().await;
        })
        .await;
}

#[sc_tokio::test(flavor = "multi_thread")]
async fn payments_are_made_and_mails_are_sent_before_the_end() {
    let (pay, paid) = gate();
    let payments = move |_: &str| Reply::value(&json!({ "payment": 1 })).when(paid());
    let mail = |_: &str| Reply::value(&json!(null)).after(Duration::from_millis(200));
    let mut mails = Arc::default();
    shop()
        .payments(payments)
        .mail(mail)
        .run(async |world| {
            mails = Arc::clone(&world.mail);
            let mut client = world.client().await;
            client.order(1).await;
            eventually("the payment has begun", || world.payments.asked() == 2).await;
            drop(client);
            root().begin_shutdown();
            pay.add_permits(1);
            eventually("the mail is on its way", || world.mail.asked() == 2).await;
        })
        .await;
    assert_eq!((mails.answered(), mails.abandoned()), (2, 0));
}
