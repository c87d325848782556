//! Times gzip levels on what the cache stores: order lines (L1), product cells and day cells (L2) of one store.
//!
//! `compression FILE` prints a table: bytes as MessagePack and compressed, and MB/s of MessagePack both ways. Another
//! backend of flate2 is measured by naming its feature in the workspace's Cargo.toml.

#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a bench, and it measures the codec itself"
)]

use std::io::{Read as _, Write as _};
use std::path::Path;
use std::time::Instant;

use flate2::Compression;
use flate2::bufread::GzDecoder;
use flate2::write::GzEncoder;
use shared::cells::{build_store_day, partition};
use shared::entry::{OrderBlock, canonical_bytes};
use shared::model::{DayRange, Lines, Rules};
use shared::source::files::{FileSource, MappingChoice, ReadOptions};
use shared::source::{Columns, ReadRequest};

const ROUNDS: usize = 5;

fn main() {
    let Some(file) = std::env::args().skip(1).find(|argument| argument != "--bench") else {
        println!("usage: cargo bench -p shared --bench compression -- FILE");
        return;
    };
    let lines = lines_of_first_store(Path::new(&file));
    let view = lines.view();
    let rules = Rules::default();
    let (mut orders, mut products, mut days) = (Vec::new(), Vec::new(), Vec::new());
    for group in partition(&view) {
        let rows: Vec<u32> = group.rows.iter().cloned().flatten().collect();
        let cells = build_store_day(&view, &group.rows, &rules);
        orders.push(canonical_bytes(&OrderBlock(lines.take(&rows).sorted())).unwrap());
        products.push(canonical_bytes(&cells.products).unwrap());
        days.push(canonical_bytes(&cells.day).unwrap());
    }
    println!(
        "{:14}{:>6}{:>14}{:>12}{:>8}{:>12}{:>12}",
        "", "level", "MessagePack", "gzip", "ratio", "write MB/s", "read MB/s"
    );
    for (name, payloads) in [("L1 orders", &orders), ("L2 products", &products), ("L2 days", &days)] {
        for level in [1, 2, 3, 4, 6, 9] {
            measure(name, payloads, level);
        }
    }
}

fn lines_of_first_store(file: &Path) -> Lines {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let source =
            FileSource::open(file, &MappingChoice::default(), &ReadOptions::default()).await.unwrap();
        let directory = source.directory().await.unwrap();
        let store = &directory.stores()[0];
        let range = DayRange { from: store.days.first().unwrap(), to: store.days.last().unwrap() };
        let request = ReadRequest { stores: vec![store.store_id.clone()], range, columns: Columns::All };
        source.read(&request).await.unwrap()
    })
}

fn measure(name: &str, payloads: &[Vec<u8>], level: u32) {
    let raw: usize = payloads.iter().map(Vec::len).sum();
    let (mut write, mut read) = (f64::MAX, f64::MAX);
    let mut stored = 0;
    for _ in 0..ROUNDS {
        let start = Instant::now();
        let compressed: Vec<Vec<u8>> = payloads
            .iter()
            .map(|payload| {
                let mut encoder =
                    GzEncoder::new(Vec::with_capacity(payload.len() / 3), Compression::new(level));
                encoder.write_all(payload).unwrap();
                encoder.finish().unwrap()
            })
            .collect();
        write = write.min(start.elapsed().as_secs_f64());
        stored = compressed.iter().map(Vec::len).sum();
        let start = Instant::now();
        for (bytes, payload) in compressed.iter().zip(payloads) {
            let mut inflated = Vec::with_capacity(payload.len());
            GzDecoder::new(bytes.as_slice()).read_to_end(&mut inflated).unwrap();
            assert_eq!(inflated.len(), payload.len());
        }
        read = read.min(start.elapsed().as_secs_f64());
    }
    #[allow(clippy::cast_precision_loss, reason = "far below 2^52")]
    let (raw_bytes, stored_bytes) = (raw as f64, stored as f64);
    println!(
        "{name:14}{level:>6}{raw:>14}{stored:>12}{:>8.2}{:>12.0}{:>12.0}",
        raw_bytes / stored_bytes,
        raw_bytes / write / 1e6,
        raw_bytes / read / 1e6,
    );
}
