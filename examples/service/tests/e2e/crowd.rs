//! Many clients at the same time.

use std::time::Duration;

use sc_example_service::stand_in::Reply;
use sc_tokio::{Cancelled, nursery};
use serde_json::json;

use crate::support::{Client, shop};

const CLIENTS: u32 = 200;

#[sc_tokio::test(flavor = "multi_thread")]
async fn two_hundred_clients_get_what_each_of_them_asked_for() {
    shop()
        .run(async |world| {
            let address = world.address;
            nursery!(async |n| {
                for client in 0..CLIENTS {
                    n.spawn(async move {
                        let mut connection = Client::connect(address).await;
                        for round in 0..5 {
                            let id = client * 10 + round;
                            let page = connection.get(&format!("/products/{id}")).await;
                            assert_eq!((page.status, &page.json()["name"]), (200, &json!(format!("lamp {id}"))));
                        }
                    });
                }
                Ok::<_, Cancelled>(())
            })
            .await
            .expect("every one of them");
            world.quiet().await;
            let (open, idle) = world.pool("catalog").await;
            assert!(open <= 16 && open == idle, "{open} open, {idle} idle");
        })
        .await;
}

#[sc_tokio::test(flavor = "multi_thread")]
async fn half_of_them_leave_in_the_middle_and_the_others_do_not_notice() {
    let catalog = |_: &str| Reply::value(&json!({ "name": "lamp", "price": 1 })).after(Duration::from_millis(2));
    shop()
        .catalog(catalog)
        .run(async |world| {
            let address = world.address;
            nursery!(async |n| {
                for client in 0..CLIENTS {
                    n.spawn(async move {
                        let mut connection = Client::connect(address).await;
                        connection.ask(&format!("/products/{client}"), "").await;
                        if client % 2 == 0 {
                            assert_eq!(connection.response().await.status, 200);
                        }
                    });
                }
                Ok::<_, Cancelled>(())
            })
            .await
            .expect("every one who stays");
            world.quiet().await;
            // Sixteen at the same time need every slot that there is.
            nursery!(async |n| {
                for _ in 0..16 {
                    n.spawn(async move {
                        assert_eq!(Client::connect(address).await.get("/products/1").await.status, 200);
                    });
                }
                Ok::<_, Cancelled>(())
            })
            .await
            .expect("no slot is lost");
            let (open, idle) = world.pool("catalog").await;
            assert_eq!(open, idle);
        })
        .await;
}
