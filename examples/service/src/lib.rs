//! An axum service as people write them, with an owner for every task.
//!
//! ```text
//! config     what an operator can set
//! app        what handlers share; the routes
//! server     the port: accepting, connections, the orderly end
//! request    the layer that makes every request a scope with a deadline
//! deadline   the header that a client asks for its deadline with
//! body       request bodies, which have to arrive in time
//! error      what a client is told when something is wrong
//! handlers   one file for each thing there is to ask for
//! upstream   asking another service
//! pool       connections to it, which belong to nobody's request
//! wire       the protocol they speak: a line for a line
//! rates      a value that a background task keeps fresh
//! orders     which orders there are
//! stand_in   the other services: real servers, of this program
//! shop       what those know
//! ```
//!
//! Who owns the tasks:
//!
//! | task | owner | ends |
//! |---|---|---|
//! | a connection | the service | with its client; at a shutdown when its request is answered |
//! | what a handler starts for its answer | the request | with the answer, the deadline, or the client |
//! | a payment | the request, shielded | when it is made, whatever the client does, in at most `payment_limit` |
//! | the mail about it | the program | when it is sent |
//! | the producer of a streamed answer | the body that streams | with the body; at a shutdown |
//! | opening a connection to an upstream | the pool | when it is open |
//! | the refresher | the service | at a shutdown |

#![forbid(unsafe_code)]

pub mod app;
pub mod body;
pub mod config;
pub mod deadline;
pub mod error;
pub mod handlers;
mod log;
pub mod orders;
pub mod pool;
pub mod rates;
pub mod request;
pub mod server;
pub mod shop;
pub mod stand_in;
pub mod upstream;
pub mod wire;
