//! What must hold of bytes that come from outside, whatever they are: one function per place where they come in, which
//! panics if it does not. libFuzzer calls them from `fuzz/fuzz_targets`, where it looks for such bytes; the tests here call
//! them with the seeds and some mutations. So they are neither part of the programs nor known to them only by a feature:
//! this crate uses what the others offer to everybody.

#![allow(clippy::expect_used, clippy::panic, reason = "a panic is how a finding is told")]

pub mod access_log;
pub mod entry;
pub mod http_head;
pub mod import_cells;
pub mod problem_body;
pub mod query_string;

use peak_alloc::PeakAlloc;

/// Tells what decoding costs at most: the targets hold it against a bound. One for the process, so who measures runs alone.
#[global_allocator]
pub(crate) static ALLOCATED: PeakAlloc = PeakAlloc;

/// A target: takes any bytes, and panics if what must hold of them does not.
pub type Target = fn(&[u8]);

/// All, by the name of their folder of seeds and of their file in `fuzz/fuzz_targets`.
pub const TARGETS: [(&str, Target); 6] = [
    ("access_log", access_log::check),
    ("entry", entry::check),
    ("http_head", http_head::check),
    ("import_cells", import_cells::check),
    ("problem_body", problem_body::check),
    ("query_string", query_string::check),
];
