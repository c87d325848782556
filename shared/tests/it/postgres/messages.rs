//! What is told when something is wrong: the place, the value and what to do.

use super::*;
use shared::source::SourceErrorKind;

async fn error_of(settings: &PostgresSettings) -> (SourceErrorKind, String) {
    let error = PostgresSource::new(settings).unwrap().check().await.unwrap_err();
    (error.kind(), error.to_string())
}

#[track_caller]
fn tells(message: &str, parts: &[&str]) {
    for part in parts {
        assert!(message.contains(part), "{part:?} is not in {message:?}");
    }
}

#[tokio::test]
async fn a_missing_table() {
    let (source, _client) = source().await;
    let error = source.check().await.unwrap_err();
    let anything = request(&["a"], "2026-03-01", "2026-03-01", Columns::ForCells);
    for error in [error, source.directory().await.unwrap_err(), source.read(&anything).await.unwrap_err()] {
        assert_eq!(error.kind(), SourceErrorKind::Schema);
        tells(&error.to_string(), &["no table or view orders", "config/schema.sql", "[postgres] table"]);
        assert!(!error.is_retryable());
    }
    // It is found as soon as it is there.
    import(&source, &[line("a", "1", "2026-03-01", "p")], ImportMode::StoreDays).await;
    assert_eq!(source.read(&anything).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_column_of_our_own_table_that_is_gone() {
    let (in_use, client) = source().await;
    import(&in_use, &[line("a", "1", "2026-03-01", "p")], ImportMode::StoreDays).await;
    let anything = request(&["a"], "2026-03-01", "2026-03-01", Columns::ForCells);
    in_use.read(&anything).await.unwrap();
    client.batch_execute("ALTER TABLE orders DROP COLUMN paid_price").await.unwrap();
    let error = in_use.read(&anything).await.unwrap_err();
    assert_eq!(error.kind(), SourceErrorKind::Schema);
    tells(&error.to_string(), &["paid_price", "config/schema.sql"]);

    let database: String = client.query_one("SELECT current_database()", &[]).await.unwrap().get(0);
    let url = PostgresServer::shared().await.url(&database);
    let (kind, message) = error_of(&PostgresSettings { url, ..PostgresSettings::default() }).await;
    assert_eq!(kind, SourceErrorKind::Schema);
    tells(&message, &["orders has no column", "paid_price", "[postgres.columns]", "config/schema.sql"]);
}

#[tokio::test]
async fn a_missing_column() {
    let table = "CREATE TABLE sales (no text, shop text, at timestamp)";
    let (source, _client) = source_after(table, |settings| {
        settings.table = "public.sales".to_owned();
        settings.columns = [
            (Column::OrderId, vec!["no".to_owned()]),
            (Column::StoreId, vec!["shop".to_owned()]),
            (Column::OrderedAt, vec!["when".to_owned()]),
        ]
        .into();
    })
    .await;
    let error = source.check().await.unwrap_err();
    assert_eq!(error.kind(), SourceErrorKind::Schema);
    tells(&error.to_string(), &["public.sales", "\"when\"", "ordered_at", "[postgres.columns]"]);

    // Not named at all, and none of its own name.
    let (source, _client) = source_after(table, |settings| {
        settings.table = "sales".to_owned();
        settings.columns =
            [(Column::StoreId, vec!["shop".to_owned()]), (Column::OrderedAt, vec!["at".to_owned()])].into();
    })
    .await;
    let error = source.check().await.unwrap_err();
    assert_eq!(error.kind(), SourceErrorKind::Schema);
    tells(&error.to_string(), &["sales", "\"order_id\"", "[postgres.columns]"]);
}

#[tokio::test]
async fn a_type_that_cannot_be_read_and_a_time_without_a_zone() {
    let table = "CREATE TABLE orders (order_id text, store_id text, ordered_at timestamptz, city jsonb)";
    let columns: std::collections::BTreeMap<Column, Vec<String>> =
        [Column::OrderId, Column::StoreId, Column::OrderedAt]
            .map(|column| (column, vec![column.name().to_owned()]))
            .into();
    let (source, _client) = source_after(table, |settings| settings.columns = columns.clone()).await;
    let error = source.check().await.unwrap_err();
    assert_eq!(error.kind(), SourceErrorKind::Settings);
    tells(&error.to_string(), &["ordered_at", "time zone", "[postgres] timezone", "Asia/Shanghai"]);
    let (source, _client) = source_after(table, |settings| {
        settings.columns = columns;
        settings.columns.insert(Column::City, vec!["city".to_owned()]);
        settings.timezone = Some("Asia/Shanghai".to_owned());
    })
    .await;
    let error = source.check().await.unwrap_err();
    assert_eq!(error.kind(), SourceErrorKind::Schema);
    tells(&error.to_string(), &["\"city\"", "jsonb", "a view can cast it"]);
}

#[tokio::test]
async fn a_wrong_password_or_none() {
    let server = PostgresServer::shared().await;
    let url = server.fresh_database().await;
    let role = format!("CREATE ROLE reader LOGIN PASSWORD 'right' IN ROLE {}", PostgresServer::PASSWORD_ROLE);
    server.execute("postgres", &role).await;
    for (user, word) in [("reader:wrong", "password authentication failed"), ("reader", "password")] {
        let settings = PostgresSettings {
            url: url.replace("postgres@", &format!("{user}@")),
            ..PostgresSettings::default()
        };
        let (kind, message) = error_of(&settings).await;
        assert_eq!(kind, SourceErrorKind::Denied, "{message}");
        tells(&message, &[word, "check user and password in postgres.url", "127.0.0.1"]);
        assert!(!message.contains("wrong"), "no secret in {message}");
    }
    let settings =
        PostgresSettings { url: url.replace("postgres@", "reader:right@"), ..PostgresSettings::default() };
    // Let in, but there is no table yet.
    assert_eq!(error_of(&settings).await.0, SourceErrorKind::Schema);
}

#[tokio::test]
async fn a_table_that_may_not_be_read() {
    let (_, client) = source_after(shared::source::postgres::SCHEMA, |_| {}).await;
    client.batch_execute("CREATE ROLE stranger LOGIN").await.unwrap();
    let database: String = client.query_one("SELECT current_database()", &[]).await.unwrap().get(0);
    let url = PostgresServer::shared().await.url(&database).replace("postgres@", "stranger@");
    let stranger = PostgresSource::new(&PostgresSettings { url, ..PostgresSettings::default() }).unwrap();
    let error = stranger.directory().await.unwrap_err();
    assert_eq!(error.kind(), SourceErrorKind::Denied);
    tells(&error.to_string(), &["permission denied", "SELECT"]);
    client.batch_execute("GRANT hotshelf_reader TO stranger").await.unwrap();
    assert!(stranger.directory().await.unwrap().stores().is_empty());
}

#[tokio::test]
async fn no_database_and_no_server() {
    let server = PostgresServer::shared().await;
    let settings = PostgresSettings { url: server.url("nowhere"), ..PostgresSettings::default() };
    let (kind, message) = error_of(&settings).await;
    assert_eq!(kind, SourceErrorKind::Settings);
    tells(&message, &["\"nowhere\" does not exist", "create the database"]);

    let mut own = PostgresServer::start().await;
    let settings = PostgresSettings { url: own.url("postgres"), ..PostgresSettings::default() };
    let source = PostgresSource::new(&settings).unwrap();
    assert_eq!(source.check().await.unwrap_err().kind(), SourceErrorKind::Schema);
    own.stop();
    let error = source.check().await.unwrap_err();
    assert_eq!(error.kind(), SourceErrorKind::Unreachable, "{error}");
    assert!(error.is_retryable());
    let place = format!("127.0.0.1:{}/postgres", own.port());
    tells(&error.to_string(), &[&place, "check that the server runs", "postgres.url"]);
    // It works again as soon as the server is back.
    own.start_again().await;
    let mut import = PostgresImport::begin(&source).await.unwrap();
    import.write(&columns(&[line("1", "1", "2026-03-01", "p")])).await.unwrap();
    import.commit().await.unwrap();
    assert_eq!(source.directory().await.unwrap().stores().len(), 1);
}

#[tokio::test]
async fn an_address_that_is_none() {
    for url in
        ["mysql://localhost/x", "postgres://localhost:port/x", "postgres://user@localhost/x?sslmode=maybe"]
    {
        let settings = PostgresSettings { url: url.to_owned(), ..PostgresSettings::default() };
        let error = PostgresSource::new(&settings).unwrap_err();
        assert_eq!(error.kind(), SourceErrorKind::Settings);
        tells(&error.to_string(), &["postgres.url", "postgres://user:password@host:port/database"]);
    }
}

#[tokio::test]
async fn a_statement_that_takes_too_long() {
    let table = "CREATE TABLE slow (order_id text, store_id text, ordered_at timestamp)";
    let (source, client) = source_after(table, |settings| {
        settings.table = "slow".to_owned();
        settings.columns = [Column::OrderId, Column::StoreId, Column::OrderedAt]
            .map(|column| (column, vec![column.name().to_owned()]))
            .into();
        settings.statement_timeout = std::time::Duration::from_millis(100);
    })
    .await;
    // Whoever reads waits for as long as this transaction lasts.
    client.batch_execute("BEGIN; LOCK TABLE slow IN ACCESS EXCLUSIVE MODE").await.unwrap();
    let error = source.directory().await.unwrap_err();
    assert_eq!(error.kind(), SourceErrorKind::Timeout);
    tells(&error.to_string(), &["statement timeout", "postgres.statement_timeout"]);
}
