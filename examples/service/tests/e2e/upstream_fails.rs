//! Upstreams that fail, each in its own way.

use std::net::Ipv4Addr;

use sc_example_service::config::Config;
use sc_example_service::stand_in::{Reply, nowhere};
use serde_json::json;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;
use tokio::sync::mpsc;

use crate::support::shop;

#[sc_tokio::test(flavor = "multi_thread")]
async fn what_is_needed_and_fails_is_a_bad_gateway_and_says_whose() {
    let catalog = |question: &str| match question {
        "product 1" => Reply::error("on fire"),
        "product 2" => Reply::hang_up(),
        "product 3" => Reply::value(&json!(7)),
        "product 4" => Reply::line(String::new()),
        _ => Reply::none(),
    };
    let answers = [
        (502, "catalog: on fire"),
        (502, "catalog: unexpected end of file"),
        (502, "catalog: invalid type: integer `7`, expected struct Product at line 1 column 1"),
        (502, "catalog: an answer that is none"),
        (404, "there is no product 5"),
    ];
    shop()
        .catalog(catalog)
        .run(async |world| {
            let mut client = world.client().await;
            for (product, (status, error)) in (1..).zip(answers) {
                let answer = client.get(&format!("/products/{product}")).await;
                assert_eq!((answer.status, answer.json()), (status, json!({ "error": error })));
                // Whatever it was, no slot is lost.
                let (open, idle) = world.pool("catalog").await;
                assert_eq!(open, idle);
            }
        })
        .await;
}

#[sc_tokio::test(flavor = "multi_thread")]
async fn what_is_optional_and_fails_is_left_out() {
    shop()
        .reviews(|_| Reply::hang_up())
        .run(async |world| {
            let page = world.client().await.get("/products/1").await;
            assert_eq!((page.status, &page.json()["missing"]), (200, &json!(["reviews"])));
        })
        .await;
}

#[sc_tokio::test(flavor = "multi_thread")]
async fn nobody_there_is_a_bad_gateway_for_each_who_waits() {
    let config =
        |config: &mut Config| (config.upstreams.catalog, config.connections_per_upstream) = (nowhere().catalog, 1);
    shop()
        .config(config)
        .run(async |world| {
            let mut clients = Vec::new();
            for id in 0..8 {
                let mut client = world.client().await;
                client.ask(&format!("/products/{id}"), "").await;
                clients.push(client);
            }
            for mut client in clients {
                let refused = client.response().await;
                assert_eq!(refused.status, 502, "{refused:?}");
            }
            assert_eq!(world.pool("catalog").await, (0, 0));
        })
        .await;
}

#[sc_tokio::test(flavor = "multi_thread")]
async fn a_connection_that_the_upstream_has_closed_meanwhile_is_replaced() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let catalog = listener.local_addr().unwrap();
    let (hung_up, mut gone) = mpsc::channel(1);
    // One question for each connection.
    let catalog_runs = sc_tokio::spawn(async move {
        for _ in 0..2 {
            let (stream, _) = listener.accept().await.unwrap();
            let mut stream = BufReader::new(stream);
            for answer in ["welcome", r#"ok {"name":"lamp","price":1}"#] {
                stream.read_line(&mut String::new()).await.unwrap();
                stream.write_all(format!("{answer}\n").as_bytes()).await.unwrap();
            }
            drop(stream);
            hung_up.send(()).await.unwrap();
        }
    });
    shop()
        .config(move |config| config.upstreams.catalog = catalog)
        .run(async |world| {
            let mut client = world.client().await;
            for _ in 0..2 {
                assert_eq!(client.get("/products/1").await.status, 200);
                gone.recv().await.unwrap();
            }
        })
        .await;
    catalog_runs.await.unwrap();
}
