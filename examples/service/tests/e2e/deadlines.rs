//! Deadlines: from a header, by default, at most; and what is still answered in time.

use std::future::pending;
use std::time::Duration;

use sc_example_service::config::Config;
use sc_example_service::stand_in::Reply;
use serde_json::json;

use crate::support::{Client, Script, eventually, gate, shop};

const SHORT: Duration = Duration::from_millis(100);

/// A shop whose catalog greets, and says nothing more.
fn hanging() -> Script {
    shop().catalog(|_| Reply::none().when(pending()))
}

async fn too_late(client: &mut Client) {
    let late = client.response().await;
    assert_eq!((late.status, late.json()), (504, json!({ "error": "the deadline has passed" })));
}

#[sc_tokio::test(flavor = "multi_thread")]
async fn the_header_is_the_deadline_and_nothing_runs_on_behind_the_answer() {
    hanging()
        .run(async |world| {
            let mut client = world.client().await;
            client.ask("/products/1", "x-timeout-ms: 100\r\n").await;
            too_late(&mut client).await;
            assert_eq!(world.pool("catalog").await, (0, 0), "the connection with the answer outstanding is closed");
            eventually("the catalog hears of it", || world.catalog.abandoned() == 1).await;
            // The connection to the client is as good as before.
            client.ask("/search?for=lamp", "x-timeout-ms: 100\r\n").await;
            too_late(&mut client).await;
            eventually("all parts hear of it", || world.catalog.abandoned() == 4).await;
            assert_eq!(client.get("/live").await.status, 200);
        })
        .await;
}

#[sc_tokio::test(flavor = "multi_thread")]
async fn without_a_header_the_default_holds() {
    hanging()
        .config(|config| config.default_deadline = SHORT)
        .run(async |world| {
            let mut client = world.client().await;
            client.ask("/products/1", "").await;
            too_late(&mut client).await;
        })
        .await;
}

#[sc_tokio::test(flavor = "multi_thread")]
async fn a_header_does_not_ask_for_more_than_there_is() {
    hanging()
        .config(|config| config.longest_deadline = SHORT)
        .run(async |world| {
            let mut client = world.client().await;
            client.ask("/products/1", "x-timeout-ms: 99999999999999999999999\r\n").await;
            too_late(&mut client).await;
        })
        .await;
}

#[sc_tokio::test(flavor = "multi_thread")]
async fn what_is_optional_is_left_out_when_it_is_late_and_the_answer_says_so() {
    let late = |_: &str| Reply::none().when(pending());
    shop()
        .reviews(late)
        .config(|config| config.optional_part = SHORT)
        .run(async |world| {
            let page = world.client().await.get("/products/1").await;
            let partial = json!({ "name": "lamp 1", "price": 100, "reviews": null, "missing": ["reviews"] });
            assert_eq!((page.status, page.json()), (200, partial));
            eventually("the late one hears of it", || world.reviews.abandoned() == 1).await;
        })
        .await;
}

#[sc_tokio::test(flavor = "multi_thread")]
async fn a_short_deadline_is_not_spent_on_what_is_optional() {
    let late = |_: &str| Reply::none().when(pending());
    shop()
        .reviews(late)
        .run(async |world| {
            let mut client = world.client().await;
            // Half of it is left for the answer, on the slowest of machines.
            client.ask("/products/1", "x-timeout-ms: 4000\r\n").await;
            let page = client.response().await;
            assert_eq!((page.status, &page.json()["missing"]), (200, &json!(["reviews"])));
        })
        .await;
}

#[sc_tokio::test(flavor = "multi_thread")]
async fn a_request_that_waits_for_a_connection_has_a_deadline_too() {
    let (gate, open) = gate();
    let catalog = move |_: &str| Reply::value(&json!({ "name": "lamp", "price": 100 })).when(open());
    shop()
        .catalog(catalog)
        .config(|config| config.connections_per_upstream = 1)
        .run(async |world| {
            let (mut first, mut second) = (world.client().await, world.client().await);
            first.ask("/products/1", "").await;
            eventually("the only connection is taken", || world.catalog.asked() == 2).await;
            second.ask("/products/2", "x-timeout-ms: 100\r\n").await;
            too_late(&mut second).await;
            gate.add_permits(1);
            assert_eq!(first.response().await.status, 200);
            assert_eq!(second.get("/products/2").await.status, 200);
            assert_eq!(world.catalog.asked(), 3, "whoever gave up waiting has asked for nothing");
        })
        .await;
}

#[sc_tokio::test(flavor = "multi_thread")]
async fn a_payment_is_not_cut_short_and_the_answer_comes_after_it() {
    let (gate, open) = gate();
    let payments = move |_: &str| Reply::value(&json!({ "payment": 1 })).when(open());
    shop()
        .payments(payments)
        .config(|config: &mut Config| config.default_deadline = SHORT)
        .run(async |world| {
            let mut client = world.client().await;
            client.order(1).await;
            eventually("the payment has begun", || world.payments.asked() == 2).await;
            tokio::time::sleep(2 * SHORT).await;
            gate.add_permits(1);
            too_late(&mut client).await;
            assert_eq!(client.get("/orders/1").await.json(), json!({ "state": "paid", "payment": 1 }));
        })
        .await;
}
