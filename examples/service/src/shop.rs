//! What the stand-ins know: enough to see every kind of answer.
//!
//! | product | what is special |
//! |---|---|
//! | 13 | its reviews take a second |
//! | 14 | the catalog takes ten seconds to find it |
//! | 15 | the catalog fails over it |
//! | 16 | paying for it takes two seconds |
//! | 100 and above | there is none |

use std::fmt::Debug;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use sc_tokio::Scope;
use serde_json::{Value, json};

use crate::config::Upstreams;
use crate::stand_in::{self, Reply};
use crate::wire::HELLO;

/// How long the shop's services take to greet.
const GREETING: Duration = Duration::from_millis(5);

/// Starts the services of a shop.
///
/// # Errors
///
/// If no port is free.
///
/// # Cancel safety
///
/// Dropping it leaves those that were started to the scope.
pub async fn start<E: Debug + Send + 'static>(n: &Scope<E>) -> io::Result<Upstreams> {
    let (payments, requests) = (Arc::new(AtomicU64::new(1)), Arc::new(AtomicU64::new(0)));
    Ok(Upstreams {
        catalog: stand_in::start(n, "catalog", greeting(catalog)).await?.address,
        reviews: stand_in::start(n, "reviews", greeting(reviews)).await?.address,
        payments: stand_in::start(n, "payments", greeting(move |charge| pay(charge, &payments))).await?.address,
        mail: stand_in::start(n, "mail", greeting(|_| Reply::value(&Value::Null))).await?.address,
        rates: stand_in::start(n, "exchange", greeting(move |_| rates(&requests))).await?.address,
    })
}

/// A connection to a service takes a moment to open.
fn greeting<A: Fn(&str) -> Reply + Clone>(answer: A) -> impl Fn(&str) -> Reply + Clone {
    move |question| if question == HELLO { Reply::welcome().after(GREETING) } else { answer(question) }
}

fn catalog(question: &str) -> Reply {
    let (what, rest) = question.split_once(' ').unwrap_or((question, ""));
    if what == "search" {
        return search(rest);
    }
    match rest.parse() {
        Ok(14) => Reply::value(&product(14)).after(Duration::from_secs(10)),
        Ok(15) => Reply::error("the disk is on fire"),
        Ok(id @ 0..100) => Reply::value(&product(id)),
        _ => Reply::none(),
    }
}

fn product(id: u32) -> Value {
    json!({ "name": name(id), "price": 100 + id })
}

fn name(id: u32) -> String {
    const KINDS: [&str; 4] = ["lamp", "chair", "table", "shelf"];
    format!("{} {id}", KINDS[id as usize % KINDS.len()])
}

/// `part "text"`: each part has a third of the products.
fn search(question: &str) -> Reply {
    let Some((part, text)) = question.split_once(' ') else { return Reply::none() };
    let (Ok(part), Ok(text)) = (part.parse::<u32>(), serde_json::from_str::<String>(text)) else {
        return Reply::none();
    };
    let names: Vec<_> = (part..100).step_by(3).map(name).filter(|name| name.contains(&text)).take(3).collect();
    Reply::value(&json!(names))
}

fn reviews(question: &str) -> Reply {
    let reviews = Reply::value(&json!(["does what it should"]));
    if question == "reviews 13" { reviews.after(Duration::from_secs(1)) } else { reviews }
}

fn pay(charge: &str, payments: &AtomicU64) -> Reply {
    let charge = charge.split_once(' ').and_then(|(_, charge)| serde_json::from_str::<Value>(charge).ok());
    match charge.and_then(|charge| charge["product"].as_u64()) {
        Some(product @ 0..100) => {
            let paid = Reply::value(&json!({ "payment": payments.fetch_add(1, Relaxed) }));
            if product == 16 { paid.after(Duration::from_secs(2)) } else { paid }
        }
        _ => Reply::none(),
    }
}

/// The dollar goes up and down by the second.
fn rates(requests: &AtomicU64) -> Reply {
    let step = u32::try_from(requests.fetch_add(1, Relaxed) % 10).expect("it is below ten");
    Reply::value(&json!({ "USD": f64::from(110 + step) / 100.0, "CHF": 0.95 }))
}
