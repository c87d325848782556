//! The line sums of one store and day by product and order channel.

use serde::{Deserialize, Serialize};

use crate::model::{ABSENT, Amount, TextColumn};

/// Merchandise lines of one store and day, summed by product key and order channel.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProductCell {
    /// Number of all lines of the store and day, merchandise or not.
    pub lines: u64,
    /// Distinct product keys, ascending.
    pub keys: TextColumn,
    /// Distinct order channels, ascending.
    pub channels: TextColumn,
    /// Display names of the rows; equal neighbours of one product share one.
    pub names: TextColumn,
    /// Distinct categories, ascending.
    pub categories: TextColumn,
    /// By key, then channel.
    pub rows: Vec<ProductRow>,
}

/// The lines of one product in the orders of one channel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ProductRow {
    /// Number of the key.
    pub key: u32,
    /// Number of the order channel.
    pub channel: u32,
    /// Number of the name of the latest line (ties: smallest name, then smallest category).
    pub name: u32,
    /// Number of the category of that line.
    pub category: u32,
    /// Whether a line has quantity > 0.
    pub active: bool,
    /// Σ quantity.
    pub quantity: i64,
    /// Σ paid_price·quantity.
    pub sales: Amount,
    /// Σ gross profit.
    pub gross_profit: Amount,
    /// Σ cost.
    pub cost: Amount,
    /// Time of the latest line, microseconds.
    pub latest: i64,
    /// Stock of the latest line (ties: the smallest known one), [`ABSENT`] if unknown.
    pub stock: i64,
    /// Lines sold below cost.
    pub below_cost: u32,
    /// Those below 80 % of cost.
    pub severe: u32,
    /// Σ (cost − paid_price·quantity) of the lines sold below cost.
    pub below_cost_loss: Amount,
}

impl ProductCell {
    /// Runs of rows of one product.
    pub fn products(&self) -> impl Iterator<Item = &[ProductRow]> {
        self.rows.chunk_by(|a, b| a.key == b.key)
    }

    /// The rows of the product with this key.
    #[must_use]
    pub fn product(&self, key: &str) -> &[ProductRow] {
        let keys = self.keys.view();
        let text = |row: &ProductRow| keys.bytes(row.key as usize);
        let from = self.rows.partition_point(|row| text(row) < key.as_bytes());
        let length = self.rows[from..].partition_point(|row| text(row) == key.as_bytes());
        &self.rows[from..from + length]
    }

    /// Whether the parts of a cell read from outside fit each other.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        let within = |number: u32, texts: &TextColumn| (number as usize) < texts.len();
        self.rows.is_sorted_by(|a, b| (a.key, a.channel) < (b.key, b.channel))
            && self.rows.iter().all(|row| {
                within(row.key, &self.keys)
                    && within(row.channel, &self.channels)
                    && within(row.name, &self.names)
                    && within(row.category, &self.categories)
            })
    }
}

impl Serialize for ProductCell {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Columns::from(self).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for ProductCell {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Columns::deserialize(deserializer)?
            .into_cell()
            .ok_or_else(|| serde::de::Error::custom("product cell: columns that do not fit each other"))
    }
}

/// The stored form: columns compress better than rows.
#[derive(Default, Serialize, Deserialize)]
struct Columns {
    lines: u64,
    keys: TextColumn,
    channels: TextColumn,
    names: TextColumn,
    categories: TextColumn,
    /// Steps from row to row: keys and names ascend, and steps compress better than numbers.
    key: Vec<u32>,
    channel: Vec<u32>,
    name: Vec<u32>,
    category: Vec<u32>,
    active: Vec<bool>,
    quantity: Vec<i64>,
    sales: Vec<Amount>,
    gross_profit: Vec<Amount>,
    cost: Vec<Amount>,
    latest: Vec<i64>,
    stock: Vec<Option<i64>>,
    /// Only rows with lines below cost: row, lines, severe lines, loss.
    below: Vec<(u32, u32, u32, Amount)>,
}

impl From<&ProductCell> for Columns {
    #[allow(clippy::cast_possible_truncation, reason = "a store-day has under 2^32 rows")]
    fn from(cell: &ProductCell) -> Self {
        let mut columns = Self {
            lines: cell.lines,
            keys: cell.keys.clone(),
            channels: cell.channels.clone(),
            names: cell.names.clone(),
            categories: cell.categories.clone(),
            ..Self::default()
        };
        let mut before = (0, 0);
        for (at, row) in cell.rows.iter().enumerate() {
            columns.key.push(row.key - before.0);
            columns.name.push(row.name - before.1);
            before = (row.key, row.name);
            columns.channel.push(row.channel);
            columns.category.push(row.category);
            columns.active.push(row.active);
            columns.quantity.push(row.quantity);
            columns.sales.push(row.sales);
            columns.gross_profit.push(row.gross_profit);
            columns.cost.push(row.cost);
            columns.latest.push(row.latest);
            columns.stock.push((row.stock != ABSENT).then_some(row.stock));
            if row.below_cost > 0 {
                columns.below.push((at as u32, row.below_cost, row.severe, row.below_cost_loss));
            }
        }
        columns
    }
}

impl Columns {
    /// `None` if the columns do not fit each other.
    fn into_cell(self) -> Option<ProductCell> {
        let mut rows = Vec::with_capacity(self.key.len());
        let (mut key, mut name) = (0u32, 0u32);
        for at in 0..self.key.len() {
            key = key.checked_add(self.key[at])?;
            name = name.checked_add(*self.name.get(at)?)?;
            rows.push(ProductRow {
                key,
                channel: *self.channel.get(at)?,
                name,
                category: *self.category.get(at)?,
                active: *self.active.get(at)?,
                quantity: *self.quantity.get(at)?,
                sales: *self.sales.get(at)?,
                gross_profit: *self.gross_profit.get(at)?,
                cost: *self.cost.get(at)?,
                latest: *self.latest.get(at)?,
                stock: self.stock.get(at)?.unwrap_or(ABSENT),
                ..ProductRow::default()
            });
        }
        if !self.below.is_sorted_by(|a, b| a.0 < b.0) {
            return None;
        }
        for (at, lines, severe, loss) in self.below {
            // Without such lines a row would not be listed, and its other numbers would be lost when it is written again.
            let row = rows.get_mut(at as usize).filter(|_| lines > 0)?;
            (row.below_cost, row.severe, row.below_cost_loss) = (lines, severe, loss);
        }
        let Self { lines, keys, channels, names, categories, .. } = self;
        Some(ProductCell { lines, keys, channels, names, categories, rows })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn rows_below_cost_are_listed_once_and_with_lines() {
        let cell = |below: &[(u32, u32, u32, Amount)]| {
            let rows = vec![ProductRow::default(), ProductRow { channel: 1, ..ProductRow::default() }];
            let cell = ProductCell { rows, ..ProductCell::default() };
            Columns { below: below.to_vec(), ..Columns::from(&cell) }.into_cell()
        };
        let rows = cell(&[(0, 2, 1, Amount(5)), (1, 1, 0, Amount(3))]).unwrap().rows;
        assert_eq!((rows[0].below_cost, rows[0].severe, rows[1].below_cost_loss), (2, 1, Amount(3)));
        for bad in
            [[(0, 1, 0, Amount(0)), (0, 2, 0, Amount(0))], [(0, 1, 0, Amount(0)), (1, 0, 6, Amount(7))]]
        {
            assert_eq!(cell(&bad), None);
        }
        assert_eq!(cell(&[(2, 1, 0, Amount(0))]), None);
    }
}
