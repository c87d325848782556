//! Lines per second of the access-log reader, with and without making questions of them.
//!
//! `cargo bench -p warmer --bench log_reader [-- FILE]`: without a file, a million lines as a gateway writes them.
#![allow(clippy::unwrap_used, reason = "a bench that cannot run has no result")]

use std::time::Instant;

use shared::access_log::{Event, Outcome, Request, line};
use shared::model::Day;
use warmer::log_reader::{LogReader, ReaderSettings};

const LINES: usize = 1_000_000;
const POLL_BYTES: usize = 8 << 20;
const ROUNDS: usize = 3;

fn main() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("access.log");
    match std::env::args().skip(1).find(|argument| !argument.starts_with("--")) {
        Some(file) => {
            std::fs::copy(file, &path).unwrap();
        }
        None => std::fs::write(&path, sample()).unwrap(),
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

fn sample() -> Vec<u8> {
    let documents = [
        ("/v1/metrics/overview", "overview"),
        ("/v1/metrics/trend", "trend"),
        ("/v1/diagnosis", "diagnosis"),
        ("/v1/metrics/products", "products"),
    ];
    let mut lines = Vec::new();
    for number in 0..LINES {
        let (path, kind) = documents[number % documents.len()];
        let stores = [format!("{}", 1000 + number % 457), format!("{}", 1000 + number % 31)];
        let mut request = Request {
            time: 1_795_243_609_123,
            request_id: Some(format!("5f0c8c1e-8d9a-4d5c-9e0b-{number:012}")),
            token: Some("ba7816bf8f01".to_owned()),
            method: "GET".into(),
            kind: Some(kind),
            last_day: Some(Day(20_000)),
            status: 200,
            outcome: Outcome::L3,
            bytes: 1234,
            duration_us: Some(number as u64 % 5000),
            instance: Some("127.0.0.1:8080".to_owned()),
            ..Request::default()
        };
        request.set_target(path, &format!("stores={}&from=2026-03-01&to=2026-03-07", stores.join(",")));
        request.set_stores(&stores);
        line::write(&Event::Request(request), &mut lines).unwrap();
    }
    lines
}
