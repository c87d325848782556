//! The hot paths, one at a time, for callgrind to count their instructions: `scripts/bench-instructions` runs it. Without a
//! name it lists them, each with how many times it is walked; with one it walks that path in [`measured`], which is all that
//! callgrind looks at. Inputs are made from a seed, so the same build counts the same.
#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "a measurement fails by a panic")]

mod near;
mod paths;
mod shop;

use std::process::ExitCode;

/// Walks a path so many times.
type Walk = Box<dyn FnMut(u32)>;

/// A path: its name, how many times it is walked, and what makes its inputs ready. Short ones are walked more often, so that
/// what an allocator or a cache does now and then is spread.
type Path = (&'static str, u32, fn() -> Walk);

const PATHS: [Path; 16] = [
    ("query.read", 200, paths::read_query),
    ("query.resolve", 200, paths::resolve_query),
    ("keys.cells", 20, paths::keys_of_cells),
    ("keys.answer", 200, paths::keys_of_answer),
    ("near.hit", 200, near::hit),
    ("near.hit_logged", 200, near::hit_logged),
    ("entry.day_cell", 50, paths::decode_day_cell),
    ("entry.product_cell", 5, paths::decode_product_cell),
    ("entry.partial", 5, paths::decode_partial),
    ("entry.encode", 2, paths::encode_cells),
    ("compose.overview", 2, paths::compose_overview),
    ("compose.products", 2, paths::compose_products),
    ("compose.diagnosis", 2, paths::compose_diagnosis),
    ("compose.merge", 2, paths::merge_diagnosis),
    ("compose.body", 20, paths::write_body),
    ("cells.build", 2, paths::build_cells),
];

/// What callgrind counts: from the first instruction of this function to its last.
#[inline(never)]
fn measured(walk: &mut Walk, times: u32) {
    walk(times);
}

fn main() -> ExitCode {
    let Some(name) = std::env::args().nth(1) else {
        for (name, times, _) in PATHS {
            println!("{name} {times}");
        }
        return ExitCode::SUCCESS;
    };
    let Some((_, times, ready)) = PATHS.into_iter().find(|(path, ..)| *path == name) else {
        eprintln!("error: {name} is no path; without a name they are listed");
        return ExitCode::from(64);
    };
    let mut walk = ready();
    // What is done once in a process, such as asking which instructions the processor has, is no part of a path.
    walk(1);
    measured(&mut walk, times);
    ExitCode::SUCCESS
}
