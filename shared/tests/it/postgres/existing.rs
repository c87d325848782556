//! A table or view that was there before, with columns and types of its own.

use std::collections::BTreeMap;

use super::*;
use shared::model::Money;

/// Each column of ours and the columns of the table that may fill it.
fn mapping(pairs: &[(Column, &[&str])]) -> BTreeMap<Column, Vec<String>> {
    pairs.iter().map(|(column, names)| (*column, names.iter().map(ToString::to_string).collect())).collect()
}

fn platform() -> BTreeMap<Column, Vec<String>> {
    Column::ALL
        .into_iter()
        .map(|column| (column, column.platform_headings().iter().map(ToString::to_string).collect()))
        .collect()
}

/// The headings of the platform exports as columns, of as many types as there are.
const PLATFORM: &str = r#"
    CREATE TYPE channel AS ENUM ('饿了么', '美团闪购');
    CREATE DOMAIN shop_name AS varchar(40);
    CREATE TABLE "订单明细" (
        "订单ID" bigint, "门店ID" bigint, "门店名称" shop_name, "城市名称" char(10),
        "下单时间" timestamptz, "日期" date, "渠道" channel, "店内码" double precision, "条码" numeric,
        "商品名称" text, "一级分类名" text, "三级分类名" text, "月售" real, "销量" smallint,
        "商品原价" double precision, "商品实售价" real, "实收价格" double precision,
        "商品采购成本" text, "成本" numeric(20, 8), "利润额" numeric, "平台服务费" numeric, "企客后返" text,
        "预计订单收入" integer, "平台佣金" bigint, "物流配送费" smallint, "用户支付配送费" money,
        "配送费减免金额" text, "打包袋金额" text, "满减金额" text, "商品减免金额" text, "商家代金券" text,
        "商家承担部分券" text, "满赠金额" text, "商家其他优惠" text, "新客减免金额" text, "配送距离" double precision,
        "库存" text, "剩余库存" numeric, "收货地址" text);
    INSERT INTO "订单明细" ("订单ID", "门店ID", "门店名称", "城市名称", "下单时间", "日期", "渠道", "店内码", "条码", "商品名称",
        "月售", "销量", "商品原价", "商品实售价", "实收价格", "商品采购成本", "成本", "利润额", "平台服务费", "企客后返",
        "预计订单收入", "平台佣金", "物流配送费", "用户支付配送费", "打包袋金额", "配送距离", "库存", "剩余库存", "收货地址")
    VALUES
        (20250001, 1001, ' 星河路店 ', '云州市', '2026-03-06 16:30:00+00', '2026-01-01', '饿了么', 6901234567890, 77,
         '　薯片 ', 2, 9, 10.1, 5.55, NULL, ' ￥１,234.5 ', 9, NULL, -1.2345665, '--', 18, 3, 4, 5.5, 'NULL', 1234.5, '', 7.0,
         'secret'),
        (20250002, NULL, ' 老街小店', NULL, NULL, '2026-03-07', NULL, NULL, 6901234567890123, 'b', NULL, 3, 'NaN', 0.1,
         5.5285625, NULL, 1.23456785, 2.5, NULL, '1e-1', NULL, NULL, NULL, NULL, '1.5', NULL, '3', NULL, NULL);
"#;

#[tokio::test]
async fn a_table_with_the_headings_of_the_platform() {
    let (source, client) = source_after(PLATFORM, |settings| {
        settings.table = "订单明细".to_owned();
        settings.columns = platform();
        settings.timezone = Some("Asia/Shanghai".to_owned());
    })
    .await;
    let directory = source.directory().await.unwrap();
    let shown: Vec<_> = directory
        .stores()
        .iter()
        .map(|info| (info.store_id.as_str(), info.name.as_str(), info.city.as_deref(), info.lines))
        .collect();
    assert_eq!(shown, [("1001", "星河路店", Some("云州市"), 1), ("老街小店", "老街小店", None, 1)]);

    let first = &all(&source, &["1001"]).await[0];
    let money = |column: Column| first.money(column).to_string();
    // Midnight in Shanghai comes before midnight in London.
    assert_eq!(first.ordered_at, time("2026-03-07 00:30:00"));
    assert_eq!(directory.get("1001").unwrap().days.first(), Some(day("2026-03-07")));
    assert_eq!(first.text(Column::OrderId), "20250001");
    assert_eq!(first.text(Column::StoreName), "星河路店");
    assert_eq!(first.text(Column::City), "云州市");
    assert_eq!(first.text(Column::Channel), "饿了么");
    assert_eq!(first.text(Column::StoreCode), "6901234567890");
    assert_eq!(first.text(Column::ProductName), "薯片");
    assert_eq!((first.quantity, first.stock), (2, 7));
    assert_eq!(money(Column::ListPrice), "10.1");
    assert_eq!(money(Column::ShelfPrice), "5.55");
    assert_eq!(money(Column::PaidPrice), "5.55", "absent: the shelf price");
    assert_eq!(money(Column::Cost), "1234.5");
    assert_eq!(money(Column::GrossProfit), "-1223.4", "absent: paid × quantity − cost");
    assert_eq!(money(Column::PlatformFee), "-1.234566", "a tie goes to the even side");
    assert_eq!(money(Column::Rebate), "0");
    assert_eq!(money(Column::UserDeliveryFee), "5.5");
    assert_eq!(money(Column::PackagingFee), "0");
    assert_eq!(money(Column::DistanceM), "1234.5");

    let second = &all(&source, &["老街小店"]).await[0];
    assert_eq!(second.ordered_at, time("2026-03-07 00:00:00"));
    assert_eq!(second.text(Column::Barcode), "6901234567890123");
    assert_eq!((second.quantity, second.stock), (3, 3));
    assert_eq!(second.money(Column::ListPrice), Money(0), "NaN is absent");
    assert_eq!(second.money(Column::PaidPrice), Money(5_528_562));
    assert_eq!(second.money(Column::Cost), Money(1_234_568));
    assert_eq!(second.money(Column::GrossProfit), Money(2_500_000));
    assert_eq!(second.money(Column::Rebate), Money(100_000));
    assert_eq!(second.decimals[Column::DistanceM.slot()], ABSENT);
    assert_eq!(source.rejected_rows(), 0);

    // Rows that cannot be read are left out and counted, not read as something else.
    client
        .batch_execute(
            r#"INSERT INTO "订单明细" ("订单ID", "门店ID", "日期", "月售", "商品实售价", "商品采购成本") VALUES
               (1, 1001, '2026-03-07', 1, 1, 'twelve'), (2, 1001, '2026-03-07', 1.5, 1, NULL),
               (3, 1001, '2026-03-07', 1, 'Infinity', NULL), (NULL, 1001, '2026-03-07', 1, 1, NULL),
               (4, NULL, '2026-03-07', 1, 1, NULL), (5, 1001, NULL, 1, 1, NULL), (6, 1001, '2300-01-01', 1, 1, NULL),
               (7, 1001, 'infinity', 1, 1, NULL), (8, 1001, '2026-03-07', 1000000, 10000000000, NULL)"#,
        )
        .await
        .unwrap();
    assert_eq!(all(&source, &["1001"]).await.len(), 1);
    assert!(source.rejected_rows() >= 5, "{}", source.rejected_rows());
    assert_eq!(source.directory().await.unwrap().get("1001").unwrap().lines, 1, "accepted lines");
    // For cells too, although some bad values are in columns that cells do not need.
    let cells = request(&["1001"], "2026-03-07", "2026-03-07", Columns::ForCells);
    assert_eq!(source.read(&cells).await.unwrap().len(), 1);
    let before = request(&["1001"], "2026-03-06", "2026-03-06", Columns::All);
    assert!(source.read(&before).await.unwrap().is_empty());
}

#[tokio::test]
async fn columns_not_named_are_taken_by_their_own_names_or_absent() {
    let table = "CREATE TABLE sales (no text, shop integer, at timestamp, product_name text, quantity integer, \
                 paid_price numeric(12, 2), stock integer); \
                 INSERT INTO sales VALUES ('1', 7, '2026-03-01 08:00:00.123456', 'p', 2, 1.5, 4)";
    let (source, _client) = source_after(table, |settings| {
        settings.table = "sales".to_owned();
        settings.columns = mapping(&[
            (Column::OrderId, &["no"]),
            (Column::StoreId, &["shop"]),
            (Column::OrderedAt, &["at"]),
            (Column::Stock, &[]),
        ]);
    })
    .await;
    let lines = all(&source, &["7"]).await;
    assert_eq!(lines.len(), 1);
    assert_eq!(lines[0].text(Column::ProductName), "p");
    assert_eq!(lines[0].money(Column::PaidPrice), Money(1_500_000));
    assert_eq!(lines[0].money(Column::GrossProfit), Money(3_000_000));
    assert_eq!(lines[0].stock, ABSENT, "named as nothing");
    assert_eq!(lines[0].ordered_at.0 % 1_000_000, 123_456);
    assert!(all(&source, &["seven"]).await.is_empty());
    assert!(all(&source, &["07"]).await.is_empty());
}

#[tokio::test]
async fn a_view_with_times_as_text() {
    let view = "CREATE TABLE raw (no text, shop text, at text, name text); \
                INSERT INTO raw VALUES ('1', E'\\u3000a ', '2026/3/1 8:05', 'A'), ('2', 'a', '2026-03-02', NULL), \
                ('3', 'b', 'yesterday', 'B'), ('4', 'b', ' 2026-03-01T09:00:00.5 ', 'B'); \
                CREATE VIEW lines AS SELECT * FROM raw";
    let (source, _client) = source_after(view, |settings| {
        settings.table = "lines".to_owned();
        settings.columns = mapping(&[
            (Column::OrderId, &["no"]),
            (Column::StoreId, &["shop"]),
            (Column::StoreName, &["name"]),
            (Column::OrderedAt, &["at"]),
        ]);
    })
    .await;
    let directory = source.directory().await.unwrap();
    assert_eq!(directory.get("a").map(|info| (info.name.as_str(), info.lines)), Some(("A", 2)));
    assert_eq!(directory.get("b").map(|info| info.lines), Some(1));
    assert_eq!(source.rejected_rows(), 1);
    let times: Vec<String> =
        all(&source, &["a"]).await.iter().map(|line| line.ordered_at.to_string()).collect();
    assert_eq!(times, ["2026-03-01T08:05:00", "2026-03-02T00:00:00"]);
    let one_day = request(&["a", "b"], "2026-03-01", "2026-03-01", Columns::All);
    assert_eq!(source.read(&one_day).await.unwrap().len(), 2);
}

#[tokio::test]
async fn store_ids_of_any_spelling_and_type() {
    for (kind, values, id) in [
        ("text", "(' 5 '), ('5'), (E'5\\u3000')", "5"),
        ("character(6)", "('5'), ('5 ')", "5"),
        ("smallint", "(5), (5)", "5"),
        ("numeric(9, 2)", "(5), (5.00)", "5"),
        ("numeric", "(1234567890123456789012.50), (1234567890123456789012.5)", "1234567890123456789012.5"),
        ("double precision", "(5), (5.0)", "5"),
        ("double precision", "(1e17), (1e17)", "100000000000000000"),
        ("real", "(0.1), (0.1)", "0.1"),
    ] {
        let table = format!(
            "CREATE TABLE sales (shop {kind}, order_id text DEFAULT '1', ordered_at timestamp DEFAULT '2026-03-01'); \
             INSERT INTO sales (shop) VALUES {values}"
        );
        let count = values.matches('(').count();
        let settings = |settings: &mut PostgresSettings| {
            settings.table = "sales".to_owned();
            settings.columns = mapping(&[(Column::StoreId, &["shop"])]);
        };
        let (source, client) = source_after(&table, settings).await;
        // Also before anyone asked for the directory.
        assert_eq!(all(&source, &[id]).await.len(), count, "{kind}");
        let directory = source.directory().await.unwrap();
        let shown: Vec<_> =
            directory.stores().iter().map(|info| (info.store_id.as_str(), info.lines)).collect();
        assert_eq!(shown, [(id, count as u64)], "{kind}");
        assert_eq!(all(&source, &[id]).await.len(), count, "{kind}");
        client.batch_execute("DROP TABLE sales").await.unwrap();
    }
}

#[tokio::test]
async fn a_column_whose_type_changes_later_is_not_misread() {
    let (source, client) = source().await;
    import(&source, &[line("a", "1", "2026-03-01", "p")], ImportMode::StoreDays).await;
    let before = all(&source, &["a"]).await;
    assert_eq!(before.len(), 1);
    client
        .batch_execute("ALTER TABLE orders ALTER stock TYPE bigint, ALTER quantity TYPE bigint")
        .await
        .unwrap();
    assert_eq!(all(&source, &["a"]).await, before);
    client.batch_execute("ALTER TABLE orders DROP COLUMN gift").await.unwrap();
    let everything = request(&["a"], "2026-03-01", "2026-03-01", Columns::All);
    let error = source.read(&everything).await.unwrap_err();
    assert!(error.to_string().contains("gift"), "{error}");
}

#[tokio::test]
async fn numbers_of_every_type_are_what_their_texts_are() {
    use proptest::prelude::*;
    use proptest::strategy::ValueTree;
    let exact = prop_oneof![
        "-?[0-9]{1,12}(\\.[0-9]{1,30})?",
        "-?[0-9]{1,8}\\.[0-9]{6}5",
        "-?0\\.0{0,12}[0-9]{1,8}",
        "-?[0-9]{1,4}0{0,8}",
        any::<i64>().prop_map(|micro| Money(micro).to_string()),
    ];
    let float =
        prop_oneof![-1e12f64..1e12, -1e3f64..1e3, (-1_000_000i64..1_000_000).prop_map(|n| n as f64 / 1e7)];
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let values: Vec<(String, f64, f32)> = (0..3_000)
        .map(|_| {
            let exact = exact.new_tree(&mut runner).unwrap().current();
            let float = float.new_tree(&mut runner).unwrap().current();
            (exact, float, float as f32)
        })
        .collect();
    let rows: Vec<String> = values
        .iter()
        .enumerate()
        .map(|(n, (exact, float, single))| format!("({n}, {exact}, '{float:e}', '{single:e}', '{exact}')"))
        .collect();
    let table = format!(
        "CREATE TABLE sales (order_id int, cost numeric, platform_fee float8, rebate float4, commission text, \
         store_id text DEFAULT 's', ordered_at date DEFAULT '2026-03-01'); \
         INSERT INTO sales VALUES {}",
        rows.join(",")
    );
    let (source, _client) = source_after(&table, |settings| {
        settings.table = "sales".to_owned();
        settings.columns = mapping(&[(Column::OrderId, &["order_id"])]);
    })
    .await;
    let lines = all(&source, &["s"]).await;
    assert_eq!((lines.len(), source.rejected_rows()), (values.len(), 0));
    for line in lines {
        let (exact, float, single) = &values[line.text(Column::OrderId).parse::<usize>().unwrap()];
        assert_eq!(Ok(line.money(Column::Cost)), Money::parse(exact), "{exact}");
        assert_eq!(Ok(line.money(Column::Commission)), Money::parse(exact), "{exact}");
        assert_eq!(Ok(Some(line.money(Column::PlatformFee))), Money::from_f64(*float), "{float}");
        assert_eq!(Ok(Some(line.money(Column::Rebate))), Money::from_f32(*single), "{single}");
    }
}
