//! Cells: the sums of one store and day from which every document is composed.
//!
//! A [`DayCell`] holds the order sums by channel, a [`ProductCell`] the line sums by product and order channel.
//! Both are canonical: equal lines in any order give equal cells and equal bytes.

mod build;
mod day;
mod index;
mod partition;
mod product;
mod sums;

use crate::model::{Day, LinesView, Rules};

pub use build::build_store_day;
pub(crate) use build::smallest_known;
pub use day::{ActiveProducts, DayCell};
pub use index::TextIndex;
pub use partition::{Group, partition};
pub use product::{ProductCell, ProductRow};
pub use sums::Sums;

/// The cells of one store and day.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StoreDay {
    /// Order sums by channel.
    pub day: DayCell,
    /// Line sums by product and order channel.
    pub products: ProductCell,
}

/// The cells of one (store, day) of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BuiltDay {
    /// Store.
    pub store_id: String,
    /// Day.
    pub date: Day,
    /// Its cells.
    pub cells: StoreDay,
}

/// All cells of a batch of lines, by store and day, on the current rayon pool.
#[must_use]
pub fn build_cells(lines: &LinesView<'_>, rules: &Rules) -> Vec<BuiltDay> {
    use rayon::prelude::*;
    let mut built: Vec<BuiltDay> = partition(lines)
        .into_par_iter()
        .map_init(build::Scratch::default, |scratch, group| BuiltDay {
            cells: build::build_with(lines, &group.rows, rules, scratch),
            store_id: group.store_id,
            date: group.day,
        })
        .collect();
    built.sort_by(|a, b| a.store_id.cmp(&b.store_id).then(a.date.cmp(&b.date)));
    built
}
