//! What is written reads back the same.

use proptest::prelude::*;
use shared::model::{ABSENT, Column, Line, LocalTime};
use shared::source::files::{CsvWriter, ParquetWriter};

use super::{line, lines, read};

/// A line as reading makes them: texts without blanks around, amounts whose products fit.
fn any_line() -> impl Strategy<Value = Line> {
    let text = "[a片\",\n0-9]{0,5}".prop_map(|text| text.trim().to_owned());
    let money = prop_oneof![Just(0), -5_000_000i64..90_000_000, Just(i64::MAX / 4_000)];
    (
        proptest::collection::vec(text, 10),
        0i64..7_258_118_400_000_000,
        -9i32..2000,
        proptest::collection::vec(money, 21),
        proptest::option::of(-5i64..100_000),
        any::<bool>(),
    )
        .prop_map(|(texts, time, quantity, decimals, stock, far)| {
            let mut line = Line {
                texts: texts.try_into().unwrap(),
                ordered_at: LocalTime(time),
                quantity,
                decimals: decimals.try_into().unwrap(),
                stock: stock.unwrap_or(ABSENT),
            };
            line.texts[Column::OrderId.slot()].push('o');
            line.texts[Column::StoreId.slot()].push('s');
            if far {
                line.decimals[Column::DistanceM.slot()] = ABSENT;
            }
            line
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]
    #[test]
    fn what_is_written_reads_back_the_same(all in proptest::collection::vec(any_line(), 1..30)) {
        let folder = tempfile::tempdir().unwrap();
        let all = lines(&all);
        let path = folder.path().join("a.csv");
        let mut writer = CsvWriter::create(&path).unwrap();
        writer.write(&all).unwrap();
        writer.finish().unwrap();
        let (back, rejects, _) = read(&path);
        prop_assert_eq!(&back, &all);
        prop_assert!(rejects.is_empty());

        let path = folder.path().join("a.parquet");
        let mut writer = ParquetWriter::create_wide(&path).unwrap();
        writer.write(&all).unwrap();
        writer.write(&all.take(&[0])).unwrap();
        writer.finish().unwrap();
        let (back, rejects, _) = read(&path);
        let mut twice = all.clone();
        twice.append(&all.take(&[0]));
        prop_assert_eq!(&back, &twice);
        prop_assert!(rejects.is_empty());
    }
}

#[test]
fn amounts_beyond_18_digits_need_the_wide_form() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.parquet");
    let mut one = line("s", "o", "2026-03-01", "p");
    one.decimals[Column::Cost.slot()] = 1_000_000_000_000_000_000;
    let mut writer = ParquetWriter::create(&path).unwrap();
    let error = writer.write(&lines(&[one])).unwrap_err().to_string();
    assert!(error.contains("19 digits"), "{error}");
}
