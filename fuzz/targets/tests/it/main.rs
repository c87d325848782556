//! A bounded run of all targets without libFuzzer: every seed, and as many mutations of them as take a few seconds,
//! always the same.

#![allow(clippy::unwrap_used, reason = "tests")]

mod mutation;
mod seeds;

use std::sync::{Mutex, PoisonError};

use fuzz_targets::TARGETS;
use mutation::Mutator;

/// Mutated inputs of each target.
const MUTATIONS: usize = 3_000;
/// Targets measure what the process allocates, so they run one after the other.
static ALONE: Mutex<()> = Mutex::new(());

fn run(name: &str) {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let (_, target) = TARGETS.into_iter().find(|(known, _)| *known == name).unwrap();
    let seeds = seeds::of(name);
    for (file, seed) in &seeds {
        tried(target, seed, &format!("the seed {name}/{file}"));
    }
    let mut mutator = Mutator::new(seeds.into_iter().map(|(_, seed)| seed).collect());
    for number in 0..MUTATIONS {
        tried(target, &mutator.next(), &format!("mutation {number}"));
    }
}

/// Says with which bytes a target fails, and where they belong then.
fn tried(target: fuzz_targets::Target, input: &[u8], what: &str) {
    let caught = std::panic::catch_unwind(|| target(input));
    assert!(
        caught.is_ok(),
        "{what} is a finding, keep it among the seeds: {:?}",
        input.escape_ascii().to_string()
    );
}

#[test]
fn access_log() {
    run("access_log");
}

#[test]
fn entry() {
    run("entry");
}

#[test]
fn http_head() {
    run("http_head");
}

#[test]
fn import_cells() {
    run("import_cells");
}

#[test]
fn problem_body() {
    run("problem_body");
}

#[test]
fn query_string() {
    run("query_string");
}
