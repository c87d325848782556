//! What is imported into our own table is what is read from it.

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

use super::*;
use shared::model::column::Kind;

/// Lines of any content that can be stored: three stores, ten days, values of every size.
fn any_line() -> impl Strategy<Value = Line> {
    let text = prop_oneof![Just(String::new()), "[a-c门店'\"\\\\{}%_,:/ ]{0,6}[x店]"];
    let money = prop_oneof![
        4 => -9_999i64..9_999,
        4 => (-99_999i64..99_999).prop_map(|cents| cents * 10_000),
        1 => Just(0i64),
        1 => i64::MIN / 100..i64::MAX / 100,
    ];
    let stock = prop_oneof![Just(ABSENT), any::<i32>().prop_map(i64::from)];
    (
        (0usize..3, 0i64..10 * 86_400_000_000, 0u32..20),
        proptest::collection::vec(text, 8),
        proptest::collection::vec(money, 21),
        (-50i32..50, stock, any::<bool>()),
    )
        .prop_map(|((store, at, order), texts, decimals, (quantity, stock, near))| {
            let mut line = line(["1001", "门店:1", "a'b\\"][store], &order.to_string(), "2026-02-25", "");
            line.ordered_at.0 += at;
            let mut texts = texts.into_iter();
            for column in Column::ALL.into_iter().filter(|column| column.kind() == Kind::Text) {
                if !matches!(column, Column::OrderId | Column::StoreId) {
                    line.texts[column.slot()] = texts.next().unwrap_or_default().trim().to_owned();
                }
            }
            line.decimals.copy_from_slice(&decimals);
            if near {
                line.decimals[Column::DistanceM.slot()] = ABSENT;
            }
            (line.quantity, line.stock) = (quantity, stock);
            line
        })
}

fn some_lines(count: usize) -> Vec<Line> {
    let mut runner = TestRunner::deterministic();
    (0..count).map(|_| any_line().new_tree(&mut runner).unwrap().current()).collect()
}

#[tokio::test]
async fn lines_come_back_as_they_went() {
    let (source, _client) = source().await;
    let lines = some_lines(2_000);
    let plan = import(&source, &lines, ImportMode::StoreDays).await;
    assert_eq!((plan.lines_added, plan.lines_removed), (2_000, 0));
    let back = all(&source, &["1001", "门店:1", "a'b\\"]).await;
    assert_eq!(back, sorted(&lines));
    assert_eq!(source.rejected_rows(), 0);

    // By store and day, and with the columns of cells only.
    for store in ["1001", "门店:1", "a'b\\", "nobody"] {
        let range = request(&[store], "2026-02-28", "2026-03-01", Columns::ForCells);
        let expected: Vec<Line> = lines
            .iter()
            .filter(|line| line.text(Column::StoreId) == store && range.range.contains(line.ordered_at.day()))
            .cloned()
            .collect();
        let mut expected = columns(&expected);
        for column in Column::ALL.into_iter().filter(|column| !column.needed_for_cells()) {
            match column.kind() {
                Kind::Text => expected.texts[column.slot()] = shared::model::TextColumn::default(),
                _ => expected.decimals[column.slot()].clear(),
            }
        }
        assert_eq!(source.read(&range).await.unwrap().sorted(), expected.sorted(), "{store}");
    }
}

#[tokio::test]
async fn the_columns_for_cells_make_the_same_cells() {
    let (source, _client) = source().await;
    let stores = ["s", "a_b", "it's \"a/b\""];
    let lines = crate::sample::lines(&stores, 12, 6);
    let mut importing = PostgresImport::begin(&source).await.unwrap();
    importing.write(&lines).await.unwrap();
    importing.commit().await.unwrap();
    // Both ends of the range belong to it; February and March lie in different partitions.
    let (from, to) = (crate::sample::day(7), crate::sample::day(9));
    assert_eq!((from, to), (day("2026-02-27"), day("2026-03-01")));
    let range = request(&stores[..2], "2026-02-27", "2026-03-01", Columns::ForCells);
    let expected: Vec<Line> = (0..lines.len())
        .map(|row| lines.line(row))
        .filter(|line| range.range.contains(line.ordered_at.day()))
        .filter(|line| stores[..2].contains(&line.text(Column::StoreId)))
        .collect();
    let cells = |lines: &Lines| shared::cells::build_cells(&lines.view(), &shared::model::Rules::default());
    let built = cells(&source.read(&range).await.unwrap());
    assert_eq!(built.len(), 6);
    assert_eq!(built, cells(&columns(&expected)));
}

#[tokio::test]
async fn the_directory_follows_the_lines() {
    let (source, _client) = source().await;
    let lines = some_lines(500);
    import(&source, &lines, ImportMode::StoreDays).await;
    let directory = source.directory().await.unwrap();
    assert_eq!(directory.stores().len(), 3);
    for info in directory.stores() {
        let own: Vec<&Line> =
            lines.iter().filter(|line| line.text(Column::StoreId) == info.store_id).collect();
        let latest = |column| {
            own.iter()
                .filter(|line| !line.text(column).is_empty())
                .max_by_key(|line| (line.ordered_at, std::cmp::Reverse(line.text(column))))
                .map(|line| line.text(column).to_owned())
        };
        assert_eq!(info.lines, own.len() as u64);
        assert_eq!(info.days, own.iter().map(|line| line.ordered_at.day()).collect());
        assert_eq!(info.name, latest(Column::StoreName).unwrap());
        assert_eq!(info.city, latest(Column::City));
    }
}

#[tokio::test]
async fn names_are_those_of_the_latest_line_that_has_one() {
    let (source, _client) = source().await;
    let named = |store: &str, order: &str, at: &str, name: &str, city: &str| {
        let mut line = line(store, order, at, "p");
        name.clone_into(&mut line.texts[Column::StoreName.slot()]);
        city.clone_into(&mut line.texts[Column::City.slot()]);
        line
    };
    let lines = [
        named("b", "1", "2026-03-01 08:00:00", "old", "Old"),
        named("b", "2", "2026-03-02 08:00:00", "zebra", ""),
        named("b", "3", "2026-03-02 08:00:00", "Zebra", ""),
        named("b", "4", "2026-03-05 08:00:00", "", ""),
        named("a", "1", "2026-03-01 08:00:00", "", ""),
    ];
    import(&source, &lines, ImportMode::StoreDays).await;
    let directory = source.directory().await.unwrap();
    let shown: Vec<_> = directory
        .stores()
        .iter()
        .map(|info| (info.store_id.as_str(), info.name.as_str(), info.city.as_deref(), info.lines))
        .collect();
    // By code point capitals come first, whatever the order of texts in the database.
    assert_eq!(shown, [("a", "a", None, 1), ("b", "Zebra", Some("Old"), 4)]);
    let b = directory.get("b").unwrap();
    assert_eq!((b.days.first(), b.days.last()), (Some(day("2026-03-01")), Some(day("2026-03-05"))));
}

#[tokio::test]
async fn an_empty_table_is_empty() {
    let (source, _client) = source_after(shared::source::postgres::SCHEMA, |_| {}).await;
    assert!(source.directory().await.unwrap().stores().is_empty());
    assert!(all(&source, &["1001"]).await.is_empty());
    let nobody = request(&[], "2026-03-01", "2026-03-02", Columns::All);
    assert!(source.read(&nobody).await.unwrap().is_empty());
}
