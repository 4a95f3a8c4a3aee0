//! The layer that makes a request a scope: what it waits for, and what becomes of panics.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::http::{Request, Response, StatusCode};
use axum::middleware::from_fn_with_state;
use axum::routing::get;
use sc_example_service::app::App;
use sc_example_service::config::Config;
use sc_example_service::request;
use sc_example_service::stand_in::nowhere;
use tower::ServiceExt;

async fn answer(router: Router) -> Response<Body> {
    let app = App::new(Config::new(nowhere()));
    let router = router.layer(from_fn_with_state(Arc::clone(&app), request::scope));
    let answered = router.oneshot(Request::get("/").body(Body::empty()).unwrap()).await;
    answered.unwrap()
}

#[sc_tokio::test]
async fn a_handler_that_panics_is_answered_for() {
    async fn handler() {
        panic!("a mistake");
    }
    assert_eq!(answer(Router::new().route("/", get(handler))).await.status(), StatusCode::INTERNAL_SERVER_ERROR);
}

#[sc_tokio::test]
async fn a_task_that_panics_is_the_business_of_who_awaits_it() {
    async fn handler() -> &'static str {
        let task = sc_tokio::spawn(async { panic!("a mistake") });
        if task.await.is_err_and(|error| error.is_panic()) { "seen" } else { "not seen" }
    }
    let answer = answer(Router::new().route("/", get(handler))).await;
    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!(axum::body::to_bytes(answer.into_body(), 100).await.unwrap(), "seen");
}

#[sc_tokio::test]
async fn a_task_that_nobody_awaits_is_waited_for_before_the_answer() {
    static DONE: std::sync::atomic::AtomicBool = std::sync::atomic::AtomicBool::new(false);
    async fn handler() -> &'static str {
        sc_tokio::spawn(async {
            tokio::task::yield_now().await;
            DONE.store(true, std::sync::atomic::Ordering::SeqCst);
        });
        "answered"
    }
    assert_eq!(answer(Router::new().route("/", get(handler))).await.status(), StatusCode::OK);
    assert!(DONE.load(std::sync::atomic::Ordering::SeqCst));
}
