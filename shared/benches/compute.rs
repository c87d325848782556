//! Times the computing parts on a Parquet file of order lines; `scripts/bench-compute` compares them with DuckDB.
//!
//! `compute FILE [--rounds N] [--sums-out FOLDER]` prints one JSON line: seconds of each round for building all cells
//! from Arrow columns in memory, and of the diagnosis from cells and from partials.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a bench"
)]

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use arrow_array::cast::AsArray;
use arrow_array::types::{Decimal128Type, Int32Type, Int64Type, TimestampMicrosecondType};
use arrow_array::{ArrayRef, Int32Array, Int64Array, RecordBatch, StringArray};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use shared::answers::{Part, StoreData};
use shared::cache::levels::VersionedDay;
use shared::cells::{BuiltDay, build_cells};
use shared::model::column::{DECIMALS, TEXTS};
use shared::model::{
    ABSENT, Ask, Column, Directory, Document, Kind, LinesView, Query, Rules, StoreInfo, Texts,
};

/// Arrow columns in memory: text ids, times and money as 64-bit integers, as DuckDB gets them too.
struct Columns {
    texts: [StringArray; TEXTS],
    ordered_at: Int64Array,
    quantity: Int32Array,
    decimals: [Int64Array; DECIMALS],
    stock: Int64Array,
}

fn load(file: &Path) -> Columns {
    let builder = ParquetRecordBatchReaderBuilder::try_new(File::open(file).unwrap()).unwrap();
    let rows = usize::try_from(builder.metadata().file_metadata().num_rows()).unwrap();
    let batches: Vec<RecordBatch> =
        builder.with_batch_size(rows).build().unwrap().map(Result::unwrap).collect();
    assert_eq!(batches.len(), 1, "the file is read as one batch");
    let column = |column: Column| -> ArrayRef { batches[0].column_by_name(column.name()).unwrap().clone() };
    let of = |kind: Kind| Column::ALL.into_iter().filter(move |column| column.kind() == kind);
    let texts: Vec<StringArray> = of(Kind::Text).map(|c| column(c).as_string::<i32>().clone()).collect();
    let micro = |array: ArrayRef| -> Int64Array {
        let values = array.as_primitive::<Decimal128Type>();
        values.iter().map(|value| value.map(|value| i64::try_from(value).unwrap())).collect()
    };
    let decimals: Vec<Int64Array> = of(Kind::Decimal).map(|c| micro(column(c))).collect();
    let stock: Int64Array =
        column(Column::Stock).as_primitive::<Int32Type>().iter().map(|value| value.map(i64::from)).collect();
    Columns {
        texts: texts.try_into().unwrap(),
        ordered_at: column(Column::OrderedAt)
            .as_primitive::<TimestampMicrosecondType>()
            .reinterpret_cast::<Int64Type>(),
        quantity: column(Column::Quantity).as_primitive::<Int32Type>().clone(),
        decimals: decimals.try_into().unwrap(),
        stock,
    }
}

/// Nullable integers as a column with [`ABSENT`]; part of what is timed.
fn known(array: &Int64Array) -> Vec<i64> {
    array.iter().map(|value| value.unwrap_or(ABSENT)).collect()
}

fn build(columns: &Columns, rules: &Rules) -> Vec<BuiltDay> {
    let distance = known(&columns.decimals[Column::DistanceM.slot()]);
    let stock = known(&columns.stock);
    let view = LinesView {
        texts: std::array::from_fn(|slot| {
            let array = &columns.texts[slot];
            Texts { offsets: array.value_offsets(), bytes: array.value_data() }
        }),
        ordered_at: columns.ordered_at.values(),
        quantity: columns.quantity.values(),
        decimals: std::array::from_fn(|slot| {
            if slot == Column::DistanceM.slot() { &distance[..] } else { columns.decimals[slot].values() }
        }),
        stock: &stock,
    };
    build_cells(&view, rules)
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn timed<T>(work: impl FnOnce() -> T) -> (f64, T) {
    let start = Instant::now();
    let value = work();
    (start.elapsed().as_secs_f64(), value)
}

fn main() {
    // `cargo bench` adds `--bench`.
    let mut arguments = std::env::args().skip(1).filter(|argument| argument != "--bench");
    let Some(file) = arguments.next() else {
        println!(
            "usage: cargo bench -p shared --bench compute -- FILE.parquet [--rounds N] [--sums-out FOLDER]"
        );
        return;
    };
    let (mut rounds, mut sums_out) = (5, None::<PathBuf>);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--rounds" => rounds = arguments.next().unwrap().parse().unwrap(),
            "--sums-out" => sums_out = arguments.next().map(PathBuf::from),
            other => panic!("unknown argument {other}"),
        }
    }
    rayon::ThreadPoolBuilder::new().num_threads(2).build_global().unwrap();
    let columns = load(Path::new(&file));
    let rules = Rules::default();
    let mut seconds = Vec::new();
    // The first round warms up.
    let mut built = build(&columns, &rules);
    for _ in 0..rounds {
        drop(built);
        let (time, cells) = timed(|| build(&columns, &rules));
        seconds.push(time);
        built = cells;
    }
    if let Some(folder) = &sums_out {
        write_sums(folder, &built);
    }
    let (one, partials) = diagnosis(&built, rounds);
    let rounds: Vec<String> = seconds.iter().map(|time| format!("{time:.4}")).collect();
    println!(
        "{{\"lines\":{},\"store_days\":{},\"seconds\":[{}],\"median\":{:.4},\"diagnosis_one_store_ms\":{:.3},\"diagnosis_from_partials_ms\":{:.3}}}",
        columns.ordered_at.len(),
        built.len(),
        rounds.join(","),
        median(seconds),
        one * 1000.0,
        partials * 1000.0,
    );
}

/// Seconds for the diagnosis of one store over 30 days from cells, and of all stores from partials.
fn diagnosis(built: &[BuiltDay], rounds: usize) -> (f64, f64) {
    let mut stores: Vec<(StoreInfo, StoreData)> = Vec::new();
    for days in built.chunk_by(|a, b| a.store_id == b.store_id) {
        let mut data = StoreData::default();
        for day in days {
            data.days.insert(day.date, Arc::new(day.cells.day.clone()));
            data.products.insert(day.date, Arc::new(day.cells.products.clone()));
            data.versions.insert(day.date, VersionedDay::new(day.cells.clone()).unwrap().version);
        }
        let store_id = days[0].store_id.clone();
        let info = StoreInfo {
            name: store_id.clone(),
            store_id,
            city: None,
            lines: days.iter().map(|day| day.cells.day.lines).sum(),
            days: days.iter().map(|day| day.date).collect(),
        };
        stores.push((info, data));
    }
    let directory = Directory::new(stores.iter().map(|(info, _)| info.clone()).collect());
    let ask = Ask::default_for(Document::Diagnosis);
    let all: Query = ask.resolve(&directory).unwrap();
    let one = Ask { stores: Some([stores[0].0.store_id.clone()].into()), ..ask }.resolve(&directory).unwrap();
    let json =
        |part: Part, query: &Query| serde_json::to_string(&part.finish(query, &directory)).unwrap().len();
    let mut times = (Vec::new(), Vec::new());
    let partials: Vec<Part> =
        stores.iter().map(|(info, data)| Part::of_store(&all, &info.store_id, data)).collect();
    for _ in 0..rounds * 4 {
        let (info, data) = &stores[0];
        times.0.push(timed(|| json(Part::of_store(&one, &info.store_id, data), &one)).0);
        let ready = partials.clone();
        let merge = || {
            let mut merged = Part::empty();
            for part in ready {
                merged.merge(part, &all);
            }
            json(merged, &all)
        };
        times.1.push(timed(merge).0);
    }
    (median(times.0), median(times.1))
}

/// The sums as CSV, for comparison: the formats are those of `scripts/bench/compute_duckdb.py`.
fn write_sums(folder: &Path, built: &[BuiltDay]) {
    std::fs::create_dir_all(folder).unwrap();
    let mut channels = std::io::BufWriter::new(File::create(folder.join("channels.csv")).unwrap());
    let mut products = std::io::BufWriter::new(File::create(folder.join("products.csv")).unwrap());
    for day in built {
        let place = format!("{},{}", day.store_id, day.date);
        for (channel, s) in &day.cells.day.channels {
            let d = s.high_delivery_distance;
            writeln!(
                channels,
                "{place},{channel},{},{},{},{},{},{},{},{},{},{},{},{},{},{},{},{},{},{},{},{},{}",
                s.orders,
                s.filtered_orders,
                s.units,
                s.sales.0,
                s.profit.0,
                s.gmv.0,
                s.marketing_cost.0,
                s.delivery_cost.0,
                s.net_delivery_cost.0,
                s.platform_fee.0,
                s.rebate.0,
                s.product_cost.0,
                s.consumable_cost.0,
                s.loss_orders,
                s.loss_amount.0,
                s.high_delivery_orders,
                s.high_delivery_extra.0,
                d[0],
                d[1],
                d[2],
                d[3],
            )
            .unwrap();
        }
        let cell = &day.cells.products;
        for row in &cell.rows {
            let stock = if row.stock == ABSENT { String::new() } else { row.stock.to_string() };
            writeln!(
                products,
                "{place},{},{},{},{},{},{},{},{},{},{},{stock},{},{},{}",
                cell.keys.get(row.key as usize),
                cell.channels.get(row.channel as usize),
                row.quantity,
                row.sales.0,
                row.gross_profit.0,
                row.cost.0,
                row.below_cost,
                row.severe,
                row.below_cost_loss.0,
                row.latest,
                u8::from(row.active),
                cell.names.get(row.name as usize),
                cell.categories.get(row.category as usize),
            )
            .unwrap();
        }
    }
}
