//! PostgreSQL as a source and as a target of imports, on a real server with one database per test.

mod errors;
mod import;
mod mapped;

use shared::model::{Day, DayRange, Line, Lines};
use shared::source::import::{ImportMode, ImportPlan};
use shared::source::postgres::{PostgresImport, PostgresSettings, PostgresSource};
use shared::source::{Columns, ReadRequest, SourceError, SourceErrorKind};
use testkit::PostgresServer;

const EVERYTHING: DayRange = DayRange { from: Day::MIN, to: Day::MAX };

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

/// Checks that an error names the thing and the remedy.
#[track_caller]
fn says(error: &SourceError, kind: SourceErrorKind, parts: &[&str]) {
    assert_eq!(error.kind(), kind, "{error}");
    for part in parts {
        assert!(error.to_string().contains(part), "{error} lacks {part}");
    }
}
