//! A platform export as a table of one's own: its lines are those of the export as a file.

use std::fmt::Write as _;

use super::*;
use shared::model::Directory;
use shared::source::files::{FileSource, MappingChoice, ReadOptions};

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

/// Rows of the export: fields between bars, an empty one is NULL in the table.
const ROWS: &str = "\
1|1001|一号店|上海|2026-03-01 10:00:00|美团闪购|c1||苹果|水果|苹果|2|12.35|11.9|10.1|7.123456785|3.3|1.2|0.12345650|12.34|5|3|0.1|1.5|1200.5|7
1|1001|一号店||2026-03-01 10:00:00|美团闪购||6901234567890|梨|水果|||0.1|0.3||0.0000005||0|0.12345750||5|3|0.1|||0
2|1001|新店名|苏州|2026-03-02 23:59:59||||袋|耗材||-3|1e2|3.14|2.72|12345678.9|-0.7|||16777216|||||0|
3|| 无号店 ||2026-03-02 00:00:00|饿了么|||\"酒\"|酒水||1|99.99|88.88|77.77|66.66|11.11|5.5|-0.5|60.5|7|0|5.25|0.25|3000|12
4||无号店||2026-03-03 12:30:00|饿了么|||酒|酒水||1|1.005|2.675|1.1|0.1|1|0.333333|||||||5000.25|3
9007199254740993|7|七||2026-03-05 08:00:00|自营|x'y||a,b|||0||||||||||||||-1";

fn rows() -> impl Iterator<Item = Vec<&'static str>> {
    ROWS.lines().map(|row| row.split('|').collect())
}

/// Statements that make the table.
fn table(name: &str) -> String {
    let columns: Vec<String> = EXPORT.iter().map(|(name, kind)| format!("\"{name}\" {kind}")).collect();
    let mut statements = format!("CREATE TABLE {name} ({}, \"收货地址\" text);\n", columns.join(", "));
    for row in rows() {
        assert_eq!(row.len(), EXPORT.len());
        let values: Vec<String> = row
            .into_iter()
            .map(|value| match value {
                "" => "NULL".to_owned(),
                _ => format!("'{}'", value.replace('\'', "''")),
            })
            .collect();
        writeln!(statements, "INSERT INTO {name} VALUES ({});", values.join(", ")).unwrap();
    }
    statements
}

/// Reads such a table by the headings of the platforms.
fn by_headings(settings: &mut PostgresSettings, table: &str) {
    settings.table = table.to_owned();
    for column in Column::ALL {
        let known = |name: &&&str| EXPORT.iter().any(|(heading, _)| heading == *name);
        let names: Vec<String> =
            column.platform_headings().iter().filter(known).map(ToString::to_string).collect();
        if !names.is_empty() {
            settings.columns.insert(column, names);
        }
    }
}

async fn file(folder: &std::path::Path) -> FileSource {
    let path = folder.join("export.csv");
    let mut text = EXPORT.map(|(name, _)| name).join(",");
    for row in rows() {
        let quoted: Vec<String> =
            row.iter().map(|field| format!("\"{}\"", field.replace('"', "\"\""))).collect();
        write!(text, "\n{}", quoted.join(",")).unwrap();
    }
    std::fs::write(&path, text).unwrap();
    FileSource::open(&path, &MappingChoice::PlatformExport, &ReadOptions::default()).await.unwrap()
}

/// All lines of all stores in a range, in the one stated order.
fn everything(directory: &Directory, from: &str, to: &str) -> ReadRequest {
    let stores: Vec<&str> = directory.stores().iter().map(|store| store.store_id.as_str()).collect();
    request(&stores, from, to, Columns::All)
}

#[tokio::test]
async fn a_table_reads_as_its_export() {
    let folder = tempfile::tempdir().unwrap();
    let file = file(folder.path()).await;
    assert_eq!(file.summaries()[0].rejected_total(), 0);
    let directory = file.directory().await.unwrap();
    assert_eq!(directory.stores().len(), 3);
    let (source, client) =
        source_after(&table("\"订单明细\""), |settings| by_headings(settings, "订单明细")).await;
    source.check().await.unwrap();
    assert_eq!(source.directory().await.unwrap(), directory);
    for (from, to, count) in [("1970-01-01", "2199-12-31", 6), ("2026-03-02", "2026-03-03", 3)] {
        let request = everything(&directory, from, to);
        let expected = file.read(&request).await.unwrap().sorted();
        assert_eq!(expected.len(), count);
        assert_eq!(source.read(&request).await.unwrap().sorted(), expected);
    }
    assert_eq!(source.rejected_rows(), 0);

    // A view in a schema of its own, with the time as text, and as a date.
    let view = "CREATE SCHEMA erp; CREATE VIEW erp.lines AS \
                SELECT *, \"下单时间\"::text AS t, \"下单时间\"::date AS d FROM \"订单明细\"";
    client.batch_execute(view).await.unwrap();
    let database: String = client.query_one("SELECT current_database()", &[]).await.unwrap().get(0);
    let url = PostgresServer::shared().await.url(&database);
    let of_view = |time: &str| {
        let url = url.clone();
        let mut settings = PostgresSettings { url, ..PostgresSettings::default() };
        by_headings(&mut settings, "erp.lines");
        settings.columns.insert(Column::OrderedAt, vec![time.to_owned()]);
        PostgresSource::new(&settings).unwrap()
    };
    let request = everything(&directory, "1970-01-01", "2199-12-31");
    let as_text = of_view("t");
    assert_eq!(as_text.directory().await.unwrap(), directory);
    assert_eq!(as_text.read(&request).await.unwrap().sorted(), file.read(&request).await.unwrap().sorted());
    let as_date = of_view("d");
    let days = |directory: &Directory| -> Vec<_> {
        directory
            .stores()
            .iter()
            .map(|store| (store.store_id.clone(), store.days.clone(), store.lines))
            .collect()
    };
    assert_eq!(days(&as_date.directory().await.unwrap()), days(&directory));
    let lines = as_date.read(&request).await.unwrap();
    assert!(
        (0..lines.len()).all(|row| lines.line(row).ordered_at == LocalTime::midnight(lines.view().day(row)))
    );
}

#[tokio::test]
async fn rows_that_cannot_be_read_are_left_out_and_counted() {
    let spoiled = "UPDATE export SET \"平台服务费\" = 'much' WHERE \"订单ID\" = 2; \
                   UPDATE export SET \"商品原价\" = 'Infinity' WHERE \"订单ID\" = 4";
    let statements = table("export") + spoiled;
    let (source, _client) = source_after(&statements, |settings| by_headings(settings, "export")).await;
    let directory = source.directory().await.unwrap();
    assert_eq!(directory.stores().iter().map(|store| store.lines).sum::<u64>(), 4);
    let before = source.rejected_rows();
    let lines = source.read(&everything(&directory, "1970-01-01", "2199-12-31")).await.unwrap();
    let mut orders: Vec<&str> = (0..lines.len()).map(|row| lines.text(Column::OrderId, row)).collect();
    orders.sort_unstable();
    assert_eq!(orders, ["1", "1", "3", "9007199254740993"]);
    assert_eq!(source.rejected_rows() - before, 2);
}
