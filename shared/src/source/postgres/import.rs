//! Importing into the table of `config/schema.sql`: everything is staged, then replaced in one transaction.

use bytes::{BufMut, Bytes, BytesMut};
use futures_util::SinkExt;

use super::PostgresSource;
use super::numeric;
use super::pool::explain;
use crate::model::column::Kind;
use crate::model::day::DAY_MICROS;
use crate::model::{ABSENT, Column, Day, Lines};
use crate::source::import::{ImportMode, ImportPlan, StoreDayChange};
use crate::source::{SourceError, SourceErrorKind};

/// The table, its partitions, indexes and roles.
pub const SCHEMA: &str = include_str!("../../../../config/schema.sql");

/// Key of the advisory lock that lets imports follow each other.
const LOCK: i64 = 0x686f_7473_6865_6c66;
/// Rows per message to the server.
const ROWS_PER_MESSAGE: usize = 256;

/// New partitions get the triggers of `config/changes.sql` while they are empty, if the table has them.
const WATCH: &str = "DO $$ BEGIN \
    IF to_regprocedure('hotshelf_watch_partitions(regclass)') IS NOT NULL \
        AND has_function_privilege('hotshelf_watch_partitions(regclass)', 'EXECUTE') THEN \
        IF EXISTS (SELECT FROM hotshelf_watches WHERE root = 'orders'::regclass) THEN \
            PERFORM hotshelf_watch_partitions('orders'); \
        END IF; \
    END IF; \
    END $$;";

/// An import under way: one connection in one transaction. Dropped without a commit, it leaves nothing.
pub struct PostgresImport {
    /// Taken out of the pool: a connection that is dropped in mid-transaction is closed, which rolls back.
    client: deadpool_postgres::ClientWrapper,
    mode: Option<ImportMode>,
    made_schema: bool,
}

impl std::fmt::Debug for PostgresImport {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PostgresImport").finish_non_exhaustive()
    }
}

impl PostgresImport {
    /// Starts an import, after waiting for another one to end. Makes the table if it is missing.
    ///
    /// # Errors
    /// If the database cannot be reached, or the table is not of our layout.
    pub async fn begin(source: &PostgresSource) -> Result<Self, SourceError> {
        let settings = &source.shared.settings;
        if !settings.columns.is_empty() || settings.table != "orders" {
            return Err(SourceError::new(
                SourceErrorKind::Settings,
                format!("postgres: {} is a table of your own, which import does not change", settings.table),
                "import into a folder, or remove table and columns under [postgres]",
            ));
        }
        let client = deadpool_postgres::Object::take(source.shared.pool.get().await?);
        client.batch_execute("BEGIN").await.map_err(explain)?;
        client.execute("SELECT pg_advisory_xact_lock($1)", &[&LOCK]).await.map_err(lock_error)?;
        // The limit is for reads that somebody waits for; moving millions of lines may take longer.
        client.batch_execute("SET LOCAL statement_timeout = 0").await.map_err(explain)?;
        let exists: bool =
            client.query_one("SELECT to_regclass('orders') IS NOT NULL", &[]).await.map_err(explain)?.get(0);
        if !exists {
            client.batch_execute(SCHEMA).await.map_err(explain)?;
        }
        let stage = "CREATE TEMP TABLE staged_orders (LIKE orders INCLUDING DEFAULTS) ON COMMIT DROP";
        client.batch_execute(stage).await.map_err(explain)?;
        Ok(Self { client, mode: None, made_schema: !exists })
    }

    /// Whether the table was missing and is made by this import.
    #[must_use]
    pub fn made_schema(&self) -> bool {
        self.made_schema
    }

    /// Stages lines.
    ///
    /// # Errors
    /// If the database refuses them.
    pub async fn write(&mut self, lines: &Lines) -> Result<(), SourceError> {
        let names: Vec<&str> = Column::ALL.iter().map(|column| column.name()).collect();
        let statement = format!("COPY staged_orders ({}) FROM STDIN (FORMAT binary)", names.join(", "));
        let sink = self.client.copy_in::<_, Bytes>(&statement).await.map_err(explain)?;
        let mut sink = std::pin::pin!(sink);
        let mut message = BytesMut::new();
        message.extend_from_slice(b"PGCOPY\n\xff\r\n\0");
        message.put_u32(0);
        message.put_u32(0);
        for row in 0..lines.len() {
            put_row(&mut message, lines, row);
            if row % ROWS_PER_MESSAGE == ROWS_PER_MESSAGE - 1 {
                sink.send(message.split().freeze()).await.map_err(explain)?;
            }
        }
        message.put_i16(-1);
        sink.send(message.freeze()).await.map_err(explain)?;
        sink.finish().await.map_err(explain)?;
        Ok(())
    }

    /// What a commit would do.
    ///
    /// # Errors
    /// If the database cannot say.
    pub async fn plan(&mut self, mode: ImportMode) -> Result<ImportPlan, SourceError> {
        self.mode = Some(mode);
        self.client
            .batch_execute(
                "ANALYZE staged_orders; \
                 CREATE TEMP TABLE staged_days ON COMMIT DROP AS \
                 SELECT store_id, ordered_at::date AS day, count(*) AS lines FROM staged_orders GROUP BY 1, 2; \
                 CREATE TEMP TABLE staged_ids ON COMMIT DROP AS \
                 SELECT DISTINCT store_id, ordered_at::date AS day, order_id FROM staged_orders; \
                 ANALYZE staged_days; ANALYZE staged_ids",
            )
            .await
            .map_err(explain)?;
        let gone = match mode {
            ImportMode::StoreDays => "count(o.order_id)",
            ImportMode::Orders => "count(i.order_id)",
        };
        let query = format!(
            "SELECT s.store_id, s.day - date '1970-01-01', s.lines, count(o.order_id), {gone} FROM staged_days s \
             LEFT JOIN orders o ON o.store_id = s.store_id AND o.ordered_at >= s.day AND o.ordered_at < s.day + 1 \
             LEFT JOIN staged_ids i ON i.store_id = s.store_id AND i.day = s.day AND i.order_id = o.order_id \
             GROUP BY 1, 2, 3 ORDER BY 1, 2"
        );
        let mut plan = ImportPlan::default();
        for row in self.client.query(&query, &[]).await.map_err(explain)? {
            let number = |at: usize| u64::try_from(row.get::<_, i64>(at)).unwrap_or(0);
            let (staged, before, gone) = (number(2), number(3), number(4));
            plan.lines_added += staged;
            plan.lines_removed += gone;
            let after = before - gone + staged;
            plan.changes.push(StoreDayChange { store_id: row.get(0), day: Day(row.get(1)), before, after });
        }
        Ok(plan)
    }

    /// Replaces, as planned, in one transaction.
    ///
    /// # Errors
    /// If the database refuses; then nothing has changed.
    pub async fn commit(mut self) -> Result<(), SourceError> {
        let mode = match self.mode {
            Some(mode) => mode,
            None => {
                self.plan(ImportMode::StoreDays).await?;
                ImportMode::StoreDays
            }
        };
        let (from, orders) = match mode {
            ImportMode::StoreDays => ("staged_days", ""),
            ImportMode::Orders => ("staged_ids", " AND o.order_id = s.order_id"),
        };
        let statements = format!(
            "DELETE FROM orders o USING {from} s \
             WHERE o.store_id = s.store_id AND o.ordered_at >= s.day AND o.ordered_at < s.day + 1{orders}; \
             SELECT hotshelf_make_partitions(month, month) \
             FROM (SELECT DISTINCT date_trunc('month', day)::date AS month FROM staged_days) AS months; \
             {WATCH} \
             INSERT INTO orders SELECT * FROM staged_orders ORDER BY store_id, ordered_at; \
             COMMIT"
        );
        self.client.batch_execute(&statements).await.map_err(explain)?;
        // Outside the transaction. Fresh statistics make the next reads choose the index, and a fresh visibility map
        // spares them the rows where the index says it all. The import is done without it, too.
        for statement in ["SET statement_timeout = 0", "VACUUM (ANALYZE) orders"] {
            if let Err(error) = self.client.batch_execute(statement).await {
                tracing::warn!(%error, "the import is done, but not its VACUUM; run VACUUM ANALYZE orders");
                break;
            }
        }
        Ok(())
    }

    /// Leaves everything as it was.
    ///
    /// # Errors
    /// If the connection broke, which leaves everything as it was, too.
    pub async fn abandon(self) -> Result<(), SourceError> {
        self.client.batch_execute("ROLLBACK").await.map_err(explain)
    }
}

fn lock_error(error: tokio_postgres::Error) -> SourceError {
    let told = explain(error);
    match told.kind() {
        SourceErrorKind::Timeout => SourceError::new(
            SourceErrorKind::Timeout,
            "postgres: another import has been at work for longer than postgres.statement_timeout",
            "wait until it is done, or end it, and import again",
        )
        .because(told),
        _ => told,
    }
}

fn put_row(message: &mut BytesMut, lines: &Lines, row: usize) {
    message.put_i16(i16::try_from(Column::ALL.len()).unwrap_or(0));
    for column in Column::ALL {
        match column.kind() {
            Kind::Text => put_text(message, column, lines.text(column, row)),
            Kind::Time => {
                message.put_i32(8);
                message.put_i64(lines.ordered_at[row] - 10_957 * DAY_MICROS);
            }
            Kind::Integer => {
                let value = if column == Column::Quantity {
                    i64::from(lines.quantity[row])
                } else {
                    lines.stock[row]
                };
                match i32::try_from(value) {
                    Ok(value) => {
                        message.put_i32(4);
                        message.put_i32(value);
                    }
                    // Only an absent stock is outside 32 bits.
                    Err(_) => message.put_i32(-1),
                }
            }
            Kind::Decimal => match lines.decimals[column.slot()][row] {
                ABSENT if column == Column::DistanceM => message.put_i32(-1),
                micro => numeric::put(message, micro),
            },
        }
    }
}

fn put_text(message: &mut BytesMut, column: Column, text: &str) {
    let nullable = matches!(column, Column::StoreName | Column::City | Column::StoreCode | Column::Barcode);
    if nullable && text.is_empty() {
        message.put_i32(-1);
        return;
    }
    message.put_i32(i32::try_from(text.len()).unwrap_or(0));
    message.put_slice(text.as_bytes());
}
