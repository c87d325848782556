//! Checks of PostgreSQL that warmer and gateway make alike: whether it is there, and the table is as it must be.

use super::Report;
use crate::config::ChangeMode;
use crate::model::Day;
use crate::source::SourceError;
use crate::source::postgres::PostgresSource;

/// Oldest version whose triggers can note changes.
const FOR_TRIGGERS: i32 = 15;
/// Oldest version that is tried.
const OLDEST: i32 = 13;

const OTHERS: [&str; 5] =
    ["postgres.version", "postgres.table", "postgres.lines", "postgres.index", "postgres.rights"];

/// What the checks found that others go on from.
#[derive(Clone, Debug, Default)]
pub struct Found {
    /// The server's clock, milliseconds since 1970.
    pub now: Option<i64>,
    /// Store and day of some line.
    pub line: Option<(String, Day)>,
    /// Whether the table can be read.
    pub readable: bool,
}

/// Makes the checks. `mode` is how changes are found, for whom looks for them.
pub async fn check(report: &mut Report, source: &PostgresSource, mode: Option<ChangeMode>) -> Found {
    let mut found = Found::default();
    let facts = match source.database_facts().await {
        Ok(facts) => facts,
        Err(error) => {
            failed(report, "postgres.reachable", &error);
            report.skip(&OTHERS, "postgres.reachable failed");
            return found;
        }
    };
    found.now = Some(facts.now);
    report.pass("postgres.reachable", format!("{} as {}", facts.place, facts.user));
    let needs = if mode == Some(ChangeMode::Trigger) { FOR_TRIGGERS } else { OLDEST };
    if facts.major_version < needs {
        report.fail(
            "postgres.version",
            facts.version,
            format!("install {needs} or later, or set changes.mode = \"poll\" if it is {OLDEST} or later"),
        );
    } else if facts.major_version < FOR_TRIGGERS {
        report.warn(
            "postgres.version",
            facts.version,
            "15 or later is what is tested, and what triggers need",
        );
    } else {
        report.pass("postgres.version", facts.version);
    }
    if let Err(error) = source.check().await {
        failed(report, "postgres.table", &error);
        report.skip(&["postgres.lines", "postgres.index", "postgres.rights"], "postgres.table failed");
        return found;
    }
    report.pass("postgres.table", format!("{}: all columns are there", source.table()));
    if !rights(report, source).await {
        report.skip(&["postgres.lines", "postgres.index"], "postgres.rights failed");
        return found;
    }
    found.readable = true;
    match source.any_line().await {
        Ok(Some((store, day))) => {
            report.pass("postgres.lines", format!("there are, such as of store {store} on {day}"));
            index(report, source, &store, day).await;
            found.line = Some((store, day));
        }
        Ok(None) => {
            report.warn("postgres.lines", "the table has no lines", "import some: warmer import export.csv");
            report.skip(&["postgres.index"], "the table has no lines");
        }
        Err(error) => {
            failed(report, "postgres.lines", &error);
            report.skip(&["postgres.index"], "postgres.lines failed");
        }
    }
    found
}

/// Notes an error of PostgreSQL.
pub fn failed(report: &mut Report, name: &'static str, error: &SourceError) {
    report.fail(name, error.what(), error.remedy());
}

async fn rights(report: &mut Report, source: &PostgresSource) -> bool {
    let name = "postgres.rights";
    match source.table_rights(None).await {
        Ok(Some(rights)) if rights.select => {
            report.pass(
                name,
                if rights.change { "this user reads and changes lines" } else { "this user reads lines" },
            );
            true
        }
        Ok(_) => {
            let remedy = format!(
                "GRANT SELECT ON {} TO this user, or run warmer setup postgres --apply",
                source.table()
            );
            report.fail(name, "this user may not read the table", remedy);
            false
        }
        Err(error) => {
            failed(report, name, &error);
            false
        }
    }
}

async fn index(report: &mut Report, source: &PostgresSource, store: &str, day: Day) {
    let name = "postgres.index";
    match source.whole_scans(store, day).await {
        Ok(scans) if scans.is_empty() => report.pass(name, "lines of one store and day are found by index"),
        Ok(scans) => report.fail(
            name,
            format!("reading one store and day scans all of {}", scans.join(", ")),
            "run warmer setup postgres --apply, or make an index on store and time of the table (config/schema.sql: orders_store_time)",
        ),
        Err(error) => failed(report, name, &error),
    }
}

/// Checks how changes are found.
pub async fn changes(report: &mut Report, source: &PostgresSource, mode: ChangeMode) {
    let name = "postgres.changes";
    if mode == ChangeMode::Off {
        return report.warn(
            name,
            "changes.mode is \"off\": every cycle reads everything again",
            "set changes.mode = \"poll\", or \"trigger\" (warmer setup postgres --mode trigger)",
        );
    }
    if mode == ChangeMode::Poll {
        return report.pass(name, "asked for (changes.mode is \"poll\")");
    }
    match source.watch_facts().await {
        Ok(facts) if facts.without.is_empty() => {
            report.pass(name, format!("noted by triggers on {} tables, {} notes wait", facts.tables, facts.waiting));
        }
        Ok(facts) => report.fail(
            name,
            format!("no triggers note what changes in {}", facts.without.join(", ")),
            "run warmer setup postgres --apply, or SELECT hotshelf_watch for the table as its owner (config/changes.sql)",
        ),
        Err(error) => failed(report, name, &error),
    }
}

/// Checks that the role of the gateways reads and no more.
pub async fn gateway_role(report: &mut Report, source: &PostgresSource, role: &str) {
    let name = "postgres.gateway_rights";
    match source.table_rights(Some(role)).await {
        Ok(Some(rights)) if rights.change => report.fail(
            name,
            format!("{role} may change lines"),
            format!("REVOKE INSERT, UPDATE, DELETE, TRUNCATE ON {} FROM {role}, and see of which roles it is a member", source.table()),
        ),
        Ok(Some(rights)) if rights.select => report.pass(name, format!("{role} may read, and no more")),
        Ok(Some(_)) => report.fail(
            name,
            format!("{role} may not read"),
            format!("GRANT SELECT ON {} TO {role}, or run warmer setup postgres --apply", source.table()),
        ),
        Ok(None) => report.warn(
            name,
            format!("there is no role {role}; gateways may connect as somebody who can write"),
            "run warmer setup postgres --apply, or name the gateways' role with --gateway-user",
        ),
        Err(error) => failed(report, name, &error),
    }
}
