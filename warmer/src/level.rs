//! The levels of the cache, as operators name them.

use std::collections::BTreeSet;

use shared::cache::Write;
use shared::keys::{Keys, Place};

/// A level of the cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// L1: order lines of the hot stores.
    Orders,
    /// L2: day cells and product cells.
    Cells,
    /// L3: partials of diagnoses and whole documents.
    Answers,
    /// L4: ready responses.
    Hot,
}

impl Level {
    /// Those that stores are made ready in.
    pub const OF_STORES: [Self; 3] = [Self::Orders, Self::Cells, Self::Answers];

    /// Whether a choice of levels, where none stands for all, has this one.
    #[must_use]
    pub fn is_in(self, choice: &BTreeSet<Self>) -> bool {
        choice.is_empty() || choice.contains(&self)
    }

    /// Whether a choice has every level that stores are made ready in.
    #[must_use]
    pub fn is_whole(choice: &BTreeSet<Self>) -> bool {
        Self::OF_STORES.into_iter().all(|level| level.is_in(choice))
    }

    /// The level of what lies at a place; `None` for what belongs to none, such as versions.
    #[must_use]
    pub const fn of(place: &Place) -> Option<Self> {
        match place {
            Place::Orders { .. } => Some(Self::Orders),
            Place::DayCells(_) | Place::ProductCells(_) => Some(Self::Cells),
            Place::Partial { .. } | Place::Answer => Some(Self::Answers),
            Place::Hot => Some(Self::Hot),
            _ => None,
        }
    }

    /// For tables.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Orders => "L1 orders",
            Self::Cells => "L2 cells",
            Self::Answers => "L3 answers",
            Self::Hot => "L4 hot",
        }
    }

    /// As it is typed.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Orders => "orders",
            Self::Cells => "cells",
            Self::Answers => "answers",
            Self::Hot => "hot",
        }
    }

    /// The level that a write concerns; `None` for what belongs to none.
    #[must_use]
    pub fn of_write(keys: &Keys, write: &Write) -> Option<Self> {
        keys.place(write.key()).as_ref().and_then(Self::of)
    }
}
