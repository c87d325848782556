//! How to reach the table.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::model::{Column, Kind};

/// Address, table and limits. Every wait is bounded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PostgresSettings {
    /// `postgres://user:password@host:port/database`, or key=value pairs.
    pub url: String,
    /// Table or view, `schema.table` or `table`.
    pub table: String,
    /// Columns of an existing table: for a column of ours those that may fill it; the first non-empty value counts.
    /// Without any, the table has our names.
    pub columns: BTreeMap<Column, Vec<String>>,
    /// Time zone in which `timestamptz` order times are store-local.
    pub timezone: Option<String>,
    /// Most connections.
    pub connections: usize,
    /// For making a connection.
    pub connect_timeout: Duration,
    /// For one statement, in the server.
    pub statement_timeout: Duration,
    /// For a free connection.
    pub wait_timeout: Duration,
}

impl Default for PostgresSettings {
    fn default() -> Self {
        Self {
            url: "postgres://hotshelf@127.0.0.1/hotshelf".to_owned(),
            table: "orders".to_owned(),
            columns: BTreeMap::new(),
            timezone: None,
            connections: 4,
            connect_timeout: Duration::from_secs(5),
            statement_timeout: Duration::from_secs(300),
            wait_timeout: Duration::from_secs(30),
        }
    }
}

impl PostgresSettings {
    /// The table's columns that may fill `column`.
    pub(super) fn sources(&self, column: Column) -> Vec<String> {
        match self.columns.get(&column) {
            Some(names) => names.clone(),
            None if self.columns.is_empty() => vec![column.name().to_owned()],
            None => Vec::new(),
        }
    }

    /// Columns without which no line can be read.
    pub(super) fn is_required(&self, column: Column) -> bool {
        let identity = matches!(column, Column::OrderId | Column::StoreId | Column::OrderedAt);
        identity || (self.columns.is_empty() && column.kind() != Kind::Text)
    }
}
