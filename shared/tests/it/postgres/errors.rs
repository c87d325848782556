//! What errors say: the thing, and what to do about it.

use std::collections::BTreeMap;

use shared::model::Column;
use shared::source::import::ImportMode;
use shared::source::postgres::{PostgresSettings, PostgresSource};
use shared::source::{Columns, ReadRequest, SourceErrorKind};
use testkit::PostgresServer;

use super::mapped::table_of_export;
use super::{EVERYTHING, database, execute, import, says, settings, source};
use crate::sample;

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
