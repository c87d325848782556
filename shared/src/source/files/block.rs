//! The bytes of some lines in a spool: column after column, little-endian, uncompressed. Private to one process, so
//! it has neither version nor checksum.

use crate::model::column::{DECIMALS, Kind, TEXTS};
use crate::model::{Column, Lines};
use crate::source::Columns;

/// What cannot be decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BlockFault {
    /// Not the bytes that were written.
    Damaged,
    /// A text column of the result would pass 2 GiB.
    TooMuchText,
}

/// Appends the lines at `rows`.
pub(super) fn encode(lines: &Lines, rows: &[u32], out: &mut Vec<u8>) {
    let rows = || rows.iter().map(|row| *row as usize);
    out.extend(u32::try_from(rows().len()).unwrap_or(u32::MAX).to_le_bytes());
    put(out, rows().map(|row| lines.ordered_at[row]));
    put(out, rows().map(|row| i64::from(lines.quantity[row])));
    put(out, rows().map(|row| lines.stock[row]));
    for column in &lines.decimals {
        put(out, rows().map(|row| column[row]));
    }
    for column in &lines.texts {
        let length = |row| i64::try_from(column.get(row).len()).unwrap_or(i64::MAX);
        put(out, rows().map(length));
        let bytes: usize = rows().map(|row| column.get(row).len()).sum();
        out.extend((bytes as u64).to_le_bytes());
        for row in rows() {
            out.extend_from_slice(column.get(row).as_bytes());
        }
    }
}

/// A column of numbers: once if all are the same, which most are within one store and day.
fn put(out: &mut Vec<u8>, mut values: impl Iterator<Item = i64> + Clone) {
    let all = values.clone();
    let first = values.next().unwrap_or(0);
    if values.all(|value| value == first) {
        out.push(0);
        out.extend(first.to_le_bytes());
    } else {
        out.push(1);
        out.extend(all.flat_map(i64::to_le_bytes));
    }
}

struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    fn bytes(&mut self, count: usize) -> Option<&'a [u8]> {
        let (head, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(head)
    }

    fn number(&mut self) -> Option<i64> {
        Some(i64::from_le_bytes(self.bytes(8)?.try_into().ok()?))
    }

    /// A column of numbers, each given to `take`.
    fn numbers(&mut self, count: usize, mut take: impl FnMut(i64) -> Option<()>) -> Option<()> {
        if self.bytes(1)? == [0] {
            let value = self.number()?;
            (0..count).try_for_each(|_| take(value))
        } else {
            let (values, _) = self.bytes(count.checked_mul(8)?)?.as_chunks::<8>();
            values.iter().try_for_each(|value| take(i64::from_le_bytes(*value)))
        }
    }
}

fn wanted(kind: Kind, slot: usize, columns: Columns) -> bool {
    let column = Column::ALL.into_iter().find(|column| column.kind() == kind && column.slot() == slot);
    columns == Columns::All || column.is_some_and(Column::needed_for_cells)
}

/// Reads one block from the front of `bytes`, appends its lines with the wanted columns, and returns the rest.
pub(super) fn decode<'a>(
    bytes: &'a [u8],
    columns: Columns,
    lines: &mut Lines,
) -> Result<&'a [u8], BlockFault> {
    let decimals: [bool; DECIMALS] = std::array::from_fn(|slot| wanted(Kind::Decimal, slot, columns));
    let texts: [bool; TEXTS] = std::array::from_fn(|slot| wanted(Kind::Text, slot, columns));
    let mut input = Input(bytes);
    numbers(&mut input, &decimals, lines).ok_or(BlockFault::Damaged).and_then(|count| {
        for (column, wanted) in lines.texts.iter_mut().zip(texts) {
            let mut lengths = Vec::with_capacity(count);
            let read = input.numbers(count, |length| {
                lengths.push(usize::try_from(length).ok()?);
                Some(())
            });
            let text = read.and_then(|()| {
                let length = usize::try_from(input.number()?).ok()?;
                std::str::from_utf8(input.bytes(length)?).ok()
            });
            let Some(mut rest) = text else { return Err(BlockFault::Damaged) };
            if !wanted {
                continue;
            }
            if column.size() + rest.len() > i32::MAX as usize {
                return Err(BlockFault::TooMuchText);
            }
            for length in lengths {
                let (text, after) = rest.split_at_checked(length).ok_or(BlockFault::Damaged)?;
                column.push(text);
                rest = after;
            }
        }
        Ok(input.0)
    })
}

/// The number columns; how many lines there are.
fn numbers(input: &mut Input<'_>, decimals: &[bool; DECIMALS], lines: &mut Lines) -> Option<usize> {
    let count = u32::from_le_bytes(input.bytes(4)?.try_into().ok()?) as usize;
    input.numbers(count, |value| {
        lines.ordered_at.push(value);
        Some(())
    })?;
    input.numbers(count, |value| {
        lines.quantity.push(i32::try_from(value).ok()?);
        Some(())
    })?;
    input.numbers(count, |value| {
        lines.stock.push(value);
        Some(())
    })?;
    for (column, wanted) in lines.decimals.iter_mut().zip(decimals) {
        input.numbers(count, |value| {
            if *wanted {
                column.push(value);
            }
            Some(())
        })?;
    }
    Some(count)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use crate::model::{Line, LocalTime};
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn lines_survive(values in proptest::collection::vec((any::<i64>(), "\\PC{0,4}", any::<i32>()), 1..20)) {
            let mut lines = Lines::default();
            for (number, text, quantity) in &values {
                let mut line = Line { ordered_at: LocalTime(*number), quantity: *quantity, stock: *number, ..Line::default() };
                line.decimals[3] = *number;
                line.texts[8].clone_from(text);
                lines.push(&line);
            }
            let rows: Vec<u32> = (0..values.len() as u32).rev().collect();
            let mut bytes = Vec::new();
            encode(&lines, &rows, &mut bytes);
            let end = bytes.len();
            bytes.push(7);
            let mut back = Lines::default();
            prop_assert_eq!(decode(&bytes, Columns::All, &mut back), Ok(&[7u8][..]));
            prop_assert_eq!(&back, &lines.take(&rows));
            let mut some = Lines::default();
            decode(&bytes, Columns::ForCells, &mut some).unwrap();
            prop_assert!(some.texts[Column::Category3.slot()].is_empty());
            prop_assert_eq!(&some.texts[8], &back.texts[8]);
            prop_assert_eq!(decode(&bytes[..end - 1], Columns::All, &mut Lines::default()), Err(BlockFault::Damaged));
        }
    }
}
