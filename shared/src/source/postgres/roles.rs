//! Logins of warmer and gateway: which rights they take from which role, and how one that is there compares.

use deadpool_postgres::Client;
use postgres_protocol::escape::escape_literal;
use postgres_protocol::password::scram_sha_256;
use tokio_postgres::error::SqlState;

use super::PostgresSource;
use super::pool::explain;
use crate::source::{SourceError, SourceErrorKind};

/// The role that may select, of `config/schema.sql`.
pub(super) const READER: &str = "hotshelf_reader";
/// The role that may read and delete notes of changes, of `config/changes.sql`.
pub(super) const WARMER: &str = "hotshelf_warmer";

/// Stands in a statement for the password.
const MARK: &str = "'(password)'";

/// A user that is to log in.
#[derive(Clone, Debug)]
pub struct SetupLogin {
    /// Its name: small letters, digits and `_`.
    pub name: String,
    /// Whether it is the warmer's.
    pub is_warmer: bool,
    /// Its password, if there is one yet.
    pub password: Option<String>,
}

/// A statement of an administrator.
#[derive(Clone, Debug)]
pub struct SetupStep {
    /// What it is for, in a few words.
    pub title: String,
    /// What it sets right is so already.
    pub is_there: bool,
    /// SQL; a password is not in it.
    pub sql: String,
    /// Whose password it sets.
    pub login: Option<String>,
}

impl SetupStep {
    /// The statement with a password, which the server gets as what SCRAM makes of it: nobody reads it in a log.
    #[must_use]
    pub fn with_password(&self, password: &str) -> String {
        self.sql.replace(MARK, &escape_literal(&scram_sha_256(password.as_bytes())))
    }
}

/// How a login went.
enum Tried {
    Accepted,
    Refused,
    Unknown(String),
}

/// What the catalog says of a role.
struct Facts {
    can_login: bool,
    inherits: bool,
    is_superuser: bool,
}

impl PostgresSource {
    /// The step that makes a login, or gives it what it lacks; what could not be seen goes to `warnings`.
    pub(super) async fn login_step(
        &self,
        client: &Client,
        login: &SetupLogin,
        has_triggers: bool,
        warnings: &mut Vec<String>,
    ) -> Result<SetupStep, SourceError> {
        let name = &login.name;
        let mut roles = vec![READER];
        if login.is_warmer && has_triggers {
            roles.push(WARMER);
        }
        // A login may be the role itself.
        roles.retain(|role| role != name);
        let mut is_there = false;
        if let Some(facts) = facts(client, name).await? {
            if facts.is_superuser {
                return Err(SourceError::new(
                    SourceErrorKind::Settings,
                    format!("postgres: {name} is a superuser, who may do everything"),
                    "give another name (--warmer-user, --gateway-user): one of its own for Hotshelf",
                ));
            }
            is_there = facts.can_login && facts.inherits;
            for role in &roles {
                is_there = is_there && has_role(client, name, role).await?;
            }
            is_there = is_there && self.has_password(client, login, warnings).await?;
        }
        let mut sql = format!("{}\nALTER ROLE {name} LOGIN INHERIT PASSWORD {MARK};", make_role(name));
        for role in roles {
            sql.push_str(&format!("\nGRANT {role} TO {name};"));
        }
        let whose = if login.is_warmer { "warmer" } else { "gateways" };
        Ok(SetupStep {
            title: format!("the user of the {whose}, {name}"),
            is_there,
            sql,
            login: Some(name.clone()),
        })
    }

    /// Whether the user's password is the one of its file, as far as can be seen.
    async fn has_password(
        &self,
        client: &Client,
        login: &SetupLogin,
        warnings: &mut Vec<String>,
    ) -> Result<bool, SourceError> {
        let name = &login.name;
        let Some(password) = &login.password else { return Ok(false) };
        // Where passwords are not asked for, any is accepted; an administrator sees at least whether there is one.
        let may_see = "SELECT has_table_privilege('pg_catalog.pg_authid', 'SELECT')";
        if client.query_one(may_see, &[]).await.map_err(explain)?.get(0) {
            let query = "SELECT rolpassword IS NOT NULL FROM pg_authid WHERE rolname = $1";
            if !client.query_one(query, &[name]).await.map_err(explain)?.get::<_, bool>(0) {
                return Ok(false);
            }
        }
        Ok(match self.try_login(name, password).await {
            Tried::Accepted => true,
            Tried::Refused => false,
            Tried::Unknown(why) => {
                warnings
                    .push(format!("whether {name} has the password of its file could not be tried: {why}"));
                true
            }
        })
    }

    async fn try_login(&self, name: &str, password: &str) -> Tried {
        match self.shared.pool.log_in(name, password).await {
            Ok(()) => Tried::Accepted,
            Err(Some(error)) if error.code() == Some(&SqlState::INVALID_PASSWORD) => Tried::Refused,
            Err(Some(error)) => Tried::Unknown(explain(error).to_string()),
            Err(None) => Tried::Unknown("no connection within the time limit".to_owned()),
        }
    }
}

/// Makes a role if it is missing: roles belong to the server, and another database may have it.
pub(super) fn make_role(name: &str) -> String {
    format!(
        "DO $$ BEGIN\n    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '{name}') THEN\n        CREATE ROLE {name} NOLOGIN;\n    \
         END IF;\nEXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; -- for another database, just now\nEND $$;"
    )
}

/// Whether there is a role of this name.
pub(super) async fn exists(client: &Client, name: &str) -> Result<bool, SourceError> {
    Ok(facts(client, name).await?.is_some())
}

async fn facts(client: &Client, name: &str) -> Result<Option<Facts>, SourceError> {
    let query = "SELECT rolcanlogin, rolinherit, rolsuper FROM pg_roles WHERE rolname = $1";
    let row = client.query_opt(query, &[&name]).await.map_err(explain)?;
    Ok(row.map(|row| Facts { can_login: row.get(0), inherits: row.get(1), is_superuser: row.get(2) }))
}

async fn has_role(client: &Client, name: &str, role: &str) -> Result<bool, SourceError> {
    if !exists(client, role).await? {
        return Ok(false);
    }
    let query = "SELECT pg_has_role($1::name, $2::name, 'USAGE')";
    Ok(client.query_one(query, &[&name, &role]).await.map_err(explain)?.get(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_sent_as_what_scram_makes_of_it() {
        let sql = format!("ALTER ROLE a PASSWORD {MARK};");
        let step = SetupStep { title: String::new(), is_there: false, sql, login: Some("a".to_owned()) };
        let filled = step.with_password("it's secret");
        assert!(filled.starts_with("ALTER ROLE a PASSWORD 'SCRAM-SHA-256$4096:"), "{filled}");
        assert!(!filled.contains("secret") && !filled.contains(MARK), "{filled}");
    }
}
