//! What an administrator does in the database: the table, what notes its changes, the roles and their users. Each step is
//! looked at first, and skipped where it is there.

use deadpool_postgres::Client;
use postgres_protocol::escape::{escape_identifier, escape_literal};
use sha2::{Digest as _, Sha256};
use tokio_postgres::error::SqlState;

use super::changes::refused;
use super::pool::explain;
use super::roles::{READER, SetupLogin, SetupStep, WARMER, exists, make_role};
use super::{CHANGES, PostgresSource, SCHEMA};
use crate::model::Column;
use crate::source::{SourceError, SourceErrorKind};

/// Key of the advisory lock that lets administrators follow each other.
const LOCK: i64 = 0x686f_7473_6865_6c68;

/// How the database is, and what is to be done.
#[derive(Clone, Debug)]
pub struct SetupPlan {
    /// Version of the server.
    pub version: String,
    /// The database.
    pub database: String,
    /// Who looks.
    pub user: String,
    /// The table, quoted.
    pub table: String,
    /// In their order.
    pub steps: Vec<SetupStep>,
    /// What to look at.
    pub warnings: Vec<String>,
    /// Statements that would help, and are somebody else's to decide.
    pub suggestions: Vec<String>,
}

/// The table as the catalog has it.
struct Found {
    oid: u32,
    kind: String,
    schema: String,
}

impl PostgresSource {
    /// What is to be done so that these users can log in and do their part; `has_triggers`: changes are noted by triggers.
    ///
    /// # Errors
    /// If the database does not tell, a table of one's own lacks columns, or a table cannot have triggers.
    pub async fn setup_plan(
        &self,
        logins: &[SetupLogin],
        has_triggers: bool,
    ) -> Result<SetupPlan, SourceError> {
        let settings = &self.shared.settings;
        let client = self.shared.pool.get().await?;
        let facts = "SELECT current_setting('server_version'), current_database()::text, current_user::text, current_schema()::text, \
                     current_setting('server_version_num')::int, \
                     (SELECT rolsuper OR rolcreaterole FROM pg_roles WHERE rolname = current_user)";
        let row = client.query_one(facts, &[]).await.map_err(explain)?;
        let relation = settings.table.split('.').map(escape_identifier).collect::<Vec<_>>().join(".");
        let found = find(&client, &relation).await?;
        let mut plan = SetupPlan {
            version: row.get(0),
            database: row.get(1),
            user: row.get(2),
            table: relation.clone(),
            steps: Vec::new(),
            warnings: Vec::new(),
            suggestions: Vec::new(),
        };
        let is_own = settings.table == "orders" && settings.columns.is_empty();
        let schema = match (&found, row.get::<_, Option<String>>(3)) {
            (Some(found), _) => found.schema.clone(),
            (None, Some(current)) => current,
            (None, None) => return Err(no_schema()),
        };
        match &found {
            // Ours, or to be made.
            None if is_own => plan.steps.push(schema_step(&client, true).await?),
            Some(found) if is_own && found.kind == "p" => {
                // Somebody may have dropped it since.
                let is_indexed = self.index_suggestion(&client, found).await?.is_none();
                plan.steps.push(schema_step(&client, is_indexed).await?);
            }
            // Somebody's: it is read, and must have the columns.
            _ => {
                self.plan().await?;
                if let Some(found) = &found {
                    plan.suggestions.extend(self.index_suggestion(&client, found).await?);
                }
            }
        }
        if has_triggers {
            plan.steps.push(self.watch_step(&client, found.as_ref(), row.get(4)).await?);
        } else if found.is_some() && self.watch().await.is_ok() {
            plan.warnings.push(format!(
                "changes of {relation} are noted by triggers, which this mode does not need; to be rid of them: SELECT \
                 hotshelf_unwatch({})",
                escape_literal(&relation)
            ));
        }
        plan.steps.push(reader_step(&client, found.as_ref(), &relation, &schema, &plan.database).await?);
        for login in logins {
            let step = self.login_step(&client, login, has_triggers, &mut plan.warnings).await?;
            plan.steps.push(step);
        }
        let may_make_roles: bool = row.get(5);
        if !may_make_roles && plan.steps.iter().any(|step| !step.is_there && step.login.is_some()) {
            plan.warnings.push(format!(
                "{} may not make users; have somebody with CREATEROLE run this, or run what --write writes",
                plan.user
            ));
        }
        let open = "SELECT has_schema_privilege('public', $1::text, 'CREATE')";
        if client.query_one(open, &[&schema]).await.map_err(explain)?.get(0) {
            let quoted = escape_identifier(&schema);
            plan.warnings.push(format!(
                "every user may make tables in the schema {schema}, these two included; if no program needs that: REVOKE CREATE \
                 ON SCHEMA {quoted} FROM PUBLIC"
            ));
        }
        Ok(plan)
    }

    /// Runs statements in one transaction.
    ///
    /// # Errors
    /// If one of them fails; then nothing has changed.
    pub async fn set_up(&self, statements: &str) -> Result<(), SourceError> {
        // Out of the pool: dropped in mid-transaction, it is closed, which rolls back.
        let client = deadpool_postgres::Object::take(self.shared.pool.get().await?);
        let all = format!("BEGIN; SELECT pg_advisory_xact_lock({LOCK});\n{statements}\nCOMMIT");
        client.batch_execute(&all).await.map_err(|error| {
            let Some(told) = error.as_db_error() else { return explain(error) };
            if *told.code() != SqlState::INSUFFICIENT_PRIVILEGE {
                return refused(self, error);
            }
            let what = format!("postgres: {}; nothing was changed", told.message());
            SourceError::new(
                SourceErrorKind::Denied,
                what,
                "give the address of the database's owner with CREATEROLE, or of a superuser (--postgres); or have one of them run \
                 what --write FILE writes",
            )
            .because(error)
        })
    }

    /// Triggers that note changes.
    async fn watch_step(
        &self,
        client: &Client,
        found: Option<&Found>,
        version: i32,
    ) -> Result<SetupStep, SourceError> {
        let table = &self.shared.settings.table;
        let refuse = |what: String| {
            let remedy = "give --mode poll, and set [changes] mode = \"poll\" for the warmer";
            Err(SourceError::new(SourceErrorKind::Settings, what, remedy))
        };
        if version < 150_000 {
            return refuse("postgres: noting changes by triggers takes PostgreSQL 15 or later".to_owned());
        }
        let call = match found {
            Some(found) if !["r", "p"].contains(&found.kind.as_str()) => {
                return refuse(format!(
                    "postgres: {table} is a view or foreign table, which cannot have these triggers"
                ));
            }
            Some(_) => self.watch_sql().await?,
            None => format!("{CHANGES}\nSELECT hotshelf_watch('orders', 'store_id', 'ordered_at');\n"),
        };
        let stamp = stamp("config/changes.sql", CHANGES);
        let function = "hotshelf_watch(regclass, text, text)";
        let mut is_there = has_stamp(client, function, &stamp).await?;
        if is_there {
            is_there = match self.watch().await {
                Ok(watch) if exists(client, WARMER).await? => {
                    let query = "SELECT has_table_privilege($1::name, $2::text, 'SELECT') \
                                 AND has_table_privilege($1::name, $2::text, 'DELETE')";
                    let may: bool =
                        client.query_one(query, &[&WARMER, &watch.dirty()]).await.map_err(explain)?.get(0);
                    // Somebody may have dropped or disabled some since.
                    may && self.watch_facts().await?.without.is_empty()
                }
                _ => false,
            };
        }
        Ok(SetupStep {
            title: format!(
                "triggers that note which store-days of {table} change, and the role {WARMER} (config/changes.sql)"
            ),
            is_there,
            sql: format!(
                "{}\nCOMMENT ON FUNCTION {function} IS {};",
                call.trim_end(),
                escape_literal(&stamp)
            ),
            login: None,
        })
    }

    /// The index that reads of a table of one's own want, if it has none that does as well.
    async fn index_suggestion(&self, client: &Client, found: &Found) -> Result<Option<String>, SourceError> {
        let plan = self.plan().await?;
        let (stores, times) = (plan.of(Column::StoreId), plan.of(Column::OrderedAt));
        let ([store, ..], [time, ..]) = (stores, times) else { return Ok(None) };
        if !["r", "p", "m"].contains(&found.kind.as_str()) {
            return Ok(None);
        }
        let query = "SELECT array(SELECT coalesce(a.attname::text, '') FROM unnest(i.indkey::int2[]) WITH ORDINALITY AS u (n, o) \
                     LEFT JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = u.n WHERE o <= i.indnkeyatts ORDER BY o) \
                     FROM pg_index i WHERE i.indrelid = $1 AND i.indisvalid AND i.indpred IS NULL";
        let rows = client.query(query, &[&found.oid]).await.map_err(explain)?;
        let fits = rows.iter().any(|row| {
            let columns: Vec<String> =
                row.get::<_, Vec<String>>(0).iter().map(|name| escape_identifier(name)).collect();
            let is_of = |fields: &[super::catalog::Field], column: &String| {
                fields.iter().any(|field| field.name == *column)
            };
            columns.first().is_some_and(|first| is_of(stores, first))
                && columns.iter().any(|column| is_of(times, column))
        });
        // A partitioned table cannot be indexed beside writers in one statement.
        let how = if found.kind == "p" { "" } else { " CONCURRENTLY" };
        let statement = format!("CREATE INDEX{how} ON {} ({}, {});", plan.relation, store.name, time.name);
        Ok((!fits).then_some(statement))
    }
}

/// The table of `config/schema.sql`.
async fn schema_step(client: &Client, is_indexed: bool) -> Result<SetupStep, SourceError> {
    let stamp = stamp("config/schema.sql", SCHEMA);
    let function = "hotshelf_make_partitions(date, date)";
    Ok(SetupStep {
        title: "the table of order lines with partitions and index (config/schema.sql)".to_owned(),
        is_there: is_indexed && has_stamp(client, function, &stamp).await?,
        sql: format!("{}\nCOMMENT ON FUNCTION {function} IS {};", SCHEMA.trim_end(), escape_literal(&stamp)),
        login: None,
    })
}

/// The role that may select.
async fn reader_step(
    client: &Client,
    found: Option<&Found>,
    relation: &str,
    schema: &str,
    database: &str,
) -> Result<SetupStep, SourceError> {
    let is_role = exists(client, READER).await?;
    // A role that is still to be made may what all may.
    let role = if is_role { READER } else { "public" };
    let rights = "SELECT has_database_privilege($1::name, $2::text, 'CONNECT'), has_schema_privilege($1::name, $3::text, 'USAGE')";
    let row = client.query_one(rights, &[&role, &database, &schema]).await.map_err(explain)?;
    let (may_connect, may_use): (bool, bool) = (row.get(0), row.get(1));
    let may_select = match found {
        Some(found) if is_role => {
            let query = "SELECT has_table_privilege($1::name, $2::oid, 'SELECT')";
            client.query_one(query, &[&READER, &found.oid]).await.map_err(explain)?.get(0)
        }
        _ => false,
    };
    let mut sql = make_role(READER);
    if !may_connect {
        sql.push_str(&format!("\nGRANT CONNECT ON DATABASE {} TO {READER};", escape_identifier(database)));
    }
    if !may_use {
        sql.push_str(&format!("\nGRANT USAGE ON SCHEMA {} TO {READER};", escape_identifier(schema)));
    }
    sql.push_str(&format!("\nGRANT SELECT ON {relation} TO {READER};"));
    Ok(SetupStep {
        title: format!("the role {READER}, which may select from {relation}"),
        is_there: may_connect && may_use && may_select,
        sql,
        login: None,
    })
}

async fn find(client: &Client, relation: &str) -> Result<Option<Found>, SourceError> {
    let query = "SELECT c.oid, c.relkind::text, n.nspname::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
                 WHERE c.oid = to_regclass($1)";
    let row = client.query_opt(query, &[&relation]).await.map_err(explain)?;
    Ok(row.map(|row| Found { oid: row.get(0), kind: row.get(1), schema: row.get(2) }))
}

/// What a function of a file is marked with, so that another version of the file is seen.
fn stamp(file: &str, text: &str) -> String {
    let digits: String =
        Sha256::digest(text.as_bytes()).iter().take(6).map(|byte| format!("{byte:02x}")).collect();
    format!("{file} {digits}")
}

async fn has_stamp(client: &Client, function: &str, stamp: &str) -> Result<bool, SourceError> {
    let query = "SELECT obj_description(to_regprocedure($1)::oid, 'pg_proc') = $2";
    let row = client.query_one(query, &[&function, &stamp]).await.map_err(explain)?;
    Ok(row.get::<_, Option<bool>>(0).unwrap_or(false))
}

fn no_schema() -> SourceError {
    SourceError::new(
        SourceErrorKind::Schema,
        "postgres: the search path of this user names no schema that is there",
        "run CREATE SCHEMA public, or set the user's search_path",
    )
}
