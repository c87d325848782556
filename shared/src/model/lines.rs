//! Order lines, one by one and in columns.

use std::cmp::Ordering;

use super::column::{Column, DECIMALS, Kind, TEXTS};
use super::day::{Day, LocalTime};
use super::money::Money;

/// Stands for an absent distance or stock in a column.
pub const ABSENT: i64 = i64::MIN;

/// One order line as stored after reading.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Line {
    /// Text columns by [`Column::slot`]; empty = absent.
    pub texts: [String; TEXTS],
    /// Order time.
    pub ordered_at: LocalTime,
    /// Pieces; negative for a return.
    pub quantity: i32,
    /// Decimal columns by [`Column::slot`] in micro-units; [`ABSENT`] only for the distance.
    pub decimals: [i64; DECIMALS],
    /// Stock after the sale, [`ABSENT`] if unknown.
    pub stock: i64,
}

impl Line {
    /// A text column.
    #[must_use]
    pub fn text(&self, column: Column) -> &str {
        &self.texts[column.slot()]
    }

    /// A decimal column; the distance is zero here if unknown.
    #[must_use]
    pub fn money(&self, column: Column) -> Money {
        let value = self.decimals[column.slot()];
        Money(if value == ABSENT { 0 } else { value })
    }
}

/// A column of texts in one buffer, laid out like an Arrow string array: text `i` is `bytes[offsets[i]..offsets[i+1]]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TextColumn {
    offsets: Vec<i32>,
    bytes: Vec<u8>,
}

impl Default for TextColumn {
    fn default() -> Self {
        Self { offsets: vec![0], bytes: Vec::new() }
    }
}

impl TextColumn {
    /// Number of texts.
    #[must_use]
    pub fn len(&self) -> usize {
        self.offsets.len() - 1
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Appends a text. A batch holds at most 2 GiB of text; readers cut their batches far below.
    ///
    /// # Panics
    /// Beyond 2 GiB.
    #[allow(clippy::expect_used, reason = "an invariant of every reader: batches are bounded to megabytes")]
    pub fn push(&mut self, text: &str) {
        self.bytes.extend_from_slice(text.as_bytes());
        self.offsets
            .push(i32::try_from(self.bytes.len()).expect("a batch of lines holds under 2 GiB of text"));
    }

    /// A borrowed form.
    #[must_use]
    pub fn view(&self) -> Texts<'_> {
        Texts { offsets: &self.offsets, bytes: &self.bytes }
    }

    /// Text `row`.
    #[must_use]
    pub fn get(&self, row: usize) -> &str {
        std::str::from_utf8(self.view().bytes(row)).unwrap_or_default()
    }

    /// Drops all texts from number `len` on.
    pub fn truncate(&mut self, len: usize) {
        if len < self.len() {
            self.offsets.truncate(len + 1);
            let end = self.offsets.last().copied().unwrap_or(0);
            self.bytes.truncate(usize::try_from(end).unwrap_or(0));
        }
    }

    /// Bytes held.
    #[must_use]
    pub fn size(&self) -> usize {
        self.bytes.len() + self.offsets.len() * 4
    }
}

impl<'a> FromIterator<&'a str> for TextColumn {
    fn from_iter<I: IntoIterator<Item = &'a str>>(texts: I) -> Self {
        let mut column = Self::default();
        for text in texts {
            column.push(text);
        }
        column
    }
}

impl serde::Serialize for TextColumn {
    /// A list of texts.
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq((0..self.len()).map(|row| self.get(row)))
    }
}

impl<'de> serde::Deserialize<'de> for TextColumn {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> serde::de::Visitor<'de> for Visitor {
            type Value = TextColumn;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a list of texts")
            }
            fn visit_seq<A: serde::de::SeqAccess<'de>>(self, mut list: A) -> Result<TextColumn, A::Error> {
                let mut column = TextColumn::default();
                while let Some(text) = list.next_element::<&str>()? {
                    column.push(text);
                }
                Ok(column)
            }
        }
        deserializer.deserialize_seq(Visitor)
    }
}

/// A borrowed column of UTF-8 texts, from a [`TextColumn`] or an Arrow string array.
#[derive(Clone, Copy, Debug)]
pub struct Texts<'a> {
    /// One more than there are texts.
    pub offsets: &'a [i32],
    /// The texts, one after the other.
    pub bytes: &'a [u8],
}

impl<'a> Texts<'a> {
    /// The bytes of text `row`.
    #[must_use]
    #[allow(clippy::cast_sign_loss, reason = "offsets are never negative")]
    pub fn bytes(&self, row: usize) -> &'a [u8] {
        &self.bytes[self.offsets[row] as usize..self.offsets[row + 1] as usize]
    }
}

/// Order lines in columns. A text or decimal column that was not read is empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lines {
    /// Text columns by [`Column::slot`].
    pub texts: [TextColumn; TEXTS],
    /// Order times in microseconds.
    pub ordered_at: Vec<i64>,
    /// Pieces.
    pub quantity: Vec<i32>,
    /// Decimal columns by [`Column::slot`] in micro-units.
    pub decimals: [Vec<i64>; DECIMALS],
    /// Stock, [`ABSENT`] if unknown.
    pub stock: Vec<i64>,
}

/// A borrowed form of [`Lines`], which Arrow columns can take without being copied.
#[derive(Clone, Copy, Debug)]
pub struct LinesView<'a> {
    /// Text columns by [`Column::slot`].
    pub texts: [Texts<'a>; TEXTS],
    /// Order times in microseconds.
    pub ordered_at: &'a [i64],
    /// Pieces.
    pub quantity: &'a [i32],
    /// Decimal columns by [`Column::slot`] in micro-units.
    pub decimals: [&'a [i64]; DECIMALS],
    /// Stock, [`ABSENT`] if unknown.
    pub stock: &'a [i64],
}

impl Lines {
    /// Number of lines.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ordered_at.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ordered_at.is_empty()
    }

    /// Bytes held, about.
    #[must_use]
    pub fn size(&self) -> usize {
        let decimals: usize = self.decimals.iter().map(|column| column.len() * 8).sum();
        self.texts.iter().map(TextColumn::size).sum::<usize>() + decimals + self.len() * 20
    }

    /// A borrowed form.
    #[must_use]
    pub fn view(&self) -> LinesView<'_> {
        LinesView {
            texts: std::array::from_fn(|slot| self.texts[slot].view()),
            ordered_at: &self.ordered_at,
            quantity: &self.quantity,
            decimals: std::array::from_fn(|slot| self.decimals[slot].as_slice()),
            stock: &self.stock,
        }
    }

    /// Appends a whole line.
    pub fn push(&mut self, line: &Line) {
        for (column, text) in self.texts.iter_mut().zip(&line.texts) {
            column.push(text);
        }
        for (column, value) in self.decimals.iter_mut().zip(line.decimals) {
            column.push(value);
        }
        self.ordered_at.push(line.ordered_at.0);
        self.quantity.push(line.quantity);
        self.stock.push(line.stock);
    }

    /// Drops all lines from number `len` on, also those of which only some columns were filled.
    pub fn truncate(&mut self, len: usize) {
        for column in &mut self.texts {
            column.truncate(len);
        }
        for column in &mut self.decimals {
            column.truncate(len);
        }
        self.ordered_at.truncate(len);
        self.quantity.truncate(len);
        self.stock.truncate(len);
    }

    /// The line `row`; columns that were not read are absent.
    #[must_use]
    pub fn line(&self, row: usize) -> Line {
        Line {
            texts: std::array::from_fn(|slot| {
                let column = &self.texts[slot];
                if column.is_empty() { String::new() } else { column.get(row).to_owned() }
            }),
            ordered_at: LocalTime(self.ordered_at[row]),
            quantity: self.quantity[row],
            decimals: std::array::from_fn(|slot| self.decimals[slot].get(row).copied().unwrap_or(0)),
            stock: self.stock[row],
        }
    }

    /// A text column at `row`.
    #[must_use]
    pub fn text(&self, column: Column, row: usize) -> &str {
        self.texts[column.slot()].get(row)
    }

    /// The lines at `rows`, in that order.
    #[must_use]
    pub fn take(&self, rows: &[u32]) -> Self {
        let at = |row: &u32| *row as usize;
        Self {
            texts: std::array::from_fn(|slot| {
                let column = &self.texts[slot];
                if column.is_empty() {
                    return TextColumn::default();
                }
                rows.iter().map(|row| column.get(at(row))).collect()
            }),
            ordered_at: rows.iter().map(|row| self.ordered_at[at(row)]).collect(),
            quantity: rows.iter().map(|row| self.quantity[at(row)]).collect(),
            decimals: std::array::from_fn(|slot| {
                let column = &self.decimals[slot];
                if column.is_empty() { Vec::new() } else { rows.iter().map(|row| column[at(row)]).collect() }
            }),
            stock: rows.iter().map(|row| self.stock[at(row)]).collect(),
        }
    }

    /// Appends all lines of `other`, which was read with the same columns.
    pub fn append(&mut self, other: &Self) {
        for (mine, theirs) in self.texts.iter_mut().zip(&other.texts) {
            for row in 0..theirs.len() {
                mine.push(theirs.get(row));
            }
        }
        for (mine, theirs) in self.decimals.iter_mut().zip(&other.decimals) {
            mine.extend_from_slice(theirs);
        }
        self.ordered_at.extend_from_slice(&other.ordered_at);
        self.quantity.extend_from_slice(&other.quantity);
        self.stock.extend_from_slice(&other.stock);
    }

    /// The lines in the one stated order: by `ordered_at`, `order_id`, product key, then all remaining columns in
    /// table order, absent first, texts by code point. Lines equal in all of them can't be told apart.
    #[must_use]
    pub fn sorted(&self) -> Self {
        let mut rows: Vec<u32> = (0..u32::try_from(self.len()).unwrap_or(u32::MAX)).collect();
        let view = self.view();
        rows.sort_unstable_by(|a, b| view.compare(*a as usize, *b as usize));
        self.take(&rows)
    }
}

impl<'a> LinesView<'a> {
    /// Number of lines.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ordered_at.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ordered_at.is_empty()
    }

    /// The bytes of a text column at `row`.
    #[must_use]
    pub fn text(&self, column: Column, row: usize) -> &'a [u8] {
        self.texts[column.slot()].bytes(row)
    }

    /// The day of the line at `row`.
    #[must_use]
    pub fn day(&self, row: usize) -> Day {
        LocalTime(self.ordered_at[row]).day()
    }

    /// The product key: `store_code`, else `barcode`, else `product_name`.
    #[must_use]
    pub fn product_key(&self, row: usize) -> &'a [u8] {
        for column in [Column::StoreCode, Column::Barcode] {
            let text = self.text(column, row);
            if !text.is_empty() {
                return text;
            }
        }
        self.text(Column::ProductName, row)
    }

    fn compare(&self, a: usize, b: usize) -> Ordering {
        let text = |column| self.text(column, a).cmp(self.text(column, b));
        self.ordered_at[a]
            .cmp(&self.ordered_at[b])
            .then_with(|| text(Column::OrderId))
            .then_with(|| self.product_key(a).cmp(self.product_key(b)))
            .then_with(|| {
                Column::ALL
                    .into_iter()
                    .map(|column| self.compare_column(column, a, b))
                    .find(|o| o.is_ne())
                    .unwrap_or(Ordering::Equal)
            })
    }

    fn compare_column(&self, column: Column, a: usize, b: usize) -> Ordering {
        match column.kind() {
            Kind::Text => {
                let texts = self.texts[column.slot()];
                if texts.offsets.len() < 2 { Ordering::Equal } else { texts.bytes(a).cmp(texts.bytes(b)) }
            }
            Kind::Time => self.ordered_at[a].cmp(&self.ordered_at[b]),
            Kind::Decimal => {
                let values = self.decimals[column.slot()];
                values.get(a).cmp(&values.get(b))
            }
            Kind::Integer if column == Column::Quantity => self.quantity[a].cmp(&self.quantity[b]),
            Kind::Integer => self.stock[a].cmp(&self.stock[b]),
        }
    }
}
