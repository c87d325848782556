//! Where a page of order lines ends.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use xxhash_rust::xxh3::Xxh3;

use crate::model::{Column, Day, Lines, LinesView, LocalTime};

/// Digits of a number that counts lines of one order.
const MAX_DIGITS: usize = 9;

/// The place of a page's last line, by what the line is and not by how many come before it: lines that come or go
/// meanwhile shift no others into or out of the next page. What it was is a hash, so that the text stays short. If the
/// very line is gone, its number among those of its order and product tells where it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cursor {
    ordered_at: i64,
    order_id: String,
    product_key: String,
    /// Hash of the whole line.
    line: u64,
    /// Lines before it of the same time, order and product.
    before: u32,
    /// Those of them that are equal to it.
    equal: u32,
}

/// A text that is not a cursor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a cursor; use the value of `next` of the page before")]
pub struct NotACursor;

impl Cursor {
    /// The place of the line at `row` of sorted lines.
    pub(super) fn of(lines: &Lines, row: usize) -> Self {
        let view = lines.view();
        let group = Group::of(&view, row);
        let before = (0..row).rev().take_while(|other| Group::of(&view, *other) == group);
        let line = hash(lines, row);
        let (mut count, mut equal) = (0, 0);
        for other in before {
            count += 1;
            equal += u32::from(hash(lines, other) == line);
        }
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Self {
            ordered_at: group.ordered_at,
            order_id: text(group.order_id),
            product_key: text(group.product_key),
            line,
            before: count,
            equal,
        }
    }

    /// The day of the line.
    #[must_use]
    pub fn day(&self) -> Day {
        LocalTime(self.ordered_at).day()
    }

    /// The first row behind it of sorted lines; all of them if there is none.
    pub(super) fn first_after(&self, lines: &Lines) -> usize {
        let view = lines.view();
        let own = Group {
            ordered_at: self.ordered_at,
            order_id: self.order_id.as_bytes(),
            product_key: self.product_key.as_bytes(),
        };
        let until = |from: usize, stop: fn(&Group<'_>, &Group<'_>) -> bool| {
            (from..lines.len()).find(|row| stop(&Group::of(&view, *row), &own)).unwrap_or(lines.len())
        };
        let start = until(0, |group, own| group >= own);
        let end = until(start, |group, own| group > own);
        // Of equal lines the one of its number, or the last if there are fewer now.
        let alike = (start..end).filter(|row| hash(lines, *row) == self.line);
        match alike.take(index(self.equal).saturating_add(1)).last() {
            Some(row) => row + 1,
            None => start.saturating_add(index(self.before)).min(end),
        }
    }
}

fn index(count: u32) -> usize {
    usize::try_from(count).unwrap_or(usize::MAX)
}

/// What lines are sorted by first, and what is not changed in a line but makes it another one.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Group<'a> {
    ordered_at: i64,
    order_id: &'a [u8],
    product_key: &'a [u8],
}

impl<'a> Group<'a> {
    fn of(view: &LinesView<'a>, row: usize) -> Self {
        Self {
            ordered_at: view.ordered_at[row],
            order_id: view.text(Column::OrderId, row),
            product_key: view.product_key(row),
        }
    }
}

/// A hash of all columns of a line: the same in every process.
fn hash(lines: &Lines, row: usize) -> u64 {
    let line = lines.line(row);
    let mut hasher = Xxh3::new();
    for text in &line.texts {
        hasher.update(&(text.len() as u64).to_le_bytes());
        hasher.update(text.as_bytes());
    }
    for number in line.decimals.into_iter().chain([line.ordered_at.0, line.quantity.into(), line.stock]) {
        hasher.update(&number.to_le_bytes());
    }
    hasher.digest()
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { ordered_at, order_id, product_key, line, before, equal } = self;
        let encoded = |text| utf8_percent_encode(text, NON_ALPHANUMERIC);
        let (order_id, product_key) = (encoded(order_id), encoded(product_key));
        write!(f, "{ordered_at}.{before}.{equal}.{line:016x}.{product_key}.{order_id}")
    }
}

impl FromStr for Cursor {
    type Err = NotACursor;
    fn from_str(text: &str) -> Result<Self, NotACursor> {
        let parts: Vec<&str> = text.splitn(6, '.').collect();
        let [ordered_at, before, equal, line, product_key, order_id] = parts[..] else {
            return Err(NotACursor);
        };
        let is_number = |text: &&str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let count = |text: &str| {
            let short = Some(text).filter(is_number).filter(|text| text.len() <= MAX_DIGITS);
            short.and_then(|text| text.parse().ok()).ok_or(NotACursor)
        };
        let decoded = |text: &str| {
            let whole = Some(text).filter(|text| !text.contains('.')).ok_or(NotACursor)?;
            percent_decode_str(whole).decode_utf8().map(Cow::into_owned).map_err(|_| NotACursor)
        };
        let is_hash = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        if line.len() != 16 || !line.bytes().all(is_hash) || !is_number(&ordered_at) {
            return Err(NotACursor);
        }
        let ordered_at = ordered_at.parse().map_err(|_| NotACursor)?;
        if !(Day::MIN..=Day::MAX).contains(&LocalTime(ordered_at).day()) {
            return Err(NotACursor);
        }
        Ok(Self {
            ordered_at,
            order_id: decoded(order_id)?,
            product_key: decoded(product_key)?,
            line: u64::from_str_radix(line, 16).map_err(|_| NotACursor)?,
            before: count(before)?,
            equal: count(equal)?,
        })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::Line;

    /// Few values, so that lines share orders and products, and some are equal.
    fn line(time: i64, order: u8, product: u8, price: i64) -> Line {
        let mut line = Line { ordered_at: LocalTime(time), ..Line::default() };
        line.texts[Column::OrderId.slot()] = format!("o{order}");
        line.texts[Column::ProductName.slot()] = format!("p{product}");
        line.decimals[Column::PaidPrice.slot()] = price;
        line
    }

    prop_compose! {
        fn any_line()(time in 0i64..2, order in 0u8..3, product in 0u8..3, price in 0i64..3) -> Line {
            line(time, order, product, price)
        }
    }

    fn sorted(lines: &[Line]) -> Lines {
        let mut all = Lines::default();
        lines.iter().for_each(|line| all.push(line));
        all.sorted()
    }

    fn rows(lines: &Lines, rows: std::ops::Range<usize>) -> Vec<Line> {
        rows.map(|row| lines.line(row)).collect()
    }

    fn times(lines: &[Line], line: &Line) -> usize {
        lines.iter().filter(|other| *other == line).count()
    }

    proptest! {
        #[test]
        fn cursors_survive(
            ordered_at in 0i64..7_000_000_000_000_000, order_id in "\\PC{0,8}", product_key in "\\PC{0,8}", line in any::<u64>(),
            before in 0u32..1_000_000_000, equal in 0u32..1_000_000_000,
        ) {
            let cursor = Cursor { ordered_at, order_id, product_key, line, before, equal };
            prop_assert_eq!(cursor.to_string().parse::<Cursor>().unwrap(), cursor);
        }

        #[test]
        fn garbage_is_no_cursor(text in "\\PC{0,20}|[0-9.]{0,60}|[0-9a-f.+%-]{0,60}") {
            if let Ok(cursor) = text.parse::<Cursor>() {
                prop_assert_eq!(cursor.to_string().parse::<Cursor>().unwrap(), cursor);
            }
        }

        /// Whatever else comes or goes: what stays is on one side of the cursor, as it was.
        #[test]
        fn lines_that_stay_are_neither_skipped_nor_repeated(
            stay in prop::collection::vec(any_line(), 1..12),
            come in prop::collection::vec(any_line(), 0..6),
            go in prop::collection::vec(any_line(), 0..6),
            at in any::<prop::sample::Index>(),
        ) {
            // Lines that are equal to others that stay can't be told apart from them.
            let other = |line: &&Line| !stay.contains(*line);
            let (come, go): (Vec<Line>, Vec<Line>) =
                (come.iter().filter(other).cloned().collect(), go.iter().filter(other).cloned().collect());
            let before = sorted(&[&stay[..], &go].concat());
            let after = sorted(&[&stay[..], &come].concat());
            let end = at.index(before.len());
            let cursor = Cursor::of(&before, end);
            let first = rows(&before, 0..end + 1);
            prop_assume!(stay.contains(&before.line(end)));
            let next = rows(&after, cursor.first_after(&after)..after.len());
            for line in &stay {
                prop_assert_eq!(times(&first, line) + times(&next, line), times(&stay, line));
            }
        }

        /// As above, when the very line that the page ended with is gone, and only others went with it that are of
        /// other products.
        #[test]
        fn the_line_of_the_cursor_may_go(
            stay in prop::collection::vec(any_line(), 1..12), gone in any_line(), with in prop::collection::vec(any_line(), 0..4),
        ) {
            let of_another = |line: &&Line| line.texts[Column::ProductName.slot()] != gone.texts[Column::ProductName.slot()];
            let stay: Vec<Line> = stay.into_iter().filter(|line| *line != gone).collect();
            let with: Vec<Line> = with.iter().filter(of_another).filter(|line| !stay.contains(line)).cloned().collect();
            let before = sorted(&[&stay[..], &with, std::slice::from_ref(&gone)].concat());
            let after = sorted(&stay);
            let end = (0..before.len()).find(|row| before.line(*row) == gone).unwrap();
            let cursor = Cursor::of(&before, end);
            let first = rows(&before, 0..end + 1);
            let next = rows(&after, cursor.first_after(&after)..after.len());
            for line in &stay {
                prop_assert_eq!(times(&first, line) + times(&next, line), times(&stay, line));
            }
        }
    }

    #[test]
    fn only_what_is_written_is_read() {
        let good = "1772841600000000.1.0.00ff00ff00ff00ff.p%201.%E5%8D%95";
        let cursor: Cursor = good.parse().unwrap();
        assert_eq!((cursor.to_string().as_str(), cursor.order_id.as_str()), (good, "单"));
        for (from, to) in [
            ("1772", "+1772"),
            ("1772", "-1772"),
            ("1772", "9991772"),
            (".1.", ".+1."),
            (".1.", ".."),
            (".1.", ".1234567890."),
            ("00ff00ff00ff00ff", "00ff00ff00ff00f"),
            ("00ff00ff00ff00ff", "+0ff00ff00ff00ff"),
            ("00ff00ff00ff00ff", "00FF00FF00FF00FF"),
            ("%E5", "%ff"),
            (".p%201", ""),
            (".p%201", ".p.1"),
        ] {
            let bad = good.replacen(from, to, 1);
            assert_eq!(bad.parse::<Cursor>(), Err(NotACursor), "{bad}");
        }
    }
}
