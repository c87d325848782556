//! Numbers for texts in order of first appearance.

use std::hash::BuildHasher;

use foldhash::fast::FixedState;
use hashbrown::HashTable;
use hashbrown::hash_table::Entry;

/// Gives each distinct text a number, counted from 0 by first appearance.
#[derive(Debug, Default)]
pub struct TextIndex<'a> {
    table: HashTable<u32>,
    texts: Vec<&'a [u8]>,
    /// Of each text.
    ends: Vec<Ends>,
    last: u32,
}

/// The first and last eight bytes of a text, or four of a shorter one.
type Ends = (u64, u64);

/// A text with its two ends: keys of products and orders mostly fit into them, so that neither comparing nor hashing such
/// a text goes to where it lies.
#[derive(Clone, Copy, Debug)]
struct Text<'a> {
    ends: Ends,
    bytes: &'a [u8],
}

/// Longest text that its length and two ends say all of.
const SHORT: usize = 16;

impl<'a> Text<'a> {
    fn new(bytes: &'a [u8]) -> Self {
        let ends = match (bytes.first_chunk(), bytes.last_chunk(), bytes.first_chunk(), bytes.last_chunk()) {
            (Some(first), Some(last), ..) => (u64::from_le_bytes(*first), u64::from_le_bytes(*last)),
            (_, _, Some(first), Some(last)) => {
                (u32::from_le_bytes(*first).into(), u32::from_le_bytes(*last).into())
            }
            _ => (bytes.iter().fold(0, |all, byte| all << 8 | u64::from(*byte)), 0),
        };
        Self { ends, bytes }
    }

    fn hash(&self) -> u64 {
        let hasher = FixedState::with_seed(0);
        if self.bytes.len() <= SHORT {
            hasher.hash_one((self.ends, self.bytes.len()))
        } else {
            hasher.hash_one(self.bytes)
        }
    }
}

impl PartialEq for Text<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.ends == other.ends
            && self.bytes.len() == other.bytes.len()
            && (self.bytes.len() <= SHORT || self.bytes == other.bytes)
    }
}

impl<'a> TextIndex<'a> {
    /// With room for so many texts.
    #[must_use]
    pub fn with_capacity(texts: usize) -> Self {
        Self {
            table: HashTable::with_capacity(texts),
            texts: Vec::with_capacity(texts),
            ends: Vec::with_capacity(texts),
            last: 0,
        }
    }

    /// Forgets all texts but keeps the room.
    pub fn clear(&mut self) {
        self.table.clear();
        self.texts.clear();
        self.ends.clear();
        self.last = 0;
    }

    /// The number of `text`, and whether it is new.
    #[allow(clippy::cast_possible_truncation, reason = "a batch has under 2^31 lines")]
    pub fn number(&mut self, text: &'a [u8]) -> (u32, bool) {
        let text = Text::new(text);
        let (texts, ends) = (&self.texts, &self.ends);
        let known = |number: u32| Text { ends: ends[number as usize], bytes: texts[number as usize] };
        // Lines of one order and channel usually follow each other.
        if !texts.is_empty() && known(self.last) == text {
            return (self.last, false);
        }
        let entry =
            self.table.entry(text.hash(), |number| known(*number) == text, |number| known(*number).hash());
        let (number, new) = match entry {
            Entry::Occupied(slot) => (*slot.get(), false),
            Entry::Vacant(slot) => {
                let number = texts.len() as u32;
                slot.insert(number);
                (number, true)
            }
        };
        if new {
            self.texts.push(text.bytes);
            self.ends.push(text.ends);
        }
        self.last = number;
        (number, new)
    }

    /// Number of distinct texts.
    #[must_use]
    pub fn len(&self) -> usize {
        self.texts.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.texts.is_empty()
    }

    /// The texts by number.
    #[must_use]
    pub fn texts(&self) -> &[&'a [u8]] {
        &self.texts
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Two letters, so that texts of any length share ends, starts and lengths.
        #[test]
        fn each_distinct_text_has_one_number(texts in proptest::collection::vec("[ab]{0,20}", 0..60)) {
            let mut index = TextIndex::default();
            let mut seen: Vec<&str> = Vec::new();
            for text in &texts {
                let known = seen.iter().position(|known| known == text);
                if known.is_none() {
                    seen.push(text);
                }
                let expected = known.unwrap_or(seen.len() - 1);
                prop_assert_eq!(index.number(text.as_bytes()), (u32::try_from(expected).unwrap_or(0), known.is_none()));
            }
            prop_assert!(index.texts().iter().copied().eq(seen.iter().map(|text| text.as_bytes())));
        }

        #[test]
        fn short_texts_are_told_apart(a in proptest::collection::vec(any::<u8>(), 0..18), b in proptest::collection::vec(any::<u8>(), 0..18)) {
            prop_assert_eq!(Text::new(&a) == Text::new(&b), a == b);
            // A byte changed anywhere makes another text.
            for at in 0..a.len() {
                let mut other = a.clone();
                other[at] ^= 1;
                prop_assert!(Text::new(&a) != Text::new(&other));
            }
        }
    }
}
