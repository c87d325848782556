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
    last: u32,
}

impl<'a> TextIndex<'a> {
    /// Forgets all texts but keeps the room.
    pub fn clear(&mut self) {
        self.table.clear();
        self.texts.clear();
        self.last = 0;
    }

    /// The number of `text`, and whether it is new.
    #[allow(clippy::cast_possible_truncation, reason = "a batch has under 2^31 lines")]
    pub fn number(&mut self, text: &'a [u8]) -> (u32, bool) {
        // Lines of one order and channel usually follow each other.
        if self.texts.get(self.last as usize).is_some_and(|last| *last == text) {
            return (self.last, false);
        }
        let hasher = FixedState::with_seed(0);
        let texts = &mut self.texts;
        let entry = self.table.entry(
            hasher.hash_one(text),
            |number| texts[*number as usize] == text,
            |number| hasher.hash_one(texts[*number as usize]),
        );
        let (number, new) = match entry {
            Entry::Occupied(slot) => (*slot.get(), false),
            Entry::Vacant(slot) => {
                let number = texts.len() as u32;
                slot.insert(number);
                (number, true)
            }
        };
        if new {
            self.texts.push(text);
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
