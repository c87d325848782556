//! Inputs near the seeds, from a generator that always begins with the same number.

use proptest::prelude::*;
use proptest::test_runner::{RngAlgorithm, TestRng};

/// Longest input.
const MAX_BYTES: usize = 4 << 10;
/// Bytes that mean something to one of the parsers.
const TELLING: &[u8] = b"\0\r\n \"'%&+,-.:;=?/\\[]{}019aexEZ\x7f\x80\xc0\xdc\xdd\xde\xdf\xff";

pub(super) struct Mutator {
    seeds: Vec<Vec<u8>>,
    random: TestRng,
    number: usize,
}

impl Mutator {
    pub(super) fn new(seeds: Vec<Vec<u8>>) -> Self {
        Self { seeds, random: TestRng::deterministic_rng(RngAlgorithm::ChaCha), number: 0 }
    }

    fn below(&mut self, limit: usize) -> usize {
        self.random.random_range(0..limit.max(1))
    }

    /// The next input: each seed in turn, with one to four changes.
    pub(super) fn next(&mut self) -> Vec<u8> {
        let mut input = self.seeds[self.number % self.seeds.len()].clone();
        self.number += 1;
        for _ in 0..=self.below(4) {
            self.change(&mut input);
        }
        input.truncate(MAX_BYTES);
        input
    }

    fn change(&mut self, input: &mut Vec<u8>) {
        let at = self.below(input.len() + 1);
        let end = at + self.below((input.len() - at).min(16) + 1);
        match self.below(6) {
            0 => {
                let bit = 1 << self.below(8);
                input[at..].iter_mut().take(1).for_each(|byte| *byte ^= bit);
            }
            1 => {
                let byte = TELLING[self.below(TELLING.len())];
                input[at..].iter_mut().take(1).for_each(|old| *old = byte);
            }
            2 => input.insert(at, TELLING[self.below(TELLING.len())]),
            3 => drop(input.drain(at..end)),
            4 => {
                let again = input[at..end].to_vec();
                input.splice(at..at, again);
            }
            _ => {
                // What follows comes from another seed.
                let other = self.below(self.seeds.len());
                let from = self.below(self.seeds[other].len() + 1);
                input.truncate(at);
                input.extend_from_slice(&self.seeds[other][from..]);
            }
        }
    }
}
