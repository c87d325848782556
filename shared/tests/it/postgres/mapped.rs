//! Tables of one's own, read by a mapping of their columns.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use shared::model::{Column, Day, DayRange, Directory, Lines};
use shared::source::files::{FileSource, MappingChoice, ReadOptions};
use shared::source::postgres::{PostgresImport, PostgresSettings, PostgresSource};
use shared::source::{Columns, ReadRequest, SourceErrorKind};
use testkit::PostgresServer;

use super::{EVERYTHING, everything, execute, read, says, settings};

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

pub(super) async fn table_of_export(url: &str, table: &str) -> PostgresSettings {
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
