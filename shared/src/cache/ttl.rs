//! How long entries are fresh, and how long they are kept.

use std::time::Duration;

use crate::entry::EntryKind;

/// How often the data change, which the soft expiries follow from unless they are set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Profile {
    /// All day.
    Live,
    /// Imported once a day.
    Daily,
}

impl Profile {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Live, Self::Daily];

    /// Its text in settings.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Daily => "daily",
        }
    }

    /// Its soft expiries.
    #[must_use]
    pub const fn ttl(self) -> Ttl {
        match self {
            Self::Live => Ttl::LIVE,
            Self::Daily => Ttl::DAILY,
        }
    }
}

/// Soft expiries by level; the hard ones follow from them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ttl {
    /// Order lines.
    pub orders: Duration,
    /// Cells.
    pub cells: Duration,
    /// Partials and answers.
    pub answers: Duration,
    /// Ready responses.
    pub hot: Duration,
}

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;

impl Ttl {
    /// For data that change all day.
    pub const LIVE: Self = Self {
        orders: Duration::from_secs(30 * MINUTE),
        cells: Duration::from_secs(15 * MINUTE),
        answers: Duration::from_secs(10 * MINUTE),
        hot: Duration::from_secs(5 * MINUTE),
    };
    /// For data imported once a day.
    pub const DAILY: Self = Self {
        orders: Duration::from_secs(24 * HOUR),
        cells: Duration::from_secs(6 * HOUR),
        answers: Duration::from_secs(HOUR),
        hot: Duration::from_secs(5 * MINUTE),
    };

    /// From when on an entry is stale unless its data were confirmed since.
    #[must_use]
    pub fn soft(&self, kind: EntryKind) -> Duration {
        match kind {
            EntryKind::Orders => self.orders,
            EntryKind::DayCell | EntryKind::ProductCell | EntryKind::Store => self.cells,
            EntryKind::Partial | EntryKind::Answer => self.answers,
            EntryKind::Hot | EntryKind::Plan => self.hot,
        }
    }

    /// When an entry goes: twice its soft expiry, and for cells, partials, answers and the directory at least 24 h, so
    /// that a stopped warmer leaves something to serve; ± 10 % by `salt`, so that entries do not go all at once.
    #[must_use]
    pub fn hard(&self, kind: EntryKind, salt: &str) -> Duration {
        let twice = self.soft(kind) * 2;
        let short = matches!(kind, EntryKind::Orders | EntryKind::Hot);
        let kept = if short { twice } else { twice.max(Duration::from_secs(24 * HOUR)) };
        let permille = xxhash_rust::xxh3::xxh3_64(salt.as_bytes()) % 201;
        kept * (900 + u32::try_from(permille).unwrap_or(100)) / 1000
    }
}

impl Default for Ttl {
    fn default() -> Self {
        Self::LIVE
    }
}
