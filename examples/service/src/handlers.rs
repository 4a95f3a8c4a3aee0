//! One file for each thing there is to ask for.

pub mod orders;
pub mod products;
pub mod rates;
pub mod search;
pub mod status;
