//! Clients that send nonsense, too much, or nothing: each gets its answer, and leaves nothing behind.

use std::time::Duration;

use serde_json::json;
use tokio::time::sleep;

use crate::support::{World, shop};

/// A while that is long enough for anybody who means it.
const A_WHILE: Duration = Duration::from_millis(200);

#[sc_tokio::test(flavor = "multi_thread")]
async fn a_deadline_has_to_be_a_number() {
    shop()
        .run(async |world| {
            let mut client = world.client().await;
            for bad in ["", "-1", "0", "+1", "1.5", "1e3", "soon", "2s", "1 2", "0x10", "NaN", "\u{661}"] {
                client.ask("/products/1", &format!("x-timeout-ms: {bad}\r\n")).await;
                let refused = client.response().await;
                let error = "x-timeout-ms has to be one number of milliseconds, from 1 upwards";
                assert_eq!((refused.status, refused.json()), (400, json!({ "error": error })), "{bad:?}");
            }
            for good in ["60000", "18446744073709551615", "18446744073709551616", &"9".repeat(4000)] {
                client.ask("/products/1", &format!("x-timeout-ms: {good}\r\n")).await;
                assert_eq!(client.response().await.status, 200, "{good}");
            }
            client.ask("/products/1", "x-timeout-ms: 60000\r\nx-timeout-ms: 60000\r\n").await;
            assert_eq!(client.response().await.status, 400, "two are one too many");
            client.send(b"GET /products/1 HTTP/1.1\r\nhost: shop\r\nx-timeout-ms: \xff\r\n\r\n").await;
            assert_eq!(client.response().await.status, 400, "not text");
            assert_eq!(world.catalog.asked(), 1 + 4, "nobody was asked in vain");
        })
        .await;
}

#[sc_tokio::test(flavor = "multi_thread")]
async fn who_says_nothing_is_hung_up_on() {
    shop()
        .config(|config| config.head_timeout = A_WHILE)
        .run(async |world| {
            let mut silent = world.client().await;
            assert_eq!(silent.rest().await, "");
            let mut after_an_answer = world.client().await;
            assert_eq!(after_an_answer.get("/live").await.status, 200);
            assert_eq!(after_an_answer.rest().await, "");
            world.quiet().await;
        })
        .await;
}

#[sc_tokio::test(flavor = "multi_thread")]
async fn who_speaks_too_slowly_is_hung_up_on() {
    shop()
        .config(|config| config.head_timeout = A_WHILE)
        .run(async |world| {
            let mut slow = world.client().await;
            slow.send("GET /products/1 HTTP/1.1\r\n").await;
            // Every byte comes in time, and the head never does.
            let mut sent = 0;
            while sent < 1000 && slow.send("x").await {
                sent += 1;
                sleep(A_WHILE / 10).await;
            }
            assert!(sent < 1000, "nobody hung up");
            assert_eq!(slow.rest().await, "");
            world.quiet().await;
            assert_eq!(world.catalog.asked(), 0);
        })
        .await;
}

#[sc_tokio::test(flavor = "multi_thread")]
async fn a_body_that_does_not_arrive_is_a_request_timeout() {
    shop()
        .config(|config| config.body_timeout = A_WHILE)
        .run(async |world| {
            let head = "PUT /orders/1 HTTP/1.1\r\nhost: shop\r\ncontent-type: application/json\r\n";
            for body in ["content-length: 100\r\n\r\n{", "transfer-encoding: chunked\r\n\r\n1\r\n{\r\n"] {
                let mut slow = world.client().await;
                slow.send(format!("{head}{body}")).await;
                let answer = slow.response().await;
                assert_eq!(
                    (answer.status, answer.json()),
                    (408, json!({ "error": "the body did not arrive in time" }))
                );
                // What may still come would be taken for the next request.
                assert_eq!(slow.rest().await, "");
            }
            world.quiet().await;
            assert_eq!(world.payments.asked(), 0);
        })
        .await;
}

#[sc_tokio::test(flavor = "multi_thread")]
async fn a_body_has_no_more_time_than_its_request() {
    shop()
        .run(async |world| {
            let mut slow = world.client().await;
            let head =
                "PUT /orders/1 HTTP/1.1\r\nhost: shop\r\ncontent-type: application/json\r\nx-timeout-ms: 100\r\n";
            slow.send(format!("{head}content-length: 100\r\n\r\n{{")).await;
            assert_eq!(slow.response().await.status, 504);
            world.quiet().await;
        })
        .await;
}

#[sc_tokio::test(flavor = "multi_thread")]
async fn a_body_that_never_ends_is_too_large() {
    shop()
        .run(async |world| {
            let mut endless = world.client().await;
            let head = "PUT /orders/1 HTTP/1.1\r\nhost: shop\r\ncontent-type: application/json\r\n";
            endless.send(format!("{head}transfer-encoding: chunked\r\n\r\n")).await;
            let chunk = format!("10000\r\n{}\r\n", " ".repeat(0x10000));
            // A little more than the two megabytes that may come.
            for _ in 0..33 {
                endless.send(&chunk).await;
            }
            assert_eq!(endless.response().await.status, 413);
            assert_eq!(endless.rest().await, "");
            world.quiet().await;
        })
        .await;
}

#[sc_tokio::test(flavor = "multi_thread")]
async fn a_client_that_leaves_in_the_middle_of_its_body_leaves_nothing() {
    shop()
        .run(async |world| {
            let mut leaving = world.client().await;
            let head = "PUT /orders/1 HTTP/1.1\r\nhost: shop\r\ncontent-type: application/json\r\n";
            leaving.send(format!("{head}content-length: 100\r\n\r\n{{")).await;
            sleep(A_WHILE).await;
            drop(leaving);
            world.quiet().await;
            assert_eq!(world.payments.asked(), 0);
        })
        .await;
}

#[sc_tokio::test(flavor = "multi_thread")]
async fn bodies_that_are_no_orders_are_refused() {
    shop()
        .run(async |world| {
            let mut client = world.client().await;
            for (body, status) in [("", 400), ("{", 400), ("[]", 422), (r#"{"product":-1,"email":""}"#, 422)] {
                client.put("/orders/1", body).await;
                assert_eq!(client.response().await.status, status, "{body}");
            }
            client.send("PUT /orders/1 HTTP/1.1\r\nhost: shop\r\ncontent-length: 2\r\n\r\n{}").await;
            assert_eq!(client.response().await.status, 415);
            assert_eq!((client.get("/orders/1").await.status, world.payments.asked()), (404, 0));
        })
        .await;
}

#[sc_tokio::test(flavor = "multi_thread")]
async fn what_is_not_http_is_a_bad_request() {
    async fn answered(world: &World, bytes: impl AsRef<[u8]>) -> String {
        let mut client = world.client().await;
        client.send(bytes).await;
        client.rest().await.lines().next().unwrap_or_default().to_owned()
    }
    shop()
        .run(async |world| {
            let many = format!("GET / HTTP/1.1\r\n{}\r\n", "a: b\r\n".repeat(200));
            let long = format!("GET /{} HTTP/1.1\r\n\r\n", "a".repeat(70_000));
            assert_eq!(
                answered(world, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03").await,
                "HTTP/1.1 400 Bad Request"
            );
            assert_eq!(answered(world, "hello\r\n\r\n").await, "HTTP/1.1 400 Bad Request");
            assert_eq!(answered(world, many).await, "HTTP/1.1 431 Request Header Fields Too Large");
            assert_eq!(answered(world, long).await, "HTTP/1.1 414 URI Too Long");
            world.quiet().await;
        })
        .await;
}

#[sc_tokio::test(flavor = "multi_thread")]
async fn what_a_client_sends_is_one_line_to_the_upstream() {
    shop()
        .run(async |world| {
            let mut client = world.client().await;
            let found = client.get("/search?for=%22%0Aproduct%201").await;
            assert_eq!((found.status, found.json()), (200, json!(["lamp", "lamp", "lamp"])));
            client.put("/orders/1", r#"{"product":1,"email":"a\nsend {}"}"#).await;
            assert_eq!(client.response().await.status, 201);
            for path in ["/products/-1", "/products/1%0Aproduct%202", "/products/4294967296", "/search", "/orders/x"] {
                assert_eq!(client.get(path).await.status, 400, "{path}");
            }
            assert_eq!(client.get("/search?for=lamp").await.json(), json!(["lamp", "lamp", "lamp"]));
        })
        .await;
}
