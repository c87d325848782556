//! What is accepted, what is rejected and why, in every format.

use std::path::Path;
use std::str::FromStr as _;
use std::sync::Arc;

use arrow_array::types::{Decimal256Type, Int8Type};
use arrow_array::{
    ArrayRef, ArrowPrimitiveType, Date32Array, Decimal128Array, Decimal256Array, DictionaryArray,
    Float32Array, Float64Array, Int16Array, Int64Array, LargeStringArray, RecordBatch, StringArray,
    StringViewArray, TimestampMillisecondArray, TimestampNanosecondArray, UInt64Array,
};
use parquet::arrow::ArrowWriter;
use serde_json::Value;
use shared::model::{ABSENT, Column};
use shared::source::SourceErrorKind;
use shared::source::files::{Encoding, Format, MappingChoice, OrderFile, ReadOptions, Reject, RejectReason};

use super::{data, open_error, read, shown};

#[test]
fn every_odd_row_has_its_outcome() {
    let expected: Value =
        serde_json::from_slice(&std::fs::read(data("odd-rows.expected.json")).unwrap()).unwrap();
    let (lines, rejects, summary) = read(&data("odd-rows.csv"));
    assert_eq!(expected["read"], summary.read);
    assert_eq!(expected["accepted"], summary.accepted);
    assert_eq!(expected["rejected"], summary.rejected_total());
    for (reason, count) in &summary.rejected {
        assert_eq!(expected["rejected_by_reason"][reason.as_str()], *count, "{reason}");
    }
    assert_eq!(summary.left_out, ["收货地址"]);
    assert_eq!(summary.store_days.stores().collect::<Vec<_>>(), ["D1", "D2", "样例店"]);
    let (mut accepted, mut rejected) = (0..lines.len(), rejects.iter());
    for row in expected["rows"].as_array().unwrap() {
        if row["result"] == "accept" {
            let line = lines.line(accepted.next().unwrap());
            assert_eq!(shown(&line), row["values"], "line {}", row["line"]);
        } else {
            let reject = rejected.next().unwrap();
            assert_eq!(row["line"], reject.line);
            assert_eq!(row["column"].as_str(), reject.column.map(Column::name), "line {}", reject.line);
            assert_eq!(row["reason"], reject.reason.as_str(), "line {}", reject.line);
            if let Some(value) = row.get("value") {
                assert_eq!(value, &reject.value, "line {}", reject.line);
            }
        }
    }
    assert_eq!((accepted.next(), rejected.next()), (None, None));
}

#[test]
fn a_sheet_with_a_title_numbers_dates_and_a_total() {
    let (lines, rejects, summary) = read(&data("sheet.xlsx"));
    assert_eq!(summary.format, Format::Xlsx);
    assert_eq!(summary.sheets_left_out, ["说明"]);
    assert_eq!(summary.left_out, ["收货地址"]);
    assert_eq!((summary.read, summary.accepted), (6, 2));
    let first = lines.line(0);
    assert_eq!(first.text(Column::OrderId), "9001");
    assert_eq!(first.text(Column::Barcode), "6901234567890");
    assert_eq!(first.ordered_at.to_string(), "2026-03-01T23:59:59");
    assert_eq!(first.money(Column::PaidPrice).0, 5_528_562);
    assert_eq!(first.money(Column::GrossProfit).0, 2 * 5_528_562 - 8_000_000);
    let second = lines.line(1);
    assert_eq!((second.quantity, second.stock), (1, ABSENT));
    assert_eq!(second.ordered_at.to_string(), "2026-03-01T00:00:00");
    assert_eq!(
        told(&rejects),
        [
            (6, "quantity", "not_integer", "1.5"),
            (7, "ordered_at", "bad_time", "46082.5"),
            (8, "", "field_count", "14 fields for 13 headings"),
            (9, "store_id", "missing", ""),
        ]
    );
}

/// Line, column, reason and value of each reject.
fn told(rejects: &[Reject]) -> Vec<(u64, &str, &str, &str)> {
    rejects
        .iter()
        .map(|r| (r.line, r.column.map_or("", Column::name), r.reason.as_str(), r.value.as_str()))
        .collect()
}

#[test]
fn a_nul_in_a_text_costs_its_row() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.csv");
    let rows = [
        "order_id,store_id,store_name,ordered_at,product_name,cost,note",
        "1,s,n,2026-03-01,p,1,\0",
        "\0,s,n,2026-03-01,p,1,",
        "3,\0,n,2026-03-01,p,1,",
        // The first fault counts, in the order of the columns.
        "4,s,n,yesterday,\0,x,",
        "5,s, a\0 ,yesterday,p,1,",
        "6,s,n,2026-03-01,\"a\0b\nc\",x,",
        // Elsewhere it is what it is: no time, no number.
        "7,s,n,2026-03-01\0,p,1,",
        "8,s,n,2026-03-01,p,1\0,",
        "9,s,n,2026-03-01,p,1,",
    ];
    std::fs::write(&path, rows.join("\n")).unwrap();
    let (lines, rejects, summary) = read(&path);
    assert_eq!(
        told(&rejects),
        [
            (3, "order_id", "bad_text", "\0"),
            (4, "store_id", "bad_text", "\0"),
            (5, "ordered_at", "bad_time", "yesterday"),
            (6, "store_name", "bad_text", "a\0"),
            (7, "product_name", "bad_text", "a\0b\nc"),
            (9, "ordered_at", "bad_time", "2026-03-01\0"),
            (10, "cost", "bad_number", "1\0"),
        ]
    );
    assert_eq!(summary.rejected[&RejectReason::BadText], 4);
    let orders: Vec<&str> = (0..lines.len()).map(|row| lines.text(Column::OrderId, row)).collect();
    assert_eq!(orders, ["1", "9"], "a column that is left out may hold anything");
}

#[test]
fn a_nul_in_a_text_of_parquet_costs_its_row() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.parquet");
    let dictionary: DictionaryArray<Int8Type> =
        [Some("饿了么"), Some("饿了么"), Some("饿\0么")].into_iter().collect();
    let days: ArrayRef = Arc::new(Date32Array::from(vec![20_000; 3]));
    write_parquet(
        &path,
        vec![
            ("order_id", Arc::new(Int64Array::from(vec![1, 2, 3]))),
            ("store_id", Arc::new(StringArray::from(vec!["s", "s\0", "s"]))),
            ("ordered_at", days),
            ("channel", Arc::new(dictionary)),
        ],
    );
    let (lines, rejects, _) = read(&path);
    assert_eq!(told(&rejects), [(2, "store_id", "bad_text", "s\0"), (3, "channel", "bad_text", "饿\0么")]);
    assert_eq!((lines.len(), lines.text(Column::OrderId, 0)), (1, "1"));
}

#[test]
fn gb18030_with_the_other_headings() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.csv");
    let text = "销量,日期,订单ID,门店名称,成本,商品采购成本,实收价格\r\n3,2026/3/1 9:05,1,街口店,5,,2.5\r\n,2026/3/1,2,街口店,5,4,\r\n";
    std::fs::write(&path, encoding_rs::GB18030.encode(text).0).unwrap();
    let (lines, rejects, summary) = read(&path);
    assert!(matches!(summary.format, Format::Csv(Encoding::Gb18030 { .. })));
    assert!(rejects.is_empty() && summary.left_out.is_empty());
    let (first, second) = (lines.line(0), lines.line(1));
    assert_eq!((first.text(Column::StoreId), first.text(Column::StoreName)), ("街口店", "街口店"));
    assert_eq!((first.quantity, first.money(Column::Cost).0), (3, 5_000_000));
    assert_eq!(first.money(Column::GrossProfit).0, 2_500_000);
    assert_eq!((second.quantity, second.money(Column::GrossProfit).0), (1, -4_000_000));
}

fn write_parquet(path: &Path, columns: Vec<(&str, ArrayRef)>) {
    let batch =
        RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(n, c)| (n, c, true))).unwrap();
    let file = std::fs::File::create(path).unwrap();
    let mut writer = ArrowWriter::try_new(file, batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
}

/// A value of a 256-bit decimal.
type Decimal256 = <Decimal256Type as ArrowPrimitiveType>::Native;

#[test]
fn parquet_of_every_type() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.parquet");
    let dictionary: DictionaryArray<Int8Type> = [Some("饿了么"), None].into_iter().collect();
    let decimal =
        Decimal128Array::from(vec![Some(123_456_785), None]).with_precision_and_scale(18, 8).unwrap();
    let wide = Decimal256Array::from(vec![Decimal256::from_str("250").ok(), None]);
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("order_id", Arc::new(Int64Array::from(vec![6_901_234_567_890, 7]))),
        ("store_id", Arc::new(LargeStringArray::from(vec![Some("s"), None]))),
        ("store_name", Arc::new(StringViewArray::from(vec!["n", "n"]))),
        ("ordered_at", Arc::new(TimestampNanosecondArray::from(vec![1_000_000_001_999, 0]))),
        ("channel", Arc::new(dictionary)),
        ("barcode", Arc::new(Float64Array::from(vec![6_901_234_567_890.0, f64::NAN]))),
        ("quantity", Arc::new(Int16Array::from(vec![Some(-2), None]))),
        ("list_price", Arc::new(Float32Array::from(vec![0.1, f32::INFINITY]))),
        ("cost", Arc::new(decimal)),
        ("rebate", Arc::new(wide.with_precision_and_scale(40, 2).unwrap())),
        ("stock", Arc::new(UInt64Array::from(vec![3, u64::MAX]))),
        ("address", Arc::new(StringArray::from(vec!["secret", "secret"]))),
    ];
    write_parquet(&path, columns);
    let (lines, rejects, summary) = read(&path);
    assert_eq!(summary.left_out, ["address"]);
    let line = lines.line(0);
    assert_eq!(line.text(Column::OrderId), "6901234567890");
    assert_eq!(line.text(Column::Barcode), "6901234567890");
    assert_eq!(line.text(Column::Channel), "饿了么");
    assert_eq!(line.ordered_at.0, 1_000_000_001);
    assert_eq!((line.quantity, line.stock), (-2, 3));
    assert_eq!(line.money(Column::ListPrice).0, 100_000);
    assert_eq!(line.money(Column::Cost).0, 1_234_568);
    assert_eq!(line.money(Column::Rebate).0, 2_500_000);
    assert_eq!(rejects.len(), 1);
    assert_eq!((rejects[0].line, rejects[0].column), (2, Some(Column::ListPrice)));
    assert_eq!((rejects[0].reason.as_str(), rejects[0].value.as_str()), ("bad_number", "inf"));
}

#[test]
fn parquet_types_that_do_not_fit_are_refused_with_a_remedy() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.parquet");
    let ids: ArrayRef = Arc::new(StringArray::from(vec!["1"]));
    let zoned: ArrayRef = Arc::new(TimestampMillisecondArray::from(vec![0]).with_timezone("UTC"));
    write_parquet(&path, vec![("order_id", ids.clone()), ("store_id", ids.clone()), ("ordered_at", zoned)]);
    let error = OrderFile::open(&path, &MappingChoice::Auto, &ReadOptions::default()).unwrap_err();
    assert_eq!(error.kind(), SourceErrorKind::Schema);
    let text = error.to_string();
    assert!(text.contains("ordered_at") && text.contains("drop the zone"), "{text}");
    let days: ArrayRef = Arc::new(Date32Array::from(vec![20_000]));
    let columns =
        vec![("order_id", ids.clone()), ("store_id", ids), ("ordered_at", days.clone()), ("cost", days)];
    write_parquet(&path, columns);
    assert!(open_error(&path).contains("column cost of"));
}

#[test]
fn files_that_cannot_be_read_say_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        open_error(&path)
    };
    assert!(file("a.csv", b"order_id,store_id,when\n1,2,3\n").contains("no heading row with order_id"));
    assert!(file("empty.csv", b"").contains("holds nothing"));
    assert!(file("bad.csv", b"order_id,store_id,ordered_at\n1,2,\xff\xff\n").contains("byte offset 33"));
    assert!(file("a.xlsx", b"order_id").contains("not an XLSX workbook"));
    assert!(file("b.xlsx", b"PK\x03\x04 cut off").contains("as an XLSX workbook"));
    assert!(file("old.xls", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1").contains("save it as .xlsx"));
    assert!(file("a.parquet", b"PAR1 cut off").contains("as Parquet"));
    assert!(file("b.parquet", b"order_id").contains("not a Parquet file"));
    assert!(open_error(folder.path()).contains("not a regular file"));
    assert!(open_error(&folder.path().join("nowhere.csv")).contains("check the path"));
    let small = ReadOptions { xlsx_limit: 100, ..ReadOptions::default() };
    let error = OrderFile::open(&data("sheet.xlsx"), &MappingChoice::Auto, &small).unwrap_err().to_string();
    assert!(error.contains("allowed for XLSX") && error.contains("CSV"), "{error}");
}

#[test]
fn an_own_mapping_reads_other_headings() {
    let folder = tempfile::tempdir().unwrap();
    let (mapping, path) = (folder.path().join("own.toml"), folder.path().join("a.csv"));
    std::fs::write(
        &mapping,
        "order_id = 'No'\nstore_name = 'Shop'\nordered_at = ['Paid', 'Made']\ncost = 'EK'\n",
    )
    .unwrap();
    std::fs::write(&path, "Made,Paid,Shop,No,EK,Name\n2026-03-01,,S,1,2.5,x\n2026-03-01,2026-03-02,S,2,,\n")
        .unwrap();
    let mut file = OrderFile::open(&path, &MappingChoice::File(mapping), &ReadOptions::default()).unwrap();
    let batch = file.next_batch().unwrap().unwrap();
    assert_eq!(batch.lines.line(0).money(Column::Cost).0, 2_500_000);
    assert_eq!(batch.lines.line(1).ordered_at.to_string(), "2026-03-02T00:00:00");
    assert_eq!(file.summary().left_out, ["Name"]);
}
