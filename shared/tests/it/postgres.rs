//! PostgreSQL as a source and as the target of imports, on a real server.

mod changes;
mod existing;
mod export;
mod importing;
mod limits;
mod messages;
mod round_trip;
mod zones;

use shared::model::{ABSENT, Column, Day, DayRange, Line, Lines, LocalTime};
use shared::source::import::{ImportMode, ImportPlan};
use shared::source::postgres::{PostgresImport, PostgresSettings, PostgresSource};
use shared::source::{Columns, ReadRequest};
use testkit::PostgresServer;

/// A source on a fresh database after some statements, and a client of that database.
async fn source_after(
    statements: &str,
    settings: impl FnOnce(&mut PostgresSettings),
) -> (PostgresSource, tokio_postgres::Client) {
    let (url, client) = PostgresServer::shared().await.database_after(&[statements]).await;
    let mut of_test = PostgresSettings { url, ..PostgresSettings::default() };
    settings(&mut of_test);
    (PostgresSource::new(&of_test).unwrap(), client)
}

/// A source on an empty database.
async fn source() -> (PostgresSource, tokio_postgres::Client) {
    source_after("", |_| {}).await
}

async fn import(source: &PostgresSource, lines: &[Line], mode: ImportMode) -> ImportPlan {
    let mut import = PostgresImport::begin(source).await.unwrap();
    import.write(&columns(lines)).await.unwrap();
    let plan = import.plan(mode).await.unwrap();
    import.commit().await.unwrap();
    plan
}

fn columns(all: &[Line]) -> Lines {
    let mut lines = Lines::default();
    all.iter().for_each(|line| lines.push(line));
    lines
}

fn day(text: &str) -> Day {
    text.parse().unwrap()
}

fn time(text: &str) -> LocalTime {
    let seconds: i64 = text
        .get(11..)
        .unwrap_or("00:00:00")
        .split(':')
        .fold(0, |s, part| s * 60 + part.parse::<i64>().unwrap());
    LocalTime(LocalTime::midnight(day(&text[..10])).0 + seconds * 1_000_000)
}

/// A plain line.
fn line(store: &str, order: &str, at: &str, product: &str) -> Line {
    let mut line = Line { ordered_at: time(at), quantity: 1, stock: ABSENT, ..Line::default() };
    line.decimals[Column::DistanceM.slot()] = ABSENT;
    for (column, text) in [(Column::StoreId, store), (Column::OrderId, order), (Column::ProductName, product)]
    {
        text.clone_into(&mut line.texts[column.slot()]);
    }
    line
}

fn request(stores: &[&str], from: &str, to: &str, columns: Columns) -> ReadRequest {
    ReadRequest {
        stores: stores.iter().map(ToString::to_string).collect(),
        range: DayRange::new(day(from), day(to)).unwrap(),
        columns,
    }
}

/// Everything of these stores, in the one stated order.
async fn all(source: &PostgresSource, stores: &[&str]) -> Vec<Line> {
    let lines =
        source.read(&request(stores, "1970-01-01", "2199-12-31", Columns::All)).await.unwrap().sorted();
    (0..lines.len()).map(|row| lines.line(row)).collect()
}

fn sorted(all: &[Line]) -> Vec<Line> {
    let lines = columns(all).sorted();
    (0..lines.len()).map(|row| lines.line(row)).collect()
}
