//! Writes the seeds of the target `entry`, which nobody can write by hand: `cargo run -p fuzz-targets --example entry_seeds`,
//! from the folder of the workspace, after the layout of entries or payloads has changed.

#![allow(clippy::expect_used, reason = "whoever runs it is told where it failed")]

use std::path::Path;

use fuzz_targets::entry::header;
use shared::answers::StoreData;
use shared::cache::StoredAnswer;
use shared::cells::build_cells;
use shared::diagnosis::partial;
use shared::entry::{EntryKind, OrderBlock, canonical_bytes, encode, encode_body, gzip};
use shared::model::{ABSENT, Column, Day, DayRange, Line, Lines, LocalTime, Rules, StoreInfo};

const FOLDER: &str = "fuzz/seeds/entry";
/// 2026-03-07
const LAST_DAY: Day = Day(20_519);

fn main() {
    let lines = lines();
    let mut data = StoreData::default();
    for built in build_cells(&lines.view(), &Rules::default()) {
        data.days.insert(built.date, built.cells.day.into());
        data.products.insert(built.date, built.cells.products.into());
    }
    let (Some(day), Some(products)) = (data.days.get(&LAST_DAY), data.products.get(&LAST_DAY)) else {
        return;
    };
    let range = DayRange { from: LAST_DAY.plus(-29), to: LAST_DAY };
    let partial = partial("1001", &data.days, &data.products, range);
    let store = StoreInfo {
        store_id: "1001".to_owned(),
        name: "门店一".to_owned(),
        city: Some("A".to_owned()),
        lines: lines.len() as u64,
        days: data.days.keys().copied().collect(),
    };
    let answer = StoredAnswer { json: r#"{"stores":[]}"#.to_owned() };
    seeds("orders", EntryKind::Orders, &OrderBlock(lines));
    seeds("day-cell", EntryKind::DayCell, day);
    seeds("product-cell", EntryKind::ProductCell, products);
    seeds("partial", EntryKind::Partial, &partial);
    seeds("answer", EntryKind::Answer, &answer);
    seeds("store", EntryKind::Store, &store);
    seeds("number-of-stores", EntryKind::Store, &2u64);
    for (name, gzip) in [("e-response", false), ("e-response-gzip", true)] {
        write(
            name,
            &[b"e", encode_body(header(), br#"{"data":{}}"#, gzip).expect("encoded").as_slice()].concat(),
        );
    }
}

/// An entry, its payload, and its payload compressed.
fn seeds<T: serde::Serialize>(name: &str, kind: EntryKind, value: &T) {
    let payload = canonical_bytes(value).expect("encoded");
    let digit = [b'0' + kind as u8];
    let entry = encode(kind, header(), &payload).expect("encoded");
    write(&format!("e-{name}"), &[b"e", entry.as_slice()].concat());
    write(&format!("p-{name}"), &[b"p", digit.as_slice(), &payload].concat());
    let compressed = gzip(&payload).expect("compressed");
    write(&format!("z-{name}"), &[b"z", digit.as_slice(), &compressed].concat());
}

fn write(name: &str, bytes: &[u8]) {
    std::fs::create_dir_all(FOLDER).expect("the folder is made");
    std::fs::write(Path::new(FOLDER).join(name), bytes).expect("the seed is written");
}

/// Two products over five days, one of which runs out.
fn lines() -> Lines {
    let mut lines = Lines::default();
    for ago in (0..5).rev() {
        for (product, price) in [("a", 12_500_000), ("b", 3_000_000)] {
            let mut line = Line {
                ordered_at: LocalTime(LocalTime::midnight(LAST_DAY.plus(-ago)).0 + 32_706_000_000),
                quantity: 2,
                stock: if product == "a" { i64::from(ago) } else { ABSENT },
                ..Line::default()
            };
            for (column, text) in [
                (Column::OrderId, format!("o{ago}")),
                (Column::StoreId, "1001".to_owned()),
                (Column::Channel, "x".to_owned()),
                (Column::Barcode, product.to_owned()),
            ] {
                line.texts[column.slot()] = text;
            }
            for (column, value) in
                [(Column::PaidPrice, price), (Column::Cost, 9_000_000), (Column::DistanceM, ABSENT)]
            {
                line.decimals[column.slot()] = value;
            }
            lines.push(&line);
        }
    }
    lines
}
