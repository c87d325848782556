//! The triggers that note changes: making them, and finding what they note.

use postgres_protocol::escape::escape_literal;
use tokio_postgres::error::SqlState;

use crate::model::Column;
use crate::source::postgres::PostgresSource;
use crate::source::postgres::catalog::{Field, TablePlan};
use crate::source::postgres::pool::explain;
use crate::source::{SourceError, SourceErrorKind};

/// The functions that watch a table, without a call of them.
pub const CHANGES: &str = include_str!("../../../../../config/changes.sql");

/// Key of the advisory lock that lets installers follow each other.
const LOCK: i64 = 0x686f_7473_6865_6c67;

/// Where the changes of a table are noted.
#[derive(Debug)]
pub(in crate::source::postgres) struct Watch {
    /// Quoted name of the table of dirty store-days.
    pub(in crate::source::postgres) dirty: String,
    /// Channel of NOTIFY.
    pub(super) channel: String,
}

impl Watch {
    /// Quoted name of the table of dirty store-days.
    pub(in crate::source::postgres) fn dirty(&self) -> &str {
        &self.dirty
    }
}

impl PostgresSource {
    /// The statements by which the table's owner has its changes noted: `config/changes.sql`, and the call with store
    /// and time as the settings map them.
    ///
    /// # Errors
    /// If the table cannot be read, or keeps its times as text.
    pub async fn watch_sql(&self) -> Result<String, SourceError> {
        let plan = self.plan().await?;
        let (store, time) = expressions(self, plan)?;
        let [table, store, time] = [&plan.relation, &store, &time].map(|text| escape_literal(text));
        Ok(format!("{CHANGES}\nSELECT hotshelf_watch({table}, {store}, {time});\n"))
    }

    /// Has the changes of the table noted from now on, by triggers on it and its partitions; again, it changes nothing. Takes
    /// the rights of the table's owner, and waits at most 5 s for whoever is writing.
    ///
    /// # Errors
    /// If the table is a view, a partition or has foreign partitions, keeps its times as text, belongs to somebody else,
    /// or is written for too long.
    pub async fn watch_changes(&self) -> Result<(), SourceError> {
        let statements = self.watch_sql().await?;
        // Out of the pool: dropped in mid-transaction, it is closed, which rolls back.
        let client = deadpool_postgres::Object::take(self.shared.pool.get().await?);
        let all = format!("BEGIN; SELECT pg_advisory_xact_lock({LOCK}); {statements} COMMIT");
        client.batch_execute(&all).await.map_err(|error| refused(self, error))
    }

    /// Watches partitions that were made since the last call, and notes what became of those that are gone; returns how
    /// many those were. To be called before every look at the changes: it is two small queries when there are none.
    ///
    /// # Errors
    /// If the table is not watched, or a new partition is written for too long.
    pub async fn watch_partitions(&self) -> Result<u32, SourceError> {
        let plan = self.plan().await?;
        let client = self.shared.pool.get().await?;
        let query = "SELECT hotshelf_watch_partitions(to_regclass($1))";
        let row = client.query_one(query, &[&plan.relation]).await.map_err(|error| refused(self, error))?;
        Ok(u32::try_from(row.get::<_, i32>(0)).unwrap_or(0))
    }

    /// Where the changes are noted; looked up once.
    pub(in crate::source::postgres) async fn watch(&self) -> Result<&Watch, SourceError> {
        self.shared.watch.get_or_try_init(|| look_up(self)).await
    }
}

async fn look_up(source: &PostgresSource) -> Result<Watch, SourceError> {
    let plan = source.plan().await?;
    let expected = expressions(source, plan)?;
    let client = source.shared.pool.get().await?;
    let query = "SELECT dirty::text, channel, store, time FROM hotshelf_watches WHERE root = to_regclass($1)";
    let found = client.query_opt(query, &[&plan.relation]).await.map_err(|error| refused(source, error))?;
    let Some(row) = found else { return Err(unwatched(source)) };
    if (row.get(2), row.get(3)) != expected {
        let (store, time): (String, String) = (row.get(2), row.get(3));
        return Err(SourceError::new(
            SourceErrorKind::Settings,
            format!(
                "postgres: changes of {} are noted by store {store} and time {time}, which the settings map otherwise",
                source.shared.settings.table
            ),
            "have it watched anew under these settings, or correct [postgres] columns and timezone",
        ));
    }
    Ok(Watch { dirty: row.get(0), channel: row.get(1) })
}

/// The SQL of store and time, as `hotshelf_watch` takes them.
fn expressions(source: &PostgresSource, plan: &TablePlan) -> Result<(String, String), SourceError> {
    if plan.is_canonical {
        // Its defaults, so that a call by hand is the same.
        return Ok(("store_id".to_owned(), "ordered_at".to_owned()));
    }
    let Some(time) = plan.time() else {
        return Err(SourceError::new(
            SourceErrorKind::Settings,
            format!(
                "postgres: {} keeps its times as text, whose day no trigger can tell",
                source.shared.settings.table
            ),
            "set [changes] mode = \"poll\", or give the table a column of type timestamp",
        ));
    };
    let store: Vec<String> = plan.of(Column::StoreId).iter().map(Field::as_text).collect();
    Ok((store.join(", "), time))
}

fn unwatched(source: &PostgresSource) -> SourceError {
    SourceError::new(
        SourceErrorKind::Schema,
        format!("postgres: changes of {} are not noted", source.shared.settings.table),
        "have the table's owner run config/changes.sql and then SELECT hotshelf_watch for the table, or set [changes] mode = \"poll\"",
    )
}

/// What went wrong with triggers and their notes, in words for that.
pub(in crate::source::postgres) fn refused(
    source: &PostgresSource,
    error: tokio_postgres::Error,
) -> SourceError {
    let table = &source.shared.settings.table;
    let Some(told) = error.as_db_error() else { return explain(error) };
    let code = told.code();
    if *code == SqlState::WRONG_OBJECT_TYPE {
        let remedy = told.hint().unwrap_or("set [changes] mode = \"poll\"").to_owned();
        let what = format!("postgres: changes cannot be noted: {}", told.message());
        SourceError::new(SourceErrorKind::Settings, what, remedy).because(error)
    } else if [SqlState::UNDEFINED_FUNCTION, SqlState::UNDEFINED_TABLE, SqlState::RAISE_EXCEPTION]
        .contains(code)
    {
        unwatched(source).because(error)
    } else if *code == SqlState::INSUFFICIENT_PRIVILEGE {
        SourceError::new(
            SourceErrorKind::Denied,
            format!("postgres: noting changes of {table}: {}", told.message()),
            "have the table's owner run config/changes.sql, and give the warmer's user the role hotshelf_warmer; or set \
             [changes] mode = \"poll\"",
        )
        .because(error)
    } else if *code == SqlState::LOCK_NOT_AVAILABLE {
        SourceError::new(
            SourceErrorKind::Timeout,
            format!("postgres: {table} was being written for too long to give it triggers"),
            "try again at a quieter time",
        )
        .because(error)
    } else {
        explain(error)
    }
}
