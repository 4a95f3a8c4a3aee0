//! Together with other attributes.

use std::sync::{Arc, Mutex};

use sc_tokio::{Cancelled, scoped};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

use crate::support::both_flavours;

#[scoped(|n|)]
#[tokio::main(flavor = "current_thread")]
async fn above_tokio_main(x: u32) -> Result<u32, Cancelled> {
    Ok(n.spawn(async move { Ok(x) }).await)
}

#[test]
fn above_tokio_main_it_runs_inside_the_runtime() {
    assert_eq!(above_tokio_main(1).unwrap(), 1);
}

#[scoped(|n|)]
#[tokio::test]
async fn above_tokio_test_it_runs_inside_the_runtime() -> Result<(), Cancelled> {
    n.spawn(async {});
    assert_eq!(n.name(), Some("above_tokio_test_it_runs_inside_the_runtime"));
    Ok(())
}

#[scoped(|n|)]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn above_tokio_test_on_two_threads() {
    n.spawn(async {});
}

#[scoped(|n|)]
#[tracing::instrument(skip(text))]
async fn above_instrument(text: &str) -> Result<usize, Cancelled> {
    Ok(n.spawn_borrowed(async { Ok(text.len()) }).await)
}

#[tracing::instrument(skip(text))]
#[scoped(|n|)]
async fn below_instrument(text: &str) -> Result<usize, Cancelled> {
    Ok(n.spawn_borrowed(async { Ok(text.len()) }).await)
}

/// Notes the names of spans.
#[derive(Clone, Default)]
struct Spans(Arc<Mutex<Vec<&'static str>>>);

impl Subscriber for Spans {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.is_span() && metadata.name().ends_with("_instrument")
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        self.0.lock().unwrap().push(span.metadata().name());
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn event(&self, _: &Event<'_>) {}
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

#[test]
fn above_and_below_instrument() {
    both_flavours(|| async {
        let spans = Spans::default();
        let guard = tracing::subscriber::set_default(spans.clone());
        let mut futures = (Box::pin(above_instrument("four")), Box::pin(below_instrument("three")));
        let polls = (futures::poll!(futures.0.as_mut()), futures::poll!(futures.1.as_mut()));
        drop(guard);
        let lengths = match polls {
            (std::task::Poll::Ready(above), std::task::Poll::Ready(below)) => (above.unwrap(), below.unwrap()),
            _ => (futures.0.await.unwrap(), futures.1.await.unwrap()),
        };
        assert_eq!(lengths, (4, 5));
        assert_eq!(*spans.0.lock().unwrap(), ["above_instrument", "below_instrument"]);
    });
}
