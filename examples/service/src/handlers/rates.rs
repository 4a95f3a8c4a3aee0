//! `GET /rates`, and `GET /rates/stream`: an answer that never ends, whose producer travels with it.

use std::convert::Infallible;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::Sse;
use axum::response::sse::{Event, KeepAlive};
use futures::stream::{self, Stream};
use sc_tokio::{Cancelled, OwnedScope};
use tokio::sync::mpsc;

use crate::app::App;
use crate::error::ApiError;
use crate::rates::Rates;

/// The rates as they were last seen.
///
/// # Errors
///
/// 404 before they were seen first.
pub async fn current(State(app): State<Arc<App>>) -> Result<Json<Rates>, ApiError> {
    let rates = app.rates.borrow().clone();
    rates.map(Json).ok_or_else(|| ApiError::NotFound("rate yet".to_owned()))
}

/// The rates, and again whenever they have changed.
///
/// The producer cannot be the request's: the request is over when its answer begins, and would wait for it. It belongs to the body: the
/// client leaves, hyper drops the body, the producer is stopped. At a shutdown it is stopped first, which ends the
/// body, so that the client sees the end of a stream and not a broken connection.
///
/// # Cancel safety
///
/// It does not wait for anything.
pub async fn stream(State(app): State<Arc<App>>) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let producers = OwnedScope::<Cancelled>::builder().named("rate stream").open();
    // A slow reader gets fewer rates, not old ones.
    let (events, mut queue) = mpsc::channel(1);
    producers.task().name("producer").until_shutdown().spawn(async move {
        let mut rates = app.rates.subscribe();
        loop {
            let now = rates.borrow_and_update().clone();
            let Ok(event) = Event::default().event("rates").json_data(now) else { return };
            if events.send(Ok(event)).await.is_err() || rates.changed().await.is_err() {
                return;
            }
        }
    });
    let events = stream::poll_fn(move |cx| queue.poll_recv(cx));
    // Silence would hide that the client has left.
    Sse::new(producers.attach(events)).keep_alive(KeepAlive::default())
}
