//! Clients that leave in the middle: what they asked for stops, what must not stop goes on.

use std::future::pending;

use sc_example_service::stand_in::Reply;
use serde_json::json;

use crate::support::{eventually, gate, shop};

#[sc_tokio::test(flavor = "multi_thread")]
async fn a_client_that_leaves_takes_its_request_with_it() {
    let never = |_: &str| Reply::none().when(pending());
    shop()
        .catalog(never)
        .reviews(never)
        .run(async |world| {
            let mut client = world.client().await;
            client.ask("/products/1", "").await;
            eventually("both are asked", || (world.catalog.asked(), world.reviews.asked()) == (2, 2)).await;
            drop(client);
            eventually("both hear of it", || (world.catalog.abandoned(), world.reviews.abandoned()) == (1, 1)).await;
            world.quiet().await;
            assert_eq!((world.pool("catalog").await, world.pool("reviews").await), ((0, 0), (0, 0)));
        })
        .await;
}

#[sc_tokio::test(flavor = "multi_thread")]
async fn so_it_is_with_a_handler_that_knows_nothing_of_scopes() {
    let never = |_: &str| Reply::none().when(pending());
    shop()
        .catalog(never)
        .run(async |world| {
            let mut client = world.client().await;
            client.ask("/search?for=lamp", "").await;
            eventually("all parts are asked", || world.catalog.asked() == 6).await;
            drop(client);
            eventually("all parts hear of it", || world.catalog.abandoned() == 3).await;
            world.quiet().await;
        })
        .await;
}

#[sc_tokio::test(flavor = "multi_thread")]
async fn a_connection_that_was_being_opened_for_it_is_there_for_the_next() {
    let (gate, open) = gate();
    shop()
        .greeting(move |_| Reply::welcome().when(open()))
        .config(|config| config.connections_per_upstream = 1)
        .run(async |world| {
            let mut client = world.client().await;
            client.ask("/products/1", "").await;
            eventually("the only slot is taken", || world.catalog.asked() == 1).await;
            drop(client);
            world.quiet().await;
            gate.add_permits(1);
            assert_eq!(world.client().await.get("/products/1").await.status, 200);
            assert_eq!((world.catalog.asked(), world.catalog.answered()), (2, 2), "one greeting, one answer");
            assert_eq!(world.pool("catalog").await, (1, 1));
        })
        .await;
}

#[sc_tokio::test(flavor = "multi_thread")]
async fn a_payment_that_has_begun_is_made_and_the_mail_is_sent() {
    let (gate, open) = gate();
    let payments = move |_: &str| Reply::value(&json!({ "payment": 7 })).when(open());
    shop()
        .payments(payments)
        .run(async |world| {
            let mut client = world.client().await;
            client.order(1).await;
            eventually("the payment has begun", || world.payments.asked() == 2).await;
            drop(client);
            let mut other = world.client().await;
            assert_eq!(other.get("/orders/1").await.json(), json!({ "state": "paying" }));
            other.order(1).await;
            assert_eq!(other.response().await.status, 409);
            gate.add_permits(1);
            eventually("the mail is sent", || world.mail.answered() == 2).await;
            assert_eq!(other.get("/orders/1").await.json(), json!({ "state": "paid", "payment": 7 }));
            other.order(1).await;
            let again = other.response().await;
            assert_eq!((again.status, again.json()), (200, json!({ "state": "paid", "payment": 7 })));
            assert_eq!((world.payments.asked(), world.payments.abandoned()), (2, 0), "it was paid once");
            drop(other);
            world.quiet().await;
        })
        .await;
}

#[sc_tokio::test(flavor = "multi_thread")]
async fn a_payment_has_its_limit_when_nobody_waits_for_it() {
    let payments = |_: &str| Reply::none().when(pending());
    let config =
        |config: &mut sc_example_service::config::Config| config.payment_limit = std::time::Duration::from_millis(50);
    shop()
        .payments(payments)
        .config(config)
        .run(async |world| {
            let mut client = world.client().await;
            client.order(1).await;
            eventually("the payment has begun", || world.payments.asked() == 2).await;
            drop(client);
            eventually("it is given up", || world.payments.abandoned() == 1).await;
            world.quiet().await;
            assert_eq!(world.client().await.get("/orders/1").await.status, 404);
        })
        .await;
}

#[sc_tokio::test(flavor = "multi_thread")]
async fn the_producer_of_a_stream_ends_with_its_reader() {
    shop()
        .run(async |world| {
            let mut client = world.client().await;
            client.ask("/rates/stream", "").await;
            assert!(client.head().await.unwrap().contains("content-type: text/event-stream"));
            let first = client.chunk().await.unwrap().unwrap();
            assert!(String::from_utf8_lossy(&first).starts_with("event: rates\ndata: "));
            assert!(sc_tokio::tree().to_string().contains("rate stream"));
            drop(client);
            world.quiet().await;
        })
        .await;
}
