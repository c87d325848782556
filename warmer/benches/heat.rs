//! What heat costs, on one thread. Each measurement is a process of its own, so that its peak of memory is its own:
//!
//! `cargo bench -p warmer --bench heat -- MEASUREMENT`, each printing one JSON object:
//! - `rank`: a million log lines read, recorded per store and per question, and ranked;
//! - `heat`: peak memory when ten million distinct questions are recorded in the default capacity;
//! - `keeper`: the same for a budget of 2,000 entries;
//! - `period`: the calls that end a period, at a hundred thousand watched keys.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_sign_loss,
    reason = "a bench that cannot run has no result"
)]

use std::path::Path;
use std::time::Instant;

use shared::access_log::Event;
use shared::answers::parameters::Asked;
use shared::config::Settings;
use shared::model::RelativeAsk;
use warmer::heat::keep::Keeper;
use warmer::heat::{HALF_LIFE_MS, Heat};
use warmer::interest::{Interest, Limits};
use warmer::log_reader::{LogReader, ReaderSettings};

#[path = "support/sample.rs"]
mod sample;
use sample::Random;

const LINES: usize = 1_000_000;
/// As the daemon has it.
const POLL_BYTES: usize = 4 << 20;
const ROUNDS: usize = 5;
const DISTINCT: u64 = 10_000_000;
const RANKED: usize = 1_000;
/// What a session's plan may hold, and what a hundred thousand watched keys need.
const BUDGET: usize = 2_000;
const LARGE_BUDGET: usize = 10_000;
const START_MS: u64 = 1_795_243_609_123;

/// As the program has it.
#[cfg(all(unix, feature = "jemalloc"))]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() {
    let measurement = std::env::args().skip(1).find(|argument| !argument.starts_with("--"));
    let result = match measurement.as_deref() {
        Some("rank") => rank(),
        Some("heat") => heat_memory(),
        Some("keeper") => keeper_memory(),
        Some("period") => period(),
        Some(other) => panic!("{other:?} is none of rank, heat, keeper, period"),
        // `cargo test --all-targets` runs it to see that it starts.
        None => return,
    };
    println!("{result}");
}

/// The settings without a file.
fn limits() -> Limits {
    let settings = Settings::load(&[], &|_| None).unwrap();
    Limits::new(&settings.heat, settings.warm.floor, settings.warm.answers)
}

/// A question's text as it is remembered.
fn question(number: u64) -> String {
    format!("overview?from=-6&to=+0&store={number}")
}

/// Seconds of the processor, of `ROUNDS` rounds each: reading alone; reading and heat; and all that the daemon learns.
fn rank() -> serde_json::Value {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("access.log");
    std::fs::write(&path, sample::sample(LINES)).unwrap();
    let (limits, now) = (limits(), START_MS + LINES as u64 * 100);
    let (mut read, mut heat, mut interest, mut distinct) = (Vec::new(), Vec::new(), Vec::new(), 0);
    for _ in 0..ROUNDS {
        read.push(timed(|| each_event(&path, |_| {})));
        heat.push(timed(|| {
            let mut stores = Heat::new(limits.half_life_ms, limits.stores);
            let mut questions = Heat::new(limits.half_life_ms, limits.questions);
            each_event(&path, |event| record(event, &mut stores, &mut questions));
            assert_eq!(stores.ranking(now, RANKED).len(), 457);
            assert_eq!(questions.ranking(now, RANKED).len(), RANKED);
            distinct = questions.len();
        }));
        interest.push(timed(|| {
            let mut interest = Interest::new(limits);
            each_event(&path, |event| {
                let Event::Request(request) = event else { return };
                interest.record(request, None, now as i64);
            });
            assert_eq!(interest.hot_stores(now, RANKED).len(), 457);
            assert_eq!(interest.hot_questions(now, RANKED).len(), RANKED);
        }));
    }
    serde_json::json!({ "lines": LINES, "questions": distinct, "read": read, "heat": heat, "interest": interest })
}

fn each_event(path: &Path, mut of: impl FnMut(&Event)) {
    let mut reader = LogReader::new(ReaderSettings::new(vec![path.to_str().unwrap().to_owned()])).unwrap();
    let (mut lines, mut more) = (0, true);
    while more {
        let batch = reader.poll(POLL_BYTES, i64::MAX);
        lines += batch.counts.lines;
        batch.events.iter().for_each(&mut of);
        more = batch.more;
    }
    assert_eq!(lines, LINES as u64);
}

fn timed(work: impl FnOnce()) -> f64 {
    let before = on_processor();
    work();
    on_processor() - before
}

/// Seconds that this thread was on a processor, as Linux tells: on a busy machine the clock counts the others, too.
fn on_processor() -> f64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    text.split_whitespace().next().unwrap().parse::<f64>().unwrap() / 1e9
}

fn record(event: &Event, stores: &mut Heat<String>, questions: &mut Heat<String>) {
    let Event::Request(request) = event else { return };
    let Ok(Asked::Document(ask)) = request.question() else { return };
    let at = request.time as u64;
    for store in request.stores.iter().flatten() {
        stores.record(store, at, 1.0);
    }
    questions.record(&RelativeAsk::new(ask, request.last_day.unwrap()).text(), at, 1.0);
}

fn heat_memory() -> serde_json::Value {
    let before = memory("VmRSS");
    let mut heat = Heat::new(HALF_LIFE_MS, limits().questions);
    for number in 0..DISTINCT {
        heat.record(&question(number), START_MS + number, 1.0);
    }
    serde_json::json!({ "distinct": DISTINCT, "kept": heat.len(), "before": before, "peak": memory("VmHWM") })
}

fn keeper_memory() -> serde_json::Value {
    let before = memory("VmRSS");
    let mut keeper = Keeper::new(BUDGET);
    for number in 0..DISTINCT {
        keeper.request(&question(number), START_MS + number);
    }
    serde_json::json!({
        "distinct": DISTINCT, "budget": BUDGET, "watched": keeper.watched(), "before": before, "peak": memory("VmHWM")
    })
}

/// Bytes, as Linux tells of this process.
fn memory(name: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with(name)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
}

fn period() -> serde_json::Value {
    let mut random = Random::new(1);
    let mut keeper = Keeper::new(LARGE_BUDGET);
    let (mut milliseconds, mut most) = (Vec::new(), 0);
    for number in 0..1_500_000_u64 {
        // Favourites, and every other time a question that never comes again.
        let key = if number % 2 == 0 { random.rank(200_000) } else { 1_000_000 + number };
        let (key, before) = (question(key), keeper.watched());
        let start = Instant::now();
        keeper.request(&key, START_MS + number * 100);
        // Only the end of a period forgets.
        if keeper.watched() < before {
            milliseconds.push(start.elapsed().as_secs_f64() * 1e3);
            most = most.max(before);
        }
    }
    serde_json::json!({ "watched_at_most": most, "watched": keeper.watched(), "milliseconds": milliseconds })
}
