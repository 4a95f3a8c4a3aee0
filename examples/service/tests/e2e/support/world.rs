//! The service and its upstreams, for one test.

use std::future::pending;
use std::net::SocketAddr;
use std::panic::Location;
use std::sync::Arc;
use std::time::Duration;

use sc_example_service::config::{Config, Upstreams};
use sc_example_service::server;
use sc_example_service::stand_in::{self, Reply, Seen};
use sc_example_service::wire::HELLO;
use sc_tokio::{StartError, nursery};
use serde_json::json;
use tokio::sync::Semaphore;
use tokio::time::sleep;

use super::Client;

/// After this, what has not happened does not happen.
const PATIENCE: Duration = Duration::from_secs(60);

type Error = Box<dyn std::error::Error + Send + Sync>;
type Answer = Arc<dyn Fn(&str) -> Reply + Send + Sync>;

/// What the upstreams of a test do, and how the service is set up.
pub(crate) struct Script {
    greeting: Answer,
    catalog: Answer,
    reviews: Answer,
    payments: Answer,
    mail: Answer,
    config: Box<dyn FnOnce(&mut Config) + Send>,
}

/// A shop in which everything works.
pub(crate) fn shop() -> Script {
    Script {
        greeting: Arc::new(|_| Reply::welcome()),
        catalog: Arc::new(|question| match question.split_once(' ') {
            Some(("product", id)) => Reply::value(&json!({ "name": format!("lamp {id}"), "price": 100 })),
            _ => Reply::value(&json!(["lamp"])),
        }),
        reviews: Arc::new(|_| Reply::value(&json!(["good"]))),
        payments: Arc::new(|_| Reply::value(&json!({ "payment": 1 }))),
        mail: Arc::new(|_| Reply::value(&json!(null))),
        config: Box::new(|_| {}),
    }
}

impl Script {
    /// How the catalog greets.
    pub(crate) fn greeting(self, greeting: impl Fn(&str) -> Reply + Send + Sync + 'static) -> Self {
        Self { greeting: Arc::new(greeting), ..self }
    }

    pub(crate) fn catalog(self, answer: impl Fn(&str) -> Reply + Send + Sync + 'static) -> Self {
        Self { catalog: Arc::new(answer), ..self }
    }

    pub(crate) fn reviews(self, answer: impl Fn(&str) -> Reply + Send + Sync + 'static) -> Self {
        Self { reviews: Arc::new(answer), ..self }
    }

    pub(crate) fn payments(self, answer: impl Fn(&str) -> Reply + Send + Sync + 'static) -> Self {
        Self { payments: Arc::new(answer), ..self }
    }

    pub(crate) fn mail(self, answer: impl Fn(&str) -> Reply + Send + Sync + 'static) -> Self {
        Self { mail: Arc::new(answer), ..self }
    }

    pub(crate) fn config(self, config: impl FnOnce(&mut Config) + Send + 'static) -> Self {
        Self { config: Box::new(config), ..self }
    }

    /// Starts everything, runs the test, begins the shutdown, and sees the service end by itself.
    pub(crate) async fn run(self, test: impl AsyncFnOnce(&mut World)) {
        let running = nursery!(async |n| -> Result<(), Error> {
            let greeting = |answer: Answer| {
                move |question: &str| if question == HELLO { Reply::welcome() } else { answer(question) }
            };
            let (greets, answers) = (self.greeting, self.catalog);
            let catalog = move |question: &str| if question == HELLO { greets(question) } else { answers(question) };
            let catalog = stand_in::start(n, "catalog", catalog).await?;
            let reviews = stand_in::start(n, "reviews", greeting(self.reviews)).await?;
            let payments = stand_in::start(n, "payments", greeting(self.payments)).await?;
            let mail = stand_in::start(n, "mail", greeting(self.mail)).await?;
            let rates =
                stand_in::start(n, "exchange", greeting(Arc::new(|_| Reply::value(&json!({ "USD": 1.1 }))))).await?;
            let upstreams = Upstreams {
                catalog: catalog.address,
                reviews: reviews.address,
                payments: payments.address,
                mail: mail.address,
                rates: rates.address,
            };
            let mut config = Config::new(upstreams);
            // Deadlines are for the tests of deadlines.
            (config.default_deadline, config.optional_part) = (PATIENCE, PATIENCE);
            (self.config)(&mut config);
            let service = async |ready| Ok::<_, Error>(server::serve(config, ready).await?);
            let (address, _service) = n.start(service).await.map_err(StartError::into_error)?;
            let mut world = World {
                address,
                catalog: catalog.seen,
                reviews: reviews.seen,
                payments: payments.seen,
                mail: mail.seen,
            };
            test(&mut world).await;
            sc_tokio::root().begin_shutdown();
            Ok(())
        });
        running.timeout(PATIENCE).await.expect("the service ends by itself");
    }
}

/// The service of a test, and what its upstreams have seen.
pub(crate) struct World {
    pub(crate) address: SocketAddr,
    pub(crate) catalog: Arc<Seen>,
    pub(crate) reviews: Arc<Seen>,
    pub(crate) payments: Arc<Seen>,
    pub(crate) mail: Arc<Seen>,
}

impl World {
    pub(crate) async fn client(&self) -> Client {
        Client::connect(self.address).await
    }

    /// Waits until no connection and no request is left, nor anything that one has started.
    pub(crate) async fn quiet(&self) {
        eventually("nothing is left of any request", || {
            let tree = sc_tokio::tree();
            !tree
                .scopes
                .iter()
                .any(|scope| matches!(scope.name.as_deref(), Some("connection" | "request" | "rate stream")))
        })
        .await;
    }

    /// How many connections to an upstream are open, and how many of them are idle.
    pub(crate) async fn pool(&self, upstream: &str) -> (u64, u64) {
        let status = self.client().await.get("/status").await.json();
        let pool = &status["pools"][upstream];
        (pool["open"].as_u64().expect("a number"), pool["idle"].as_u64().expect("a number"))
    }
}

/// A future that is not done before somebody opens the gate.
pub(crate) fn gate() -> (Arc<Semaphore>, impl Fn() -> futures::future::BoxFuture<'static, ()> + Send + Sync + 'static) {
    let closed = Arc::new(Semaphore::new(0));
    let gate = Arc::clone(&closed);
    let wait = move || {
        let gate = Arc::clone(&gate);
        Box::pin(async move {
            match gate.acquire().await {
                Ok(permit) => drop(permit),
                Err(_) => pending().await,
            }
        }) as _
    };
    (closed, wait)
}

/// Waits until something is so.
#[track_caller]
pub(crate) fn eventually(what: &'static str, is_so: impl Fn() -> bool) -> impl Future<Output = ()> {
    in_time(what, async move {
        while !is_so() {
            sleep(Duration::from_millis(2)).await;
        }
    })
}

/// The future's output, or the place of the call in a panic.
#[track_caller]
pub(crate) fn watched<F: Future>(future: F) -> impl Future<Output = F::Output> {
    in_time("what is waited for", future)
}

#[track_caller]
fn in_time<F: Future>(what: &'static str, future: F) -> impl Future<Output = F::Output> {
    let place = Location::caller();
    async move {
        let output = tokio::time::timeout(PATIENCE / 2, future).await;
        output.unwrap_or_else(|_| panic!("{what}: not in time, at {place}\n{}", sc_tokio::tree()))
    }
}
