//! Bytes into lines. Pure.

use memchr::memchr;

/// What became of some bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Taken {
    /// Bytes that need not be seen again.
    pub(super) bytes: usize,
    /// Lines over the limit that began here.
    pub(super) too_long: u64,
    /// Whether the bytes end within a line that is too long.
    pub(super) skipping: bool,
}

/// Gives each complete line, without its end, with its place, to `line`. What follows the last end is left, unless it is
/// longer than `max_line` already. `skipping`: whether the bytes begin within a line that is too long.
pub(super) fn split(
    bytes: &[u8],
    skipping: bool,
    max_line: usize,
    mut line: impl FnMut(usize, &[u8]),
) -> Taken {
    let mut taken = Taken { skipping, ..Taken::default() };
    while let Some(length) = memchr(b'\n', &bytes[taken.bytes..]) {
        let start = taken.bytes;
        taken.bytes += length + 1;
        if taken.skipping {
            taken.skipping = false;
        } else if length > max_line {
            taken.too_long += 1;
        } else {
            line(start, &bytes[start..start + length]);
        }
    }
    if taken.skipping {
        taken.bytes = bytes.len();
    } else if bytes.len() - taken.bytes > max_line {
        taken.too_long += 1;
        taken.skipping = true;
        taken.bytes = bytes.len();
    }
    taken
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Lines and the number of those too long, when the bytes come in blocks of `block`.
    fn lines(text: &[u8], block: usize, max_line: usize) -> (Vec<Vec<u8>>, u64) {
        let (mut at, mut skipping, mut lines, mut too_long) = (0, false, Vec::new(), 0);
        loop {
            let end = (at + block).min(text.len());
            let taken = split(&text[at..end], skipping, max_line, |_, line| lines.push(line.to_vec()));
            too_long += taken.too_long;
            skipping = taken.skipping;
            if taken.bytes == 0 {
                return (lines, too_long);
            }
            at += taken.bytes;
        }
    }

    #[test]
    fn the_last_line_waits_and_long_ones_are_skipped() {
        let (found, too_long) = lines(b"one\n\ntoo long\ntwo\nthr", 100, 4);
        assert_eq!((found, too_long), (vec![b"one".to_vec(), vec![], b"two".to_vec()], 1));
        assert_eq!(split(b"abcde", false, 4, |_, _| ()), Taken { bytes: 5, too_long: 1, skipping: true });
        assert_eq!(split(b"abcd", false, 4, |_, _| ()), Taken::default());
    }

    proptest! {
        #[test]
        fn blocks_change_nothing(text in "[ab\n]{0,60}", max_line in 1usize..6, more in 0usize..9) {
            let whole: Vec<&str> = text.split_inclusive('\n').filter(|line| line.ends_with('\n')).collect();
            let fit = |line: &&&str| line.len() - 1 <= max_line;
            let expected: Vec<Vec<u8>> =
                whole.iter().filter(fit).map(|line| line.trim_end_matches('\n').into()).collect();
            // A block must hold a line of any length that is taken, and its end.
            let (found, too_long) = lines(text.as_bytes(), max_line + 1 + more, max_line);
            prop_assert_eq!(found, expected);
            let rest = text.rsplit('\n').next().unwrap_or_default().len();
            prop_assert_eq!(too_long as usize, whole.iter().filter(|line| !fit(line)).count() + usize::from(rest > max_line));
        }
    }
}
