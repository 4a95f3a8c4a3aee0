//! Which orders there are, and how far they have come.
//!
//! Orders have numbers that the client chooses, so that one which has lost its connection can ask, and order again, without
//! paying twice.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};

/// What was paid.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    /// The payment's number, from whoever took the money.
    pub payment: u64,
}

/// How far an order has come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum Order {
    /// It is being paid for right now.
    Paying,
    /// It is paid for.
    Paid(Receipt),
}

/// The orders.
#[derive(Debug, Clone, Default)]
pub struct Orders {
    orders: Arc<Mutex<HashMap<u64, Order>>>,
}

/// An order that is being paid for; forgotten when this is dropped before it was.
#[derive(Debug)]
pub struct Paying {
    id: u64,
    orders: Orders,
}

impl Orders {
    /// How far an order has come.
    pub fn find(&self, id: u64) -> Option<Order> {
        self.lock().get(&id).cloned()
    }

    /// Begins an order.
    ///
    /// # Errors
    ///
    /// The order, if there is one of this number.
    pub fn begin(&self, id: u64) -> Result<Paying, Order> {
        match self.lock().entry(id) {
            Entry::Occupied(there) => Err(there.get().clone()),
            Entry::Vacant(free) => {
                free.insert(Order::Paying);
                Ok(Paying { id, orders: self.clone() })
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<u64, Order>> {
        self.orders.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Paying {
    /// The order is paid for.
    pub fn paid(self, receipt: Receipt) {
        self.orders.lock().insert(self.id, Order::Paid(receipt));
    }
}

impl Drop for Paying {
    fn drop(&mut self) {
        if let Entry::Occupied(order) = self.orders.lock().entry(self.id) {
            if *order.get() == Order::Paying {
                order.remove();
            }
        }
    }
}
