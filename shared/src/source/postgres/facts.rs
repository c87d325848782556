//! What a database says of itself and of the table of order lines: for those who verify a set-up.

use postgres_protocol::escape::escape_literal;

use super::pool::explain;
use super::{PostgresSource, read};
use crate::model::{Column, Day, DayRange};
use crate::source::{Columns, ReadRequest, SourceError};

/// A server, and this user in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DatabaseFacts {
    /// Version, such as `15.18`.
    pub version: String,
    /// First number of it.
    pub major_version: i32,
    /// Where: host, port and database, as the server sees them.
    pub place: String,
    /// This user.
    pub user: String,
    /// The server's clock, milliseconds since 1970.
    pub now: i64,
}

/// What this user may do with the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TableRights {
    /// Read lines.
    pub select: bool,
    /// Change lines: insert, update, delete or truncate.
    pub change: bool,
}

/// The triggers that note changes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WatchFacts {
    /// Tables and partitions that hold lines.
    pub tables: i64,
    /// Those of them of which a trigger is missing or disabled.
    pub without: Vec<String>,
    /// Notes that wait to be read.
    pub waiting: i64,
}

impl PostgresSource {
    /// The server and this user.
    ///
    /// # Errors
    /// If it cannot be reached.
    pub async fn database_facts(&self) -> Result<DatabaseFacts, SourceError> {
        let client = self.shared.pool.get().await?;
        let query = "SELECT current_setting('server_version'), current_setting('server_version_num')::int, \
                     coalesce(host(inet_server_addr()) || ':' || inet_server_port(), 'local socket') || '/' || current_database(), \
                     current_user::text, (extract(epoch FROM clock_timestamp()) * 1000)::bigint";
        let row = client.query_one(query, &[]).await.map_err(explain)?;
        let version: String = row.get(0);
        Ok(DatabaseFacts {
            version: version.split(' ').next().unwrap_or_default().to_owned(),
            major_version: row.get::<_, i32>(1) / 10_000,
            place: row.get(2),
            user: row.get(3),
            now: row.get(4),
        })
    }

    /// What a user may do with the table: this one, or another one by its name; `None` if there is no such user.
    ///
    /// # Errors
    /// If the table cannot be read.
    pub async fn table_rights(&self, user: Option<&str>) -> Result<Option<TableRights>, SourceError> {
        let relation = &self.plan().await?.relation;
        let client = self.shared.pool.get().await?;
        let user = match user {
            Some(user) => {
                let query = "SELECT 1 FROM pg_roles WHERE rolname = $1";
                if client.query_opt(query, &[&user]).await.map_err(explain)?.is_none() {
                    return Ok(None);
                }
                escape_literal(user)
            }
            None => "current_user".to_owned(),
        };
        let has =
            |rights: &str| format!("has_table_privilege({user}, {}, '{rights}')", escape_literal(relation));
        let query = format!("SELECT {}, {}", has("SELECT"), has("INSERT, UPDATE, DELETE, TRUNCATE"));
        let row = client.query_one(&query, &[]).await.map_err(explain)?;
        Ok(Some(TableRights { select: row.get(0), change: row.get(1) }))
    }

    /// Store and day of one line, whichever; `None` if there is none.
    ///
    /// # Errors
    /// If the table cannot be read.
    pub async fn any_line(&self) -> Result<Option<(String, Day)>, SourceError> {
        let plan = self.plan().await?;
        let store = plan.text(Column::StoreId).unwrap_or_default();
        // Times that are text have no day here; no index would help to find it.
        let time = plan.time().unwrap_or_else(|| "timestamp '2026-01-01'".to_owned());
        let client = self.shared.pool.get().await?;
        let query = format!(
            "SELECT {store}, ({time})::date::text FROM {} WHERE {store} IS NOT NULL AND {time} IS NOT NULL LIMIT 1",
            plan.relation
        );
        let row = client.query_opt(&query, &[]).await.map_err(explain)?;
        Ok(row.and_then(|row| Some((row.get(0), row.get::<_, String>(1).parse().ok()?))))
    }

    /// The tables and partitions that reading one store and day would scan whole, for want of an index that fits.
    ///
    /// # Errors
    /// If the table cannot be read.
    pub async fn whole_scans(&self, store_id: &str, day: Day) -> Result<Vec<String>, SourceError> {
        let plan = self.plan().await?;
        let request = ReadRequest {
            stores: vec![store_id.to_owned()],
            range: DayRange { from: day, to: day },
            columns: Columns::ForCells,
        };
        let query = read::query(self, plan, &request);
        let mut client = self.shared.pool.get().await?;
        let transaction = client.transaction().await.map_err(explain)?;
        // Of a small table a scan is cheaper than any index: what counts is whether there is one that fits.
        transaction.batch_execute("SET LOCAL enable_seqscan = off").await.map_err(explain)?;
        let rows = transaction.query(&format!("EXPLAIN (COSTS OFF) {query}"), &[]).await.map_err(explain)?;
        let lines = rows.iter().map(|row| row.get::<_, String>(0));
        let scans =
            lines.filter_map(|line| line.split_once("Seq Scan on ").map(|(_, table)| table.to_owned()));
        Ok(scans.map(|table| table.split(' ').next().unwrap_or_default().to_owned()).collect())
    }

    /// The triggers that note changes of the table.
    ///
    /// # Errors
    /// If the table cannot be read, is not watched, or is watched under other settings.
    pub async fn watch_facts(&self) -> Result<WatchFacts, SourceError> {
        let dirty = &self.watch().await?.dirty;
        let relation = &self.plan().await?.relation;
        let client = self.shared.pool.get().await?;
        let query = "WITH RECURSIVE tree AS (SELECT to_regclass($1)::oid AS part UNION ALL \
                     SELECT inhrelid FROM pg_inherits JOIN tree ON inhparent = part), \
                     counted AS (SELECT part, (SELECT count(*) FROM pg_trigger t WHERE t.tgrelid = part AND NOT t.tgisinternal \
                     AND t.tgname LIKE 'hotshelf\\_%' AND t.tgenabled IN ('O', 'A')) AS triggers, \
                     CASE WHEN c.relkind = 'p' THEN 3 ELSE 4 END AS wanted FROM tree JOIN pg_class c ON c.oid = part) \
                     SELECT count(*), coalesce(array_agg(part::regclass::text) FILTER (WHERE triggers < wanted), '{}') FROM counted";
        let row = client.query_one(query, &[&relation]).await.map_err(explain)?;
        let waiting =
            client.query_one(&format!("SELECT count(*) FROM {dirty}"), &[]).await.map_err(explain)?;
        Ok(WatchFacts { tables: row.get(0), without: row.get(1), waiting: waiting.get(0) })
    }
}
