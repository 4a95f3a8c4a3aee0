//! What an operator can set.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

/// What an operator can set.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where to listen.
    pub listen: SocketAddr,
    /// Who is asked.
    pub upstreams: Upstreams,
    /// How many connections each of them gets.
    pub connections_per_upstream: usize,
    /// How long a request may take that does not say.
    pub default_deadline: Duration,
    /// How long a request may take, whatever it says.
    pub longest_deadline: Duration,
    /// How long an answer waits for the part that it can do without.
    pub optional_part: Duration,
    /// How long a client may take to send a request's head, the wait for it included.
    pub head_timeout: Duration,
    /// How long a client may take to send a request's body.
    pub body_timeout: Duration,
    /// How long a payment may go on when nobody waits for it any more.
    pub payment_limit: Duration,
    /// How often the rates are asked for.
    pub refresh_every: Duration,
}

/// The addresses of the services that this one asks.
#[derive(Debug, Clone, Copy)]
pub struct Upstreams {
    /// Knows the products.
    pub catalog: SocketAddr,
    /// Knows what people say about them.
    pub reviews: SocketAddr,
    /// Takes money.
    pub payments: SocketAddr,
    /// Sends mail.
    pub mail: SocketAddr,
    /// Knows what money is worth.
    pub rates: SocketAddr,
}

impl Config {
    /// What to start from: a free port on loopback, and times for people.
    pub const fn new(upstreams: Upstreams) -> Self {
        Self {
            listen: SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0),
            upstreams,
            connections_per_upstream: 16,
            default_deadline: Duration::from_secs(2),
            longest_deadline: Duration::from_secs(30),
            optional_part: Duration::from_millis(300),
            head_timeout: Duration::from_secs(10),
            body_timeout: Duration::from_secs(5),
            payment_limit: Duration::from_secs(5),
            refresh_every: Duration::from_secs(1),
        }
    }
}
