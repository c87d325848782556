//! Times and sizes as people read them.

use std::ops::Range;
use std::time::{Duration, UNIX_EPOCH};

use comfy_table::{CellAlignment, ContentArrangement, Table, presets};

/// A point in time, `2026-03-07T09:05:06.120Z`, from milliseconds since 1970.
#[must_use]
pub fn iso(ms: i64) -> String {
    let at = u64::try_from(ms).ok().and_then(|ms| UNIX_EPOCH.checked_add(Duration::from_millis(ms)));
    // RFC 3339 has four digits of a year.
    at.filter(|_| ms < 253_402_300_800_000)
        .map_or_else(|| format!("{ms} ms since 1970"), |at| humantime::format_rfc3339_millis(at).to_string())
}

/// How long ago, or until when, in whole units: `3m 5s ago`, `in 12s`, `now`.
#[must_use]
pub fn ago(ms: i64, now: i64) -> String {
    let apart = lasting(Duration::from_millis(now.abs_diff(ms)));
    match (now - ms).abs() / 1000 {
        0 => "now".to_owned(),
        _ if now > ms => format!("{apart} ago"),
        _ => format!("in {apart}"),
    }
}

/// A time span, its two largest units: `3m 5s`.
#[must_use]
pub fn lasting(time: Duration) -> String {
    if time < Duration::from_secs(1) {
        return format!("{}ms", time.as_millis());
    }
    let text = humantime::format_duration(Duration::from_secs(time.as_secs())).to_string();
    text.split(' ').take(2).collect::<Vec<_>>().join(" ")
}

/// Bytes: `1.2 KiB (1234 bytes)`, small ones in bytes alone.
#[must_use]
pub fn bytes(count: u64) -> String {
    if count < 1024 {
        return number(count, "byte", "bytes");
    }
    format!("{} ({count} bytes)", bytesize::ByteSize(count).display().iec())
}

/// Bytes in short: `1.2 KiB`.
#[must_use]
pub fn size(count: u64) -> String {
    bytesize::ByteSize(count).display().iec().to_string()
}

/// A number with its noun.
#[must_use]
pub fn number(count: u64, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}

/// A table without lines; the columns `numbers` lie to the right.
#[must_use]
pub(crate) fn table<const N: usize>(
    header: [&str; N],
    numbers: Range<usize>,
    rows: Vec<[String; N]>,
) -> String {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING).set_header(header);
    table.add_rows(rows);
    for column in table.column_iter_mut().skip(numbers.start).take(numbers.len()) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    unpadded(&table)
}

/// Names and what they stand for.
#[must_use]
pub(crate) fn facts(rows: Vec<(&str, String)>) -> String {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    table.add_rows(rows.into_iter().map(|(name, value)| [name.to_owned(), value]));
    unpadded(&table)
}

/// Without the blanks at the ends of lines.
fn unpadded(table: &Table) -> String {
    table.lines().map(|line| line.trim_end().to_owned()).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_sizes_read_well() {
        assert_eq!(iso(1_772_874_306_120), "2026-03-07T09:05:06.120Z");
        assert_eq!(iso(-5), "-5 ms since 1970");
        assert_eq!(iso(i64::MAX), format!("{} ms since 1970", i64::MAX));
        assert_eq!(ago(0, 185_000), "3m 5s ago");
        assert_eq!(ago(12_000, 0), "in 12s");
        assert_eq!(ago(5, 0), "now");
        assert_eq!(lasting(Duration::from_millis(90_061_001)), "1day 1h");
        assert_eq!((bytes(1), bytes(2048)), ("1 byte".to_owned(), "2.0 KiB (2048 bytes)".to_owned()));
    }
}
