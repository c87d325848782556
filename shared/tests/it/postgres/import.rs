//! Imports, and reading what they wrote.

use shared::model::{Column, Day, DayRange, Lines};
use shared::source::import::ImportMode;
use shared::source::postgres::PostgresImport;
use shared::source::{Columns, SourceErrorKind};
use testkit::PostgresServer;

use super::{EVERYTHING, everything, import, of_rows, read, source};
use crate::sample;

const STORES: [&str; 4] = ["all", "a_b", "门店:1", "it's \"a/b\""];

#[tokio::test]
async fn what_is_imported_is_read() {
    let url = PostgresServer::shared().await.fresh_database().await;
    let source = source(&url);
    let lines = sample::lines(&STORES, 12, 4);
    let mut under_way = PostgresImport::begin(&source).await.unwrap();
    assert!(under_way.made_schema());
    let half = u32::try_from(lines.len() / 2).unwrap();
    under_way.write(&lines.take(&(0..half).collect::<Vec<_>>())).await.unwrap();
    under_way.write(&Lines::default()).await.unwrap();
    let rest: Vec<u32> = (half..u32::try_from(lines.len()).unwrap()).collect();
    under_way.write(&lines.take(&rest)).await.unwrap();
    let plan = under_way.plan(ImportMode::StoreDays).await.unwrap();
    assert_eq!((plan.lines_added, plan.lines_removed), (lines.len() as u64, 0));
    assert_eq!(plan.changes.len(), STORES.len() * 12);
    under_way.commit().await.unwrap();

    assert_eq!(everything(&source).await, lines.sorted());
    let directory = source.directory().await.unwrap();
    let mut sorted = STORES.to_vec();
    sorted.sort_unstable();
    assert_eq!(directory.stores().iter().map(|store| store.store_id.as_str()).collect::<Vec<_>>(), sorted);
    for store in directory.stores() {
        let own = of_rows(&lines, |line| line.text(Column::StoreId) == store.store_id);
        assert_eq!(store.lines, own.len() as u64);
        let days: Vec<Day> = store.days.within(EVERYTHING).collect();
        assert_eq!(days, (0..12).map(sample::day).collect::<Vec<_>>());
        assert_eq!(
            (store.name.as_str(), store.city.as_deref()),
            (&*format!("{} 店", store.store_id), Some("上海"))
        );
        assert_eq!(read(&source, &[&store.store_id], EVERYTHING, Columns::All).await, own.sorted());
    }
    // Both ends of a range belong to it; February and March lie in different partitions.
    let range = DayRange { from: sample::day(7), to: sample::day(9) };
    let expected = of_rows(&lines, |line| {
        range.contains(line.ordered_at.day()) && ["all", "a_b"].contains(&line.text(Column::StoreId))
    });
    assert_eq!(read(&source, &["all", "a_b"], range, Columns::All).await, expected.sorted());
    // What cells are made from, and no more.
    let narrow = read(&source, &["all", "a_b"], range, Columns::ForCells).await;
    assert_eq!(narrow.len(), expected.len());
    assert!(narrow.decimals[Column::Commission.slot()].is_empty());
    let cells = |lines: &Lines| shared::cells::build_cells(&lines.view(), &Default::default());
    assert_eq!(cells(&narrow), cells(&expected));
    assert!(read(&source, &["unknown"], EVERYTHING, Columns::All).await.is_empty());
    assert_eq!(source.rejected_rows(), 0);
}

#[tokio::test]
async fn importing_twice_changes_nothing() {
    let url = PostgresServer::shared().await.fresh_database().await;
    let source = source(&url);
    let lines = sample::lines(&STORES, 5, 3);
    import(&source, &lines, ImportMode::StoreDays).await;
    let (before, directory) = (everything(&source).await, source.directory().await.unwrap());
    for mode in [ImportMode::StoreDays, ImportMode::Orders] {
        let plan = import(&source, &lines, mode).await;
        assert_eq!((plan.lines_added, plan.lines_removed), (lines.len() as u64, lines.len() as u64));
        assert!(plan.changes.iter().all(|change| change.before == change.after));
        assert_eq!(plan.shrinking().count(), 0);
        assert_eq!(everything(&source).await, before);
        assert_eq!(source.directory().await.unwrap(), directory);
    }
}

#[tokio::test]
async fn an_import_replaces_whole_store_days_or_orders() {
    let url = PostgresServer::shared().await.fresh_database().await;
    let source = source(&url);
    let lines = sample::lines(&["a", "b"], 3, 4);
    import(&source, &lines, ImportMode::StoreDays).await;
    let in_place = |line: &shared::model::Line| {
        line.text(Column::StoreId) == "a" && line.ordered_at.day() == sample::day(1)
    };

    // One order of one store-day comes changed, and a new one.
    let mut coming = Lines::default();
    coming.push(&sample::line("a", sample::day(1), 2, 0, 77));
    coming.push(&sample::line("a", sample::day(1), 900, 0, 78));
    let replaced = of_rows(&lines, |line| in_place(line) && line.text(Column::OrderId) == "o2");
    let plan = import(&source, &coming, ImportMode::Orders).await;
    assert_eq!((plan.lines_added, plan.lines_removed), (2, replaced.len() as u64));
    let mut expected = of_rows(&lines, |line| !(in_place(line) && line.text(Column::OrderId) == "o2"));
    expected.append(&coming);
    assert_eq!(everything(&source).await, expected.sorted());

    // The same lines as a whole store-day leave only themselves.
    let before = of_rows(&expected, in_place).len() as u64;
    let plan = import(&source, &coming, ImportMode::StoreDays).await;
    assert_eq!((plan.lines_added, plan.lines_removed), (2, before));
    assert_eq!(plan.shrinking().count(), 1);
    let mut expected = of_rows(&lines, |line| !in_place(line));
    expected.append(&coming);
    assert_eq!(everything(&source).await, expected.sorted());
}

#[tokio::test]
async fn an_import_without_commit_leaves_nothing() {
    let url = PostgresServer::shared().await.fresh_database().await;
    let source = source(&url);
    let lines = sample::lines(&["a"], 2, 3);
    let mut abandoned = PostgresImport::begin(&source).await.unwrap();
    abandoned.write(&lines).await.unwrap();
    abandoned.plan(ImportMode::StoreDays).await.unwrap();
    abandoned.abandon().await.unwrap();
    // Not even the table.
    assert_eq!(source.check().await.unwrap_err().kind(), SourceErrorKind::Schema);

    import(&source, &lines, ImportMode::StoreDays).await;
    let other = sample::lines(&["a", "b"], 4, 1);
    for planned in [false, true] {
        let mut dropped = PostgresImport::begin(&source).await.unwrap();
        dropped.write(&other).await.unwrap();
        if planned {
            dropped.plan(ImportMode::StoreDays).await.unwrap();
        }
        drop(dropped);
        // The next one waits for its lock, so it begins after the end of the dropped one.
        PostgresImport::begin(&source).await.unwrap().abandon().await.unwrap();
        assert_eq!(everything(&source).await, lines.sorted());
    }
    // A commit without a plan replaces store-days.
    let mut unplanned = PostgresImport::begin(&source).await.unwrap();
    unplanned.write(&other).await.unwrap();
    unplanned.commit().await.unwrap();
    assert_eq!(everything(&source).await, other.sorted());
}

#[tokio::test]
async fn values_at_the_limits_survive() {
    let url = PostgresServer::shared().await.fresh_database().await;
    let source = source(&url);
    let mut lines = Lines::default();
    for (order, value) in (0..).zip([i64::MAX, i64::MIN + 1, 1, -1, 0, 999_999, 10_000_000_000, -9_999]) {
        let mut line = sample::line("a", sample::day(0), order, 0, order);
        // A product of price and quantity must fit, too.
        line.quantity = 1;
        line.decimals = [value; _];
        lines.push(&line);
    }
    let mut line = sample::line("a", "1999-12-31".parse().unwrap(), 100, 0, 3);
    (line.quantity, line.stock) = (i32::MIN, i64::from(i32::MAX));
    sample::set_text(&mut line, Column::ProductName, "\t'\"\\ \u{1F34E} line\nbreak\\.");
    lines.push(&line);
    let mut line = sample::line("a", sample::day(0), 101, 0, 3);
    (line.quantity, line.stock) = (i32::MAX, i64::from(i32::MIN));
    lines.push(&line);
    import(&source, &lines, ImportMode::StoreDays).await;
    let (read, expected) = (everything(&source).await, lines.sorted());
    assert_eq!(read.decimals, expected.decimals);
    assert_eq!((&read.quantity, &read.stock), (&expected.quantity, &expected.stock));
    assert_eq!(read.ordered_at, expected.ordered_at);
    // Texts come without blanks around.
    assert_eq!(read.text(Column::ProductName, 0), expected.text(Column::ProductName, 0).trim());
}
