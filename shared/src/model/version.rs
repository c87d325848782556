//! Data versions: equal versions mean equal data.

use std::fmt;

use data_encoding::HEXLOWER;
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::{Xxh3, xxh3_128};

use super::day::Day;

/// A hash of content. Versions of different store-days add up, in any order, to the version of a document.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct DataVersion(u128);

impl DataVersion {
    /// The version of some canonical bytes.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self(xxh3_128(bytes))
    }

    /// The version of one store-day whose content has version `self`.
    #[must_use]
    pub fn placed(self, store_id: &str, day: Day) -> Self {
        let mut hasher = Xxh3::new();
        hasher.update(&self.0.to_le_bytes());
        hasher.update(&day.0.to_le_bytes());
        hasher.update(store_id.as_bytes());
        Self(hasher.digest128())
    }
}

impl std::ops::AddAssign for DataVersion {
    fn add_assign(&mut self, other: Self) {
        self.0 = self.0.wrapping_add(other.0);
    }
}

impl std::iter::Sum for DataVersion {
    fn sum<I: Iterator<Item = Self>>(versions: I) -> Self {
        versions.fold(Self::default(), |mut sum, version| {
            sum += version;
            sum
        })
    }
}

impl fmt::Display for DataVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Every answer has it: several times as fast as the standard library's digits.
        HEXLOWER.encode_display(&self.0.to_be_bytes()).fmt(f)
    }
}
