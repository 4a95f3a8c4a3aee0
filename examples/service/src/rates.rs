//! What money is worth, kept fresh in the background.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tokio::time::{MissedTickBehavior, interval};

use crate::app::App;
use crate::log::log;

/// What one euro is, by currency.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Rates(BTreeMap<String, f64>);

/// Asks for the rates again and again, until it is stopped. An upstream that fails leaves the old ones.
///
/// # Cancel safety
///
/// Dropping it ends the refreshing.
pub async fn refresh(app: Arc<App>) {
    let mut ticks = interval(app.config.refresh_every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        match sc_tokio::timeout(app.config.default_deadline, app.exchange.ask("rates")).await {
            Ok(Ok(Some(rates))) => drop(app.rates.send_replace(Some(rates))),
            Ok(Ok(None)) => {}
            Ok(Err(error)) => log(format_args!("the rates are old: {error}")),
            Err(late) => log(format_args!("the rates are old: {late}")),
        }
    }
}
