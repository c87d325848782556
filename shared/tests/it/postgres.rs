//! PostgreSQL as a source and as a target of imports, on a real server with one database per test.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use shared::model::{Column, Day, DayRange, Directory, Line, Lines};
use shared::source::files::{FileSource, MappingChoice, ReadOptions};
use shared::source::import::{ImportMode, ImportPlan};
use shared::source::postgres::{PostgresImport, PostgresSettings, PostgresSource};
use shared::source::{Columns, ReadRequest, SourceError, SourceErrorKind};
use testkit::PostgresServer;

use super::sample;

const EVERYTHING: DayRange = DayRange { from: Day::MIN, to: Day::MAX };
const STORES: [&str; 4] = ["all", "a_b", "门店:1", "it's \"a/b\""];

fn settings(url: &str) -> PostgresSettings {
    PostgresSettings { url: url.to_owned(), ..PostgresSettings::default() }
}

fn source(url: &str) -> PostgresSource {
    PostgresSource::new(&settings(url)).unwrap()
}

/// The name of the database in an address.
fn database(url: &str) -> &str {
    url.rsplit('/').next().unwrap()
}

async fn execute(url: &str, statements: &str) {
    PostgresServer::shared().await.execute(database(url), statements).await;
}

async fn read(source: &PostgresSource, stores: &[&str], range: DayRange, columns: Columns) -> Lines {
    let stores = stores.iter().map(ToString::to_string).collect();
    source.read(&ReadRequest { stores, range, columns }).await.unwrap().sorted()
}

async fn everything(source: &PostgresSource) -> Lines {
    let directory = source.directory().await.unwrap();
    let stores: Vec<&str> = directory.stores().iter().map(|store| store.store_id.as_str()).collect();
    read(source, &stores, EVERYTHING, Columns::All).await
}

async fn import(source: &PostgresSource, lines: &Lines, mode: ImportMode) -> ImportPlan {
    let mut import = PostgresImport::begin(source).await.unwrap();
    import.write(lines).await.unwrap();
    let plan = import.plan(mode).await.unwrap();
    import.commit().await.unwrap();
    plan
}

fn of_rows(lines: &Lines, keep: impl Fn(&Line) -> bool) -> Lines {
    let mut kept = Lines::default();
    (0..lines.len()).map(|row| lines.line(row)).filter(keep).for_each(|line| kept.push(&line));
    kept
}

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
    let in_place = |line: &Line| line.text(Column::StoreId) == "a" && line.ordered_at.day() == sample::day(1);

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

/// Headings of a platform export with the type of each as a column of a table.
const EXPORT: [(&str, &str); 26] = [
    ("订单ID", "bigint"),
    ("门店ID", "integer"),
    ("门店名称", "text"),
    ("城市名称", "varchar(40)"),
    ("下单时间", "timestamp"),
    ("渠道", "varchar(40)"),
    ("店内码", "text"),
    ("条码", "numeric"),
    ("商品名称", "text"),
    ("一级分类名", "text"),
    ("三级分类名", "char(2)"),
    ("月售", "smallint"),
    ("商品原价", "double precision"),
    ("商品实售价", "numeric(10,3)"),
    ("实收价格", "real"),
    ("商品采购成本", "numeric"),
    ("利润额", "double precision"),
    ("平台服务费", "text"),
    ("企客后返", "numeric(20,8)"),
    ("预计订单收入", "real"),
    ("物流配送费", "integer"),
    ("用户支付配送费", "bigint"),
    ("满减金额", "double precision"),
    ("商家代金券", "text"),
    ("配送距离", "double precision"),
    ("剩余库存", "double precision"),
];

/// Rows of an export; the empty text is NULL in the table.
const ROWS: [[&str; 26]; 6] = [
    [
        "1",
        "1001",
        "一号店",
        "上海",
        "2026-03-01 10:00:00",
        "美团闪购",
        "c1",
        "",
        "苹果",
        "水果",
        "苹果",
        "2",
        "12.35",
        "11.9",
        "10.1",
        "7.123456785",
        "3.3",
        "1.2",
        "0.12345650",
        "12.34",
        "5",
        "3",
        "0.1",
        "1.5",
        "1200.5",
        "7",
    ],
    [
        "1",
        "1001",
        "一号店",
        "",
        "2026-03-01 10:00:00",
        "美团闪购",
        "",
        "6901234567890",
        "梨",
        "水果",
        "",
        "",
        "0.1",
        "0.3",
        "",
        "0.0000005",
        "",
        "0",
        "0.12345750",
        "",
        "5",
        "3",
        "0.1",
        "",
        "",
        "0",
    ],
    [
        "2",
        "1001",
        "新店名",
        "苏州",
        "2026-03-02 23:59:59",
        "",
        "",
        "",
        "袋",
        "耗材",
        "",
        "-3",
        "1e2",
        "3.14",
        "2.72",
        "12345678.9",
        "-0.7",
        "",
        "",
        "16777216",
        "",
        "",
        "",
        "",
        "0",
        "",
    ],
    // Without an id the name stands for the store, without blanks around.
    [
        "3",
        "",
        " 无号店 ",
        "",
        "2026-03-02 00:00:00",
        "饿了么",
        "",
        "",
        "\"酒\"",
        "酒水",
        "",
        "1",
        "99.99",
        "88.88",
        "77.77",
        "66.66",
        "11.11",
        "5.5",
        "-0.5",
        "60.5",
        "7",
        "0",
        "5.25",
        "0.25",
        "3000",
        "12",
    ],
    [
        "4",
        "",
        "无号店",
        "",
        "2026-03-03 12:30:00",
        "饿了么",
        "",
        "",
        "酒",
        "酒水",
        "",
        "1",
        "1.005",
        "2.675",
        "1.1",
        "0.1",
        "1",
        "0.333333",
        "",
        "",
        "",
        "",
        "",
        "",
        "5000.25",
        "3",
    ],
    [
        "9007199254740993",
        "7",
        "七",
        "",
        "2026-03-05 08:00:00",
        "自营",
        "x'y",
        "",
        "a,b",
        "",
        "",
        "0",
        "",
        "",
        "",
        "",
        "",
        "",
        "",
        "",
        "",
        "",
        "",
        "",
        "",
        "-1",
    ],
];

async fn table_of_export(url: &str, table: &str) -> PostgresSettings {
    let columns: Vec<String> = EXPORT.iter().map(|(name, kind)| format!("\"{name}\" {kind}")).collect();
    let mut statements = format!("CREATE TABLE {table} ({}, \"收货地址\" text);\n", columns.join(", "));
    for row in ROWS {
        let values: Vec<String> = row
            .iter()
            .map(|value| {
                if value.is_empty() { "NULL".to_owned() } else { format!("'{}'", value.replace('\'', "''")) }
            })
            .collect();
        writeln!(statements, "INSERT INTO {table} VALUES ({});", values.join(", ")).unwrap();
    }
    execute(url, &statements).await;
    let columns: BTreeMap<Column, Vec<String>> = Column::ALL
        .into_iter()
        .map(|column| {
            let known = |name: &&&str| EXPORT.iter().any(|(heading, _)| heading == *name);
            let names = column.platform_headings().iter().filter(known).map(ToString::to_string).collect();
            (column, names)
        })
        .filter(|(_, names): &(_, Vec<String>)| !names.is_empty())
        .collect();
    PostgresSettings { table: table.replace('"', ""), columns, ..settings(url) }
}

async fn file_of_export(folder: &std::path::Path) -> FileSource {
    let path = folder.join("export.csv");
    let quoted = |text: &str| format!("\"{}\"", text.replace('"', "\"\""));
    let mut text = EXPORT.map(|(name, _)| name).join(",");
    for row in ROWS {
        text.push('\n');
        text.push_str(&row.map(quoted).join(","));
    }
    std::fs::write(&path, text).unwrap();
    FileSource::open(&path, &MappingChoice::PlatformExport, &ReadOptions::default()).await.unwrap()
}

/// The lines of each store by a source of files.
async fn of_file(file: &FileSource, directory: &Directory, range: DayRange) -> Lines {
    let stores = directory.stores().iter().map(|store| store.store_id.clone()).collect();
    file.read(&ReadRequest { stores, range, columns: Columns::All }).await.unwrap().sorted()
}

#[tokio::test]
async fn a_table_of_ones_own_reads_as_its_export() {
    let url = PostgresServer::shared().await.fresh_database().await;
    let folder = tempfile::tempdir().unwrap();
    let file = file_of_export(folder.path()).await;
    let expected = file.directory().await.unwrap();
    assert_eq!(file.summaries()[0].rejected_total(), 0);
    let settings = table_of_export(&url, "\"订单明细\"").await;
    let source = PostgresSource::new(&settings).unwrap();
    source.check().await.unwrap();
    assert_eq!(source.directory().await.unwrap(), expected);
    let lines = everything(&source).await;
    assert_eq!(lines.len(), ROWS.len());
    let of_file_lines = of_file(&file, &expected, EVERYTHING).await;
    for row in 0..lines.len() {
        assert_eq!(lines.line(row), of_file_lines.line(row));
    }
    let range = DayRange { from: "2026-03-02".parse().unwrap(), to: "2026-03-03".parse().unwrap() };
    let stores: Vec<&str> = expected.stores().iter().map(|store| store.store_id.as_str()).collect();
    assert_eq!(read(&source, &stores, range, Columns::All).await, of_file(&file, &expected, range).await);
    assert_eq!(source.rejected_rows(), 0);

    // An import does not touch it.
    let error = PostgresImport::begin(&source).await.unwrap_err();
    says(&error, SourceErrorKind::Settings, &["订单明细", "[postgres]"]);
    // A view, in a schema, with the time as text and as a date.
    execute(
        &url,
        "CREATE SCHEMA erp; CREATE VIEW erp.lines AS SELECT *, \"下单时间\"::text AS t, \"下单时间\"::date AS d \
         FROM \"订单明细\"",
    )
    .await;
    let mut of_view = PostgresSettings { table: "erp.lines".to_owned(), ..settings };
    of_view.columns.insert(Column::OrderedAt, vec!["t".to_owned()]);
    let source = PostgresSource::new(&of_view).unwrap();
    assert_eq!(source.directory().await.unwrap(), expected);
    assert_eq!(everything(&source).await, lines);
    of_view.columns.insert(Column::OrderedAt, vec!["d".to_owned()]);
    let source = PostgresSource::new(&of_view).unwrap();
    let days = |directory: &Directory| directory.stores().iter().map(|s| s.days.clone()).collect::<Vec<_>>();
    assert_eq!(days(&source.directory().await.unwrap()), days(&expected));
}

#[tokio::test]
async fn rows_that_cannot_be_read_are_left_out_and_counted() {
    let url = PostgresServer::shared().await.fresh_database().await;
    let settings = table_of_export(&url, "export").await;
    execute(
        &url,
        "UPDATE export SET \"平台服务费\" = 'much' WHERE \"订单ID\" = 2; \
         UPDATE export SET \"商品原价\" = 'Infinity' WHERE \"订单ID\" = 4",
    )
    .await;
    let source = PostgresSource::new(&settings).unwrap();
    assert_eq!(everything(&source).await.len(), ROWS.len() - 2);
    assert_eq!(source.rejected_rows(), 2);
}

#[tokio::test]
async fn a_zone_makes_times_local() {
    let url = PostgresServer::shared().await.fresh_database().await;
    execute(
        &url,
        "CREATE TABLE zoned (id text, shop text, at timestamptz, price numeric); \
         INSERT INTO zoned VALUES ('1', 's', '2026-03-01 15:59:59+00', 1), ('2', 's', '2026-03-01 16:00:00+00', 2)",
    )
    .await;
    let columns = [
        (Column::OrderId, "id"),
        (Column::StoreId, "shop"),
        (Column::OrderedAt, "at"),
        (Column::PaidPrice, "price"),
    ];
    let columns = columns.into_iter().map(|(column, name)| (column, vec![name.to_owned()])).collect();
    let without = PostgresSettings { table: "zoned".to_owned(), columns, ..settings(&url) };
    let error = PostgresSource::new(&without).unwrap().check().await.unwrap_err();
    says(&error, SourceErrorKind::Settings, &["\"at\"", "zoned", "[postgres] timezone", "Asia/Shanghai"]);

    let with = PostgresSettings { timezone: Some("Asia/Shanghai".to_owned()), ..without };
    let source = PostgresSource::new(&with).unwrap();
    let days: Vec<String> = source.directory().await.unwrap().stores()[0]
        .days
        .within(EVERYTHING)
        .map(|day| day.to_string())
        .collect();
    assert_eq!(days, ["2026-03-01", "2026-03-02"]);
    for (day, order) in [("2026-03-01", "1"), ("2026-03-02", "2")] {
        let day: Day = day.parse().unwrap();
        let lines = read(&source, &["s"], DayRange { from: day, to: day }, Columns::All).await;
        assert_eq!((lines.len(), lines.text(Column::OrderId, 0)), (1, order));
    }
}

/// Checks that an error names the thing and the remedy.
#[track_caller]
fn says(error: &SourceError, kind: SourceErrorKind, parts: &[&str]) {
    assert_eq!(error.kind(), kind, "{error}");
    for part in parts {
        assert!(error.to_string().contains(part), "{error} lacks {part}");
    }
}

#[tokio::test]
async fn errors_name_the_table_and_the_column() {
    let url = PostgresServer::shared().await.fresh_database().await;
    let request = ReadRequest { stores: vec!["a".to_owned()], range: EVERYTHING, columns: Columns::ForCells };
    let missing = source(&url);
    for error in [
        missing.check().await.unwrap_err(),
        missing.directory().await.unwrap_err(),
        missing.read(&request).await.unwrap_err(),
    ] {
        says(&error, SourceErrorKind::Schema, &["orders", "config/schema.sql", "[postgres] table"]);
        assert!(!error.is_retryable());
    }
    // It is found as soon as it is there.
    import(&missing, &sample::lines(&["a"], 1, 1), ImportMode::StoreDays).await;
    assert!(!missing.read(&request).await.unwrap().is_empty());

    execute(&url, "ALTER TABLE orders DROP COLUMN paid_price").await;
    let error = source(&url).check().await.unwrap_err();
    says(
        &error,
        SourceErrorKind::Schema,
        &["orders", "paid_price", "[postgres.columns]", "config/schema.sql"],
    );
    // Also if it goes while the source is in use.
    let error = missing.read(&request).await.unwrap_err();
    says(&error, SourceErrorKind::Schema, &["paid_price", "config/schema.sql"]);

    let mut mapped = table_of_export(&url, "export").await;
    mapped.columns.insert(Column::Cost, vec!["成本价".to_owned()]);
    let error = PostgresSource::new(&mapped).unwrap().check().await.unwrap_err();
    says(&error, SourceErrorKind::Schema, &["export", "成本价", "cost", "[postgres.columns]"]);
    mapped.columns.remove(&Column::Cost);
    mapped.columns.remove(&Column::OrderId);
    let error = PostgresSource::new(&mapped).unwrap().check().await.unwrap_err();
    says(&error, SourceErrorKind::Schema, &["export", "order_id", "[postgres.columns]"]);
    execute(&url, "ALTER TABLE export ALTER \"商品原价\" TYPE money USING 0").await;
    let mapped = PostgresSettings {
        columns: BTreeMap::from([(Column::ListPrice, vec!["商品原价".to_owned()])]),
        ..mapped
    };
    let error = PostgresSource::new(&mapped).unwrap().check().await.unwrap_err();
    says(&error, SourceErrorKind::Schema, &["order_id"]);
    let mut columns = mapped.columns;
    for (column, name) in
        [(Column::OrderId, "订单ID"), (Column::StoreId, "门店名称"), (Column::OrderedAt, "下单时间")]
    {
        columns.insert(column, vec![name.to_owned()]);
    }
    let mapped = PostgresSettings { columns, table: "export".to_owned(), ..settings(&url) };
    let error = PostgresSource::new(&mapped).unwrap().check().await.unwrap_err();
    says(
        &error,
        SourceErrorKind::Schema,
        &["export", "商品原价", "money", "list_price", "a view can cast it"],
    );
}

#[tokio::test]
async fn errors_name_the_server_and_the_user() {
    let server = PostgresServer::shared().await;
    let url = server.fresh_database().await;
    let name = database(&url);
    import(&source(&url), &sample::lines(&["a"], 1, 1), ImportMode::StoreDays).await;
    let role = PostgresServer::PASSWORD_ROLE;
    let statements = format!("CREATE ROLE {name}_reader LOGIN PASSWORD 'right' IN ROLE {role}");
    execute(&url, &statements).await;
    let of_user = |password: &str, database: &str| {
        source(&format!("postgres://{name}_reader:{password}@127.0.0.1:{}/{database}", server.port()))
    };
    let error = of_user("wrong", name).check().await.unwrap_err();
    says(&error, SourceErrorKind::Denied, &[&format!("{name}_reader"), "password", "postgres.url"]);
    let error = of_user("right", "no_such_database").check().await.unwrap_err();
    says(&error, SourceErrorKind::Settings, &["no_such_database", "postgres.url"]);
    let error = of_user("right", name).directory().await.unwrap_err();
    says(&error, SourceErrorKind::Denied, &["orders", "grant", "SELECT"]);
    execute(&url, &format!("GRANT hotshelf_reader TO {name}_reader")).await;
    assert_eq!(of_user("right", name).directory().await.unwrap().stores().len(), 1);

    // A port on which nobody listens.
    let port = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port();
    let down = source(&format!("postgres://hotshelf@127.0.0.1:{port}/sales"));
    let error = down.check().await.unwrap_err();
    says(
        &error,
        SourceErrorKind::Unreachable,
        &["127.0.0.1", &port.to_string(), "sales", "server runs", "postgres.url"],
    );
    assert!(error.is_retryable());
    let error = PostgresSource::new(&settings("mysql://db")).unwrap_err();
    says(&error, SourceErrorKind::Settings, &["postgres.url", "postgres://"]);
}
