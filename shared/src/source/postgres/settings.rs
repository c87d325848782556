//! How to reach the table.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use crate::model::{Column, Kind};

/// Address, table and limits. Every wait is bounded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PostgresSettings {
    /// `postgres://user:password@host:port/database?sslmode=…`, or key=value pairs. `sslmode` is `disable`, `prefer`
    /// (the default: TLS where the server has it, without a check), `require` (TLS, without a check unless there is
    /// `ca`), `verify-ca` or `verify-full`.
    pub url: String,
    /// File that holds the password, instead of the address.
    pub password_file: Option<PathBuf>,
    /// Authorities in PEM by which the server's certificate is checked; without them, those of the system.
    pub ca: Option<PathBuf>,
    /// Certificate of this client in PEM.
    pub certificate: Option<PathBuf>,
    /// Its private key in PEM.
    pub key: Option<PathBuf>,
    /// Table or view, `schema.table` or `table`.
    pub table: String,
    /// Columns of an existing table: for a column of ours those that may fill it; the first non-empty value counts.
    /// A column that is not named here is the one of our own name, or absent if there is none. An empty list makes it
    /// absent. In TOML:
    ///
    /// ```toml
    /// [postgres]
    /// table = "sales.订单明细"
    /// timezone = "Asia/Shanghai"          # needed for timestamptz
    /// [postgres.columns]
    /// order_id = "订单ID"
    /// store_id = ["门店ID", "门店名称"]
    /// ordered_at = ["下单时间", "日期"]
    /// product_name = "商品名称"
    /// paid_price = "实收价格"              # absent values are the shelf price
    /// shelf_price = "商品实售价"
    /// cost = ["商品采购成本", "成本"]
    /// ```
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
    /// Reads that may wait for a free connection, of programs that have a breaker; more are turned away at once.
    pub max_waiting: usize,
    /// Time between two probes of such a program, and for how long a server may be back before it is noticed.
    pub probe_interval: Duration,
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
            max_waiting: 64,
            probe_interval: Duration::from_millis(500),
            password_file: None,
            ca: None,
            certificate: None,
            key: None,
        }
    }
}

impl PostgresSettings {
    /// The table's columns that may fill `column`: those named for it, else the one of its own name, if there is one.
    pub(super) fn sources(&self, column: Column) -> Vec<String> {
        self.columns.get(&column).cloned().unwrap_or_else(|| vec![column.name().to_owned()])
    }

    /// Whether the settings name columns for `column`, which must then be there.
    pub(super) fn is_named(&self, column: Column) -> bool {
        self.columns.contains_key(&column)
    }

    /// Columns without which no line can be read.
    pub(super) fn is_required(&self, column: Column) -> bool {
        let identity = matches!(column, Column::OrderId | Column::StoreId | Column::OrderedAt);
        identity || (self.columns.is_empty() && column.kind() != Kind::Text)
    }
}
