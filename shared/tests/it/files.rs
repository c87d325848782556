//! Order files, read and written, as a source and as a target of imports.

mod folder;
mod reading;
mod workbooks;
mod writing;

use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};
use shared::model::column::Kind;
use shared::model::{ABSENT, Column, Line, Lines, LocalTime, Money};
use shared::source::files::{FileSummary, MappingChoice, OrderFile, ReadOptions, Reject};

/// A file of `tests/data`.
fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(name)
}

/// Everything in a file, in batches of a few rows.
fn read(path: &Path) -> (Lines, Vec<Reject>, FileSummary) {
    let options = ReadOptions { batch_rows: 7, ..ReadOptions::default() };
    let mut file = OrderFile::open(path, &MappingChoice::Auto, &options).unwrap();
    let (mut lines, mut rejects) = (Lines::default(), Vec::new());
    while let Some(batch) = file.next_batch().unwrap() {
        assert!((1..=7).contains(&batch.len()));
        lines.append(&batch.lines);
        rejects.extend(batch.rejects);
    }
    assert_eq!(file.progress().done, file.progress().total);
    (lines, rejects, file.into_summary())
}

/// The error of opening a file.
fn open_error(path: &Path) -> String {
    OrderFile::open(path, &MappingChoice::Auto, &ReadOptions::default()).unwrap_err().to_string()
}

/// A line as the answers show it.
fn shown(line: &Line) -> Value {
    let mut values = Map::new();
    for column in Column::ALL {
        let nullable = ["store_name", "city", "store_code", "barcode", "distance_m", "stock"];
        let value = match column.kind() {
            Kind::Text => match line.text(column) {
                "" if nullable.contains(&column.name()) => Value::Null,
                text => json!(text),
            },
            Kind::Time => json!(line.ordered_at.to_string()),
            Kind::Integer if column == Column::Quantity => json!(line.quantity),
            Kind::Integer if line.stock == ABSENT => Value::Null,
            Kind::Integer => json!(line.stock),
            Kind::Decimal => match line.decimals[column.slot()] {
                ABSENT => Value::Null,
                micro => serde_json::from_str(&Money(micro).to_string()).unwrap(),
            },
        };
        values.insert(column.name().to_owned(), value);
    }
    Value::Object(values)
}

/// A plain line.
fn line(store: &str, order: &str, time: &str, product: &str) -> Line {
    let day: shared::model::Day = time[..10].parse().unwrap();
    let seconds: i64 =
        time.get(11..).unwrap_or("00:00:00").split(':').fold(0, |s, p| s * 60 + p.parse::<i64>().unwrap());
    let mut line = Line {
        ordered_at: LocalTime(LocalTime::midnight(day).0 + seconds * 1_000_000),
        quantity: 1,
        stock: ABSENT,
        ..Line::default()
    };
    line.decimals[Column::DistanceM.slot()] = ABSENT;
    for (column, text) in [(Column::StoreId, store), (Column::OrderId, order), (Column::ProductName, product)]
    {
        text.clone_into(&mut line.texts[column.slot()]);
    }
    line
}

fn lines(all: &[Line]) -> Lines {
    let mut lines = Lines::default();
    all.iter().for_each(|line| lines.push(line));
    lines
}
