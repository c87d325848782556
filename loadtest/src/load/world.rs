//! What a gateway has to ask about: its stores and their last data day.

use anyhow::{Context as _, bail};
use http::StatusCode;
use serde::Deserialize;
use shared::model::Day;

use crate::client::Gateway;
use crate::way::Format;

/// Path of the list of stores.
pub(crate) const STORES: &str = "/v1/stores";

/// A store of the list, as far as questions need it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Store {
    /// Its id.
    pub store_id: String,
    /// Last day with lines.
    pub last_day: Option<Day>,
    /// Order lines.
    pub lines: u64,
}

/// The stores, the largest first, and the day that dates are relative to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct World {
    /// At least one.
    pub stores: Vec<Store>,
    /// Last data day of all stores.
    pub last_day: Day,
}

#[derive(Deserialize)]
struct Envelope {
    data: Listed,
}

#[derive(Deserialize)]
struct Listed {
    stores: Vec<Store>,
}

impl World {
    /// Of stores in any order.
    ///
    /// # Errors
    /// If there is none with data.
    pub fn new(mut stores: Vec<Store>) -> anyhow::Result<Self> {
        let Some(last_day) = stores.iter().filter_map(|store| store.last_day).max() else {
            bail!(
                "the gateway has no store with order lines; warm it first, or give a token that may see stores"
            );
        };
        // The largest are asked for the most; equal ones by their id, so that a seed means the same on every gateway.
        stores.sort_by(|a, b| b.lines.cmp(&a.lines).then_with(|| a.store_id.cmp(&b.store_id)));
        Ok(Self { stores, last_day })
    }

    /// Asks a gateway.
    ///
    /// # Errors
    /// If it has no list of stores.
    pub async fn ask(gateway: &Gateway) -> anyhow::Result<Self> {
        let answer = gateway.in_format(Format::Json).get(STORES).await?;
        if answer.status != StatusCode::OK {
            bail!("{STORES}: status {}: {}", answer.status, answer.problem());
        }
        let body = answer.plain()?;
        let envelope: Envelope = serde_json::from_slice(&body)
            .with_context(|| format!("{STORES} is no list of stores; is this a Hotshelf gateway?"))?;
        Self::new(envelope.data.stores)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
pub(super) mod tests {
    use super::*;

    pub(in crate::load) const LAST_DAY: &str = "2026-03-07";

    /// Stores 1, 2, … of falling size.
    pub(in crate::load) fn world(stores: u64) -> World {
        let last_day = Some(LAST_DAY.parse().unwrap());
        let store = |number: u64| Store { store_id: number.to_string(), last_day, lines: 1_000 - number };
        World::new((1..=stores).rev().map(store).collect()).unwrap()
    }

    #[test]
    fn the_largest_store_comes_first() {
        let world = world(3);
        assert_eq!(
            world.stores.iter().map(|store| store.store_id.as_str()).collect::<Vec<_>>(),
            ["1", "2", "3"]
        );
        assert_eq!(world.last_day.to_string(), LAST_DAY);
        let empty = Store { store_id: "1".to_owned(), last_day: None, lines: 0 };
        assert!(World::new(vec![empty]).unwrap_err().to_string().contains("no store"));
    }
}
