//! `warmer import` into a real PostgreSQL.

use std::process::Command;

use serde_json::{Value, json};
use shared::model::{ABSENT, Column, Line, Lines, LocalTime};
use shared::source::files::ParquetWriter;
use shared::source::postgres::{PostgresSettings, PostgresSource};
use testkit::PostgresServer;

/// Lines of one order of a store, with these products.
fn lines(store: &str, products: &[&str]) -> Lines {
    let mut lines = Lines::default();
    for product in products {
        let ordered_at = LocalTime::midnight("2026-03-01".parse().unwrap());
        let mut line = Line { ordered_at, quantity: 1, stock: ABSENT, ..Line::default() };
        for (column, text) in
            [(Column::OrderId, "1"), (Column::StoreId, store), (Column::ProductName, product)]
        {
            (*text).clone_into(&mut line.texts[column.slot()]);
        }
        lines.push(&line);
    }
    lines
}

#[tokio::test]
async fn a_nul_in_a_text_costs_its_row_and_not_the_import() {
    let url = PostgresServer::shared().await.fresh_database().await;
    let folder = tempfile::tempdir().unwrap();
    let csv =
        "order_id,store_id,ordered_at,product_name\n1,a,2026-03-01,p\n1,a,2026-03-01,p\0\n1,a,2026-03-01,q\n";
    std::fs::write(folder.path().join("a.csv"), csv).unwrap();
    let mut writer = ParquetWriter::create(folder.path().join("b.parquet")).unwrap();
    writer.write(&lines("b", &["p", "\0", "q", "r"])).unwrap();
    writer.finish().unwrap();

    let mut command = Command::new(env!("CARGO_BIN_EXE_warmer"));
    command.current_dir(folder.path()).args(["import", "a.csv", "b.parquet", "--rejects", "rejects.csv"]);
    command.args(["--output", "json", "--postgres", &url]).stdin(std::process::Stdio::null());
    let output = tokio::task::spawn_blocking(move || command.output()).await.unwrap().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let summary: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(summary["imported"], true);
    assert_eq!((&summary["total"]["accepted"], &summary["total"]["rejected"]), (&5.into(), &2.into()));
    assert_eq!(summary["total"]["rejected_by_reason"], json!({"bad_text": 2}));
    let rejects = std::fs::read_to_string(folder.path().join("rejects.csv")).unwrap();
    assert_eq!(
        rejects,
        "file,line,column,reason,value\na.csv,3,product_name,bad_text,p␀\nb.parquet,2,product_name,bad_text,␀\n"
    );

    let source = PostgresSource::new(&PostgresSettings { url, ..PostgresSettings::default() }).unwrap();
    let directory = source.directory().await.unwrap();
    let stored: Vec<_> =
        directory.stores().iter().map(|store| (store.store_id.as_str(), store.lines)).collect();
    assert_eq!(stored, [("a", 2), ("b", 3)]);
}
