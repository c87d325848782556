//! What things cost, as measured: milliseconds and bytes per kind of document, and per order line. Pure.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use shared::model::Document;

/// Weight of the newest measurement once there are many.
const NEWEST: f64 = 0.05;

/// What is measured apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// A kind of document, by its name; per store-day.
    Document(&'static str),
    /// Order lines; per line.
    Orders,
}

impl Kind {
    /// The kind of a document.
    #[must_use]
    pub fn of(document: Document) -> Self {
        Self::Document(document.name())
    }

    fn name(self) -> &'static str {
        match self {
            Self::Document(name) => name,
            Self::Orders => "orders",
        }
    }

    /// What is assumed until something was measured, per unit: milliseconds, and bytes.
    fn assumed(self) -> (f64, f64) {
        match self {
            // A document of one store over 30 days: some milliseconds, some kilobytes.
            Self::Document(_) => (0.1, 40.0),
            // Measured on 3 million synthetic lines: see docs/performance.md.
            Self::Orders => (0.003, 50.0),
        }
    }
}

/// What one thing costs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Cost {
    /// Milliseconds.
    pub ms: f64,
    /// Bytes.
    pub bytes: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct Measured {
    count: u64,
    ms: f64,
    ms_units: f64,
    bytes: f64,
    bytes_units: f64,
}

/// Measurements by kind.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Costs {
    kinds: BTreeMap<String, Measured>,
}

impl Costs {
    /// Takes over a measurement of something made of so many units.
    #[allow(clippy::cast_precision_loss, reason = "bytes and units far below 2^52")]
    pub fn learn(&mut self, kind: Kind, units: u64, ms: f64, bytes: u64) {
        if units == 0 || !ms.is_finite() {
            return;
        }
        let (units, bytes) = (units as f64, bytes as f64);
        let measured = self.kinds.entry(kind.name().to_owned()).or_insert(Measured {
            count: 0,
            ms: 0.0,
            ms_units: 0.0,
            bytes: 0.0,
            bytes_units: 0.0,
        });
        measured.count = measured.count.saturating_add(1);
        // Sums fade, so that the ratio follows what is measured now and large ones weigh by their size.
        for (sum, new) in [
            (&mut measured.ms, ms),
            (&mut measured.ms_units, units),
            (&mut measured.bytes, bytes),
            (&mut measured.bytes_units, units),
        ] {
            *sum = *sum * (1.0 - NEWEST) + new;
        }
    }

    /// What something of so many units costs.
    #[must_use]
    #[allow(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "estimates far below 2^52"
    )]
    pub fn of(&self, kind: Kind, units: u64) -> Cost {
        let assumed = kind.assumed();
        let (ms, bytes) = match self.kinds.get(kind.name()) {
            Some(measured) if measured.ms_units > 0.0 => {
                (measured.ms / measured.ms_units, measured.bytes / measured.bytes_units)
            }
            _ => assumed,
        };
        let units = units as f64;
        Cost { ms: (ms * units).max(LEAST_MS), bytes: ((bytes * units) as u64).max(LEAST_BYTES) }
    }
}

/// A round trip and a composition, at least.
const LEAST_MS: f64 = 0.2;
/// Header and key of an entry, at least.
const LEAST_BYTES: u64 = 400;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn measurements_replace_assumptions_and_old_ones_fade() {
        let mut costs = Costs::default();
        assert_eq!(costs.of(Kind::Orders, 1000), Cost { ms: 3.0, bytes: 50_000 });
        costs.learn(Kind::Orders, 1000, 10.0, 20_000);
        assert_eq!(costs.of(Kind::Orders, 500), Cost { ms: 5.0, bytes: 10_000 });
        for _ in 0..200 {
            costs.learn(Kind::Orders, 100, 0.4, 6_000);
        }
        let now = costs.of(Kind::Orders, 1000);
        assert!((now.ms - 4.0).abs() < 0.1 && (59_000..61_000).contains(&now.bytes), "{now:?}");
        costs.learn(Kind::Orders, 0, 1.0, 1);
        assert_eq!(costs.of(Kind::Orders, 1000), now);
        assert_eq!(costs.of(Kind::Document("trend"), 1), Cost { ms: LEAST_MS, bytes: LEAST_BYTES });
    }
}
