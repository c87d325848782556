//! Lines per second of the access-log reader, with and without making questions of them.
//!
//! `cargo bench -p warmer --bench log_reader [-- FILE]`: without a file, a million lines as a gateway writes them.
#![allow(
    clippy::unwrap_used,
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_sign_loss,
    dead_code,
    reason = "a bench that cannot run has no result, and uses a part of the support"
)]

use std::time::Instant;

use shared::access_log::Event;
use warmer::log_reader::{LogReader, ReaderSettings};

#[path = "support/sample.rs"]
mod sample;

const LINES: usize = 1_000_000;
const POLL_BYTES: usize = 8 << 20;
const ROUNDS: usize = 3;

fn main() {
    // The tests' runner builds and starts benches, too.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("access.log");
    match std::env::args().skip(1).find(|argument| !argument.starts_with("--")) {
        Some(file) => {
            std::fs::copy(file, &path).unwrap();
        }
        None => std::fs::write(&path, sample::sample(LINES)).unwrap(),
    }
    let bytes = std::fs::metadata(&path).unwrap().len();
    for (with_questions, _) in
        [false, true].into_iter().flat_map(|with| (0..ROUNDS).map(move |round| (with, round)))
    {
        let patterns = vec![path.to_str().unwrap().to_owned()];
        let mut reader = LogReader::new(ReaderSettings::new(patterns)).unwrap();
        let (mut lines, mut questions) = (0, 0);
        let start = Instant::now();
        loop {
            let batch = reader.poll(POLL_BYTES, i64::MAX);
            lines += batch.counts.lines;
            if with_questions {
                questions += batch.events.iter().filter(|event| is_question(event)).count();
            }
            if !batch.more {
                break;
            }
        }
        println!(
            "{lines} lines, {bytes} bytes, {questions} questions: {:.3} s",
            start.elapsed().as_secs_f64()
        );
    }
}

fn is_question(event: &Event) -> bool {
    matches!(event, Event::Request(request) if request.question().is_ok())
}
