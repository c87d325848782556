//! Heat on one core: time to record and rank 1,000,000 lines, and memory for 10,000,000 distinct questions.
//! Prints one JSON object.
#![allow(missing_docs, clippy::unwrap_used, clippy::cast_precision_loss, reason = "a bench")]

use std::time::Instant;

use warmer::heat::{HALF_LIFE_MS, Heat};

const CAPACITY: usize = 100_000;

fn main() {
    // Question numbers whose popularity falls as 1 ÷ rank, from a generator of fixed seed.
    let mut random = 1_u64;
    let mut number = || {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        random
    };
    let questions: Vec<String> = (0..1_000_000)
        .map(|_| {
            let rank = (1e6_f64.ln() * (number() >> 11) as f64 / (1_u64 << 53) as f64).exp();
            format!("/v1/metrics/overview?stores={}&days=7", rank.floor())
        })
        .collect();
    let start = Instant::now();
    let mut heat = Heat::new(HALF_LIFE_MS, CAPACITY);
    for (at, question) in questions.iter().enumerate() {
        heat.record(question, 1_700_000_000_000 + at as u64 * 100, 1.0);
    }
    let ranking = heat.ranking(1_700_100_000_000, 1000);
    let seconds = start.elapsed().as_secs_f64();
    assert_eq!(ranking.len(), 1000);
    let before = resident();
    let mut heat = Heat::new(HALF_LIFE_MS, CAPACITY);
    for at in 0..10_000_000_u64 {
        heat.record(&format!("/v1/metrics/overview?stores={at}&days=7"), 1_700_000_000_000 + at, 1.0);
    }
    let bytes = resident().saturating_sub(before);
    println!(r#"{{"record_and_rank_seconds":{seconds},"entries":{},"resident_bytes":{bytes}}}"#, heat.len());
}

fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
}
