//! Files as a source, and folders that imports write.

use std::path::Path;

use shared::model::{Column, Day, DayRange, Line, Lines, TextColumn};
use shared::source::files::{CsvWriter, FileSource, FolderImport, MappingChoice, ParquetWriter, ReadOptions};
use shared::source::import::{ImportMode, ImportPlan};
use shared::source::{Columns, ReadRequest};

use super::{line, lines};

const EVERYTHING: DayRange = DayRange { from: Day::MIN, to: Day::MAX };

async fn open(path: &Path) -> FileSource {
    FileSource::open(path, &MappingChoice::Auto, &ReadOptions::default()).await.unwrap()
}

async fn read(source: &FileSource, stores: &[&str], range: DayRange) -> Lines {
    let stores = stores.iter().map(|store| (*store).to_owned()).collect();
    source.read(&ReadRequest { stores, range, columns: Columns::All }).await.unwrap().sorted()
}

async fn everything(path: &Path) -> Lines {
    let source = open(path).await;
    let directory = source.directory().await.unwrap();
    let stores: Vec<&str> = directory.stores().iter().map(|store| store.store_id.as_str()).collect();
    read(&source, &stores, EVERYTHING).await
}

fn named(mut line: Line, name: &str, city: &str) -> Line {
    name.clone_into(&mut line.texts[Column::StoreName.slot()]);
    city.clone_into(&mut line.texts[Column::City.slot()]);
    line
}

fn write_csv(path: &Path, all: &[Line]) {
    let mut writer = CsvWriter::create(path).unwrap();
    writer.write(&lines(all)).unwrap();
    writer.finish().unwrap();
}

#[tokio::test]
async fn a_folder_of_files_is_found_by_store_and_day() {
    let folder = tempfile::tempdir().unwrap();
    let first = [
        named(line("b", "1", "2026-03-01 10:00:00", "p"), "Old", "X"),
        named(line("a", "1", "2026-03-01 10:00:00", "p"), "", ""),
        named(line("b", "2", "2026-03-03 10:00:00", "q"), "Zed", ""),
    ];
    let second = [
        named(line("b", "3", "2026-03-03 10:00:00", "r"), "New", ""),
        named(line("b", "4", "2026-03-02 10:00:00", "r"), "Mid", "Y"),
        named(line("b", "5", "2026-03-04 10:00:00", "r"), "", ""),
    ];
    write_csv(&folder.path().join("1.csv"), &first);
    let mut writer = ParquetWriter::create(folder.path().join("2.PARQUET")).unwrap();
    writer.write(&lines(&second)).unwrap();
    writer.finish().unwrap();
    std::fs::write(folder.path().join("~$3.xlsx"), "locked").unwrap();
    std::fs::write(folder.path().join("notes.txt"), "no orders").unwrap();

    let source = open(folder.path()).await;
    let directory = source.directory().await.unwrap();
    let shown: Vec<_> = directory
        .stores()
        .iter()
        .map(|s| {
            (s.store_id.as_str(), s.name.as_str(), s.city.as_deref(), s.lines, s.days.first(), s.days.last())
        })
        .collect();
    let day = |text: &str| text.parse::<Day>().ok();
    assert_eq!(
        shown,
        [
            ("a", "a", None, 1, day("2026-03-01"), day("2026-03-01")),
            ("b", "New", Some("Y"), 5, day("2026-03-01"), day("2026-03-04")),
        ]
    );
    assert_eq!(source.summaries().len(), 2);

    let range = DayRange { from: day("2026-03-02").unwrap(), to: day("2026-03-03").unwrap() };
    let found = read(&source, &["b", "nowhere", "b"], range).await;
    let orders: Vec<&str> = (0..found.len()).map(|row| found.text(Column::OrderId, row)).collect();
    assert_eq!(orders, ["4", "2", "3"]);
    let request = ReadRequest { stores: vec!["b".to_owned()], range, columns: Columns::ForCells };
    let some = source.read(&request).await.unwrap();
    assert_eq!(some.len(), 3);
    assert_eq!(some.texts[Column::Category3.slot()], TextColumn::default());
    assert!(some.decimals[Column::Commission.slot()].is_empty());
}

#[tokio::test]
async fn an_empty_folder_says_what_it_wants() {
    let folder = tempfile::tempdir().unwrap();
    let error =
        FileSource::open(folder.path(), &MappingChoice::Auto, &ReadOptions::default()).await.unwrap_err();
    assert!(error.to_string().contains("no .csv, .xlsx or .parquet file"), "{error}");
}

async fn import(folder: &Path, all: &[Line], mode: ImportMode) -> ImportPlan {
    let mut import = FolderImport::begin(folder).await.unwrap();
    for line in all {
        import.write(&lines(std::slice::from_ref(line))).await.unwrap();
    }
    let plan = import.plan(mode).await.unwrap();
    import.commit().await.unwrap();
    plan
}

fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[tokio::test]
async fn importing_replaces_store_days_and_twice_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let target = folder.path().join("orders");
    let old = [
        line("a", "1", "2026-03-01 10:00:00", "p"),
        line("a", "2", "2026-03-01 11:00:00", "p"),
        line("b", "3", "2026-03-01 11:00:00", "p"),
        line("a", "4", "2026-03-02 11:00:00", "p"),
    ];
    let plan = import(&target, &old, ImportMode::StoreDays).await;
    assert_eq!((plan.lines_added, plan.lines_removed, plan.changes.len()), (4, 0, 3));
    assert_eq!(everything(&target).await, lines(&old).sorted());

    let plan = import(&target, &old, ImportMode::StoreDays).await;
    assert_eq!((plan.lines_added, plan.lines_removed), (4, 4));
    assert_eq!(plan.shrinking().count(), 0);
    assert_eq!(everything(&target).await, lines(&old).sorted());

    let new = [line("a", "9", "2026-03-01 12:00:00", "p")];
    let plan = import(&target, &new, ImportMode::StoreDays).await;
    assert_eq!((plan.lines_added, plan.lines_removed), (1, 2));
    let shrinking: Vec<_> = plan.shrinking().map(|c| (c.store_id.as_str(), c.before, c.after)).collect();
    assert_eq!(shrinking, [("a", 2, 1)]);
    let expected = lines(&[new[0].clone(), old[2].clone(), old[3].clone()]);
    assert_eq!(everything(&target).await, expected.sorted());
    // One file a day, and nothing of earlier imports.
    let files = names(&target).into_iter().filter(|name| name.ends_with(".parquet")).collect::<Vec<_>>();
    assert_eq!(files, ["orders-2026-03-01-3.parquet", "orders-2026-03-02-2.parquet"]);
}

#[tokio::test]
async fn merging_replaces_order_by_order() {
    let folder = tempfile::tempdir().unwrap();
    let old = [
        line("a", "1", "2026-03-01 10:00:00", "p"),
        line("a", "1", "2026-03-01 10:00:00", "q"),
        line("a", "2", "2026-03-01 11:00:00", "p"),
        // The same id in another store and on another day is another order.
        line("b", "1", "2026-03-01 11:00:00", "p"),
        line("a", "1", "2026-03-02 11:00:00", "p"),
    ];
    import(folder.path(), &old, ImportMode::StoreDays).await;
    let new = [line("a", "1", "2026-03-01 10:00:00", "z"), line("a", "7", "2026-03-01 10:00:00", "z")];
    let plan = import(folder.path(), &new, ImportMode::Orders).await;
    assert_eq!((plan.lines_added, plan.lines_removed), (2, 2));
    assert_eq!((plan.changes.len(), plan.changes[0].before, plan.changes[0].after), (1, 3, 3));
    let mut expected = old[2..].to_vec();
    expected.extend(new);
    assert_eq!(everything(folder.path()).await, lines(&expected).sorted());
}

#[tokio::test]
async fn an_import_that_does_not_end_leaves_everything_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let old = [line("a", "1", "2026-03-01 10:00:00", "p")];
    import(folder.path(), &old, ImportMode::StoreDays).await;
    let before = names(folder.path());

    let mut dropped = FolderImport::begin(folder.path()).await.unwrap();
    dropped.write(&lines(&[line("a", "2", "2026-03-01 10:00:00", "p")])).await.unwrap();
    let busy = FolderImport::begin(folder.path()).await.unwrap_err().to_string();
    assert!(busy.contains("another import is at work"), "{busy}");
    dropped.plan(ImportMode::StoreDays).await.unwrap();
    drop(dropped);
    assert_eq!(names(folder.path()), before);

    // Killed after it wrote its files and before the list was renamed.
    std::fs::write(folder.path().join("orders-2026-03-01-2.parquet"), "PAR1 half").unwrap();
    std::fs::write(folder.path().join("hotshelf-orders.json.tmp"), "{").unwrap();
    assert_eq!(everything(folder.path()).await, lines(&old));
    FolderImport::begin(folder.path()).await.unwrap().abandon().await.unwrap();
    assert_eq!(names(folder.path()), before);
}

#[tokio::test]
async fn an_amount_of_19_digits_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let mut huge = line("a", "1", "2026-03-01 10:00:00", "p");
    huge.decimals[Column::Cost.slot()] = i64::MIN;
    import(folder.path(), std::slice::from_ref(&huge), ImportMode::StoreDays).await;
    let other = line("b", "1", "2026-03-01 10:00:00", "p");
    import(folder.path(), std::slice::from_ref(&other), ImportMode::StoreDays).await;
    assert_eq!(everything(folder.path()).await, lines(&[huge, other]).sorted());
}

#[tokio::test]
async fn a_folder_of_other_files_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    write_csv(&folder.path().join("mine.csv"), &[line("a", "1", "2026-03-01 10:00:00", "p")]);
    let error = FolderImport::begin(folder.path()).await.unwrap_err().to_string();
    assert!(error.contains("mine.csv") && error.contains("new folder"), "{error}");
    assert_eq!(names(folder.path()), [".lock", "mine.csv"]);
}
