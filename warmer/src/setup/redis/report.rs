//! What was found, what would change or was changed, for people and programs.

use std::path::PathBuf;

use comfy_table::presets::NOTHING;
use comfy_table::{ContentArrangement, Table};
use serde::{Serialize, Serializer};
use shared::cache::ServerFacts;

/// What `warmer setup redis` tells.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Report {
    /// The server; `None` where files are written for one that does not run yet.
    pub server: Option<Server>,
    /// Begin of every key.
    pub prefix: String,
    /// Each setting.
    pub settings: Vec<SettingRow>,
    /// Each user.
    pub users: Vec<UserRow>,
    /// What to look at.
    pub warnings: Vec<String>,
    /// What was done.
    pub done: Vec<String>,
    /// Why not, or not all of it, was done.
    pub problem: Option<String>,
}

/// A server.
#[derive(Clone, Debug, Serialize)]
pub struct Server {
    /// `redis`, or the name of one that is compatible.
    pub name: String,
    /// Of Redis.
    pub version: String,
    /// `standalone`.
    pub mode: String,
    /// `master`.
    pub role: String,
    /// The file that it was started with.
    pub config_file: Option<String>,
    /// Bytes in use.
    pub used_memory: u64,
    /// Keys of all databases.
    pub keys: u64,
}

impl Server {
    pub(super) fn new(facts: &ServerFacts) -> Self {
        Self {
            name: facts.name.clone(),
            version: facts.version.to_string(),
            mode: facts.mode.clone(),
            role: facts.role.clone(),
            config_file: facts.config_file.clone(),
            used_memory: facts.used_memory,
            keys: facts.databases.values().sum(),
        }
    }
}

/// A setting.
#[derive(Clone, Debug, Serialize)]
pub struct SettingRow {
    /// Its name.
    pub name: &'static str,
    /// Its value; `None` if it is not known.
    pub now: Option<String>,
    /// The value that it should have.
    pub wanted: String,
    /// Why.
    pub why: &'static str,
    /// Whether it would change.
    pub changes: bool,
}

/// How a user is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// As it should be.
    There,
    /// Not there.
    Missing,
    /// There, but.
    Differs(Vec<&'static str>),
    /// It could not be asked for.
    Unknown,
}

impl std::fmt::Display for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::There => f.write_str("is there"),
            Self::Missing => f.write_str("missing"),
            Self::Differs(what) => f.write_str(&what.join(", ")),
            Self::Unknown => f.write_str("?"),
        }
    }
}

impl Serialize for State {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// A user.
#[derive(Clone, Debug, Serialize)]
pub struct UserRow {
    /// Its name.
    pub name: String,
    /// How it is.
    pub now: State,
    /// Its rules, without the password.
    pub rules: String,
    /// The file of its password.
    pub password_file: PathBuf,
    /// Whether that file is there.
    pub has_password: bool,
    /// Whether it would change.
    pub changes: bool,
}

impl Report {
    /// How much would change.
    #[must_use]
    pub fn changes(&self) -> usize {
        let settings = self.settings.iter().filter(|row| row.changes).count();
        settings + self.users.iter().filter(|row| row.changes).count()
    }

    /// For people.
    #[must_use]
    pub fn text(&self) -> String {
        let mut parts = Vec::new();
        if let Some(server) = &self.server {
            let role = if server.role == "master" { "primary" } else { &server.role };
            let name = match server.name.as_str() {
                "redis" => "redis".to_owned(),
                other => format!("{other}, compatible with redis"),
            };
            parts.push(format!(
                "{name} {}, {}, {role}; {} keys, {} in use",
                server.version,
                server.mode,
                server.keys,
                bytesize::ByteSize(server.used_memory).display().iec()
            ));
        }
        parts.push(self.settings_table());
        parts.push(self.users_table());
        if !self.warnings.is_empty() {
            parts.push(lines("warning: ", &self.warnings));
        }
        if !self.done.is_empty() {
            parts.push(lines("", &self.done));
        } else if self.problem.is_none() {
            parts.push(match self.changes() {
                0 => "nothing to change".to_owned(),
                n => format!("{n} to change, marked *; nothing was changed: --apply does it, --write DIR writes files instead"),
            });
        }
        parts.join("\n\n")
    }

    fn settings_table(&self) -> String {
        let mut table = plain();
        table.set_header(["", "setting", "now", "wanted", "why"]);
        for row in &self.settings {
            let now = row.now.as_deref().unwrap_or("?");
            table.add_row([mark(row.changes), row.name, now, &row.wanted, row.why]);
        }
        trimmed(&table)
    }

    fn users_table(&self) -> String {
        let mut table = plain();
        table.set_header(["", "user", "now", "password"]);
        for row in &self.users {
            let file = row.password_file.display();
            let password = match (row.has_password, self.done.is_empty()) {
                (true, _) => format!("in {file}"),
                (false, true) => format!("would be made in {file}"),
                (false, false) => format!("made in {file}"),
            };
            table.add_row([mark(row.changes), &row.name, &row.now.to_string(), &password]);
        }
        let rules = self.users.iter().map(|row| format!("\n    {} may: {}", row.name, row.rules));
        trimmed(&table) + &rules.collect::<String>()
    }
}

fn mark(changes: bool) -> &'static str {
    if changes { "*" } else { "" }
}

fn plain() -> Table {
    let mut table = Table::new();
    table.load_preset(NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    table
}

fn trimmed(table: &Table) -> String {
    let lines: Vec<String> = table.lines().map(|line| line.trim_end().to_owned()).collect();
    lines.join("\n")
}

fn lines(begin: &str, texts: &[String]) -> String {
    texts.iter().map(|text| format!("{begin}{text}")).collect::<Vec<_>>().join("\n")
}
