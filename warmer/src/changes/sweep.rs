//! Which days are swept next: a window that goes from the newest days back to the oldest, and round again. Together the
//! windows of a round cover every day there is.

use std::collections::BTreeSet;

use shared::model::{Day, DayRange};

/// The next window, of `length` days or more, whose last day is the one before `before`; the newest one without it, or when
/// all days are through. `known` are the days with lines, and `end` is the last day that is swept at all.
///
/// A stretch without known lines takes no step of its own: it belongs to the window after it. So does everything before
/// the first known day.
pub(super) fn next_window(
    before: Option<Day>,
    end: Day,
    length: i32,
    known: &BTreeSet<Day>,
) -> Option<DayRange> {
    let first = *known.first()?;
    let newest = *known.range(..=end).next_back()?;
    let to = match before {
        Some(before) if before > first && before <= end => before.plus(-1),
        _ => end,
    };
    // From the last known day on, so that the days that are to come cost none of the length.
    let from = to.min(newest).plus(1 - length);
    let from = match known.range(..from).next_back() {
        None => Day::MIN,
        Some(older) if known.range(from..=to).next().is_none() => older.plus(1),
        Some(_) => from,
    };
    DayRange::new(from, to)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_round_covers_every_day_once(
            known in proptest::collection::btree_set(100i32..200, 1..20),
            length in 1i32..40,
            end in 90i32..220,
        ) {
            let known: BTreeSet<Day> = known.into_iter().map(Day).collect();
            let end = Day(end);
            let (mut windows, mut before) = (Vec::new(), None);
            while let Some(window) = next_window(before, end, length, &known) {
                if !windows.is_empty() && window.to == end {
                    break;
                }
                before = Some(window.from);
                windows.push(window);
                prop_assert!(windows.len() <= 120);
            }
            prop_assert_eq!(windows.is_empty(), known.first().is_none_or(|first| *first > end));
            if let (Some(first), Some(last)) = (windows.first(), windows.last()) {
                prop_assert_eq!((first.to, last.from), (end, Day::MIN));
            }
            for pair in windows.windows(2) {
                prop_assert_eq!(pair[0].from, pair[1].to.plus(1));
            }
            for window in &windows {
                let lines = known.range(window.from..=window.to).count();
                prop_assert!(lines <= usize::try_from(length).unwrap_or(0), "{window:?}: {lines}");
            }
        }
    }
}
