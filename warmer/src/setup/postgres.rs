//! `warmer setup postgres`: the table, triggers where changes are noted by them, and the users of warmer and gateways.

use std::path::{Path, PathBuf};

use clap::ValueEnum;
use serde::Serialize;
use shared::config::ChangeMode;
use shared::source::postgres::{PostgresSettings, PostgresSource, SetupLogin, SetupPlan, SetupStep};

use super::file::{self, NewFile};
use super::password::Password;
use super::{Aim, SetupError, Users};

/// How changes will be found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Triggers note them, and tell at once
    Trigger,
    /// The warmer compares fingerprints of the recent days
    Poll,
    /// Not at all
    Off,
}

impl From<ChangeMode> for Mode {
    fn from(mode: ChangeMode) -> Self {
        match mode {
            ChangeMode::Trigger => Self::Trigger,
            ChangeMode::Poll => Self::Poll,
            ChangeMode::Off => Self::Off,
        }
    }
}

/// What is asked for.
#[derive(Clone, Debug)]
pub struct Options {
    /// What is to become of it.
    pub aim: Aim,
    /// How changes will be found.
    pub mode: Mode,
    /// Names of the users.
    pub users: Users,
    /// Folder of their passwords.
    pub passwords: PathBuf,
}

/// What `warmer setup postgres` tells.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Version of the server.
    pub version: String,
    /// The database.
    pub database: String,
    /// Who looked.
    pub user: String,
    /// The table, quoted.
    pub table: String,
    /// How changes will be found.
    pub mode: Mode,
    /// In their order.
    pub steps: Vec<StepRow>,
    /// What to look at.
    pub warnings: Vec<String>,
    /// Statements that would help, and that nobody ran.
    pub suggestions: Vec<String>,
    /// What was done.
    pub done: Vec<String>,
}

/// A step.
#[derive(Clone, Debug, Serialize)]
pub struct StepRow {
    /// What it is for.
    pub title: String,
    /// Whether that is there.
    pub is_there: bool,
    /// Its SQL, without passwords.
    pub sql: String,
}

/// Looks at a database, and does what is asked for.
///
/// # Errors
/// If the database cannot be reached, is none for this, or refuses; nothing was changed in it then.
pub async fn run(settings: &PostgresSettings, options: &Options) -> Result<Report, SetupError> {
    options.users.check()?;
    let mut passwords = [
        Password::look(&options.passwords, "postgres-warmer")?,
        Password::look(&options.passwords, "postgres-gateway")?,
    ];
    let logins = |passwords: &[Password; 2]| {
        let login = |at: usize, name: &String, is_warmer| SetupLogin {
            name: name.clone(),
            is_warmer,
            password: passwords[at].text().map(str::to_owned),
        };
        [login(0, &options.users.warmer, true), login(1, &options.users.gateway, false)]
    };
    // One looks while another one is held.
    let settings = PostgresSettings { connections: settings.connections.max(2), ..settings.clone() };
    let source = PostgresSource::new(&settings)?;
    let plan = source.setup_plan(&logins(&passwords), options.mode == Mode::Trigger).await?;
    let mut report = Report::new(&plan, options.mode);
    report.warnings.extend(passwords.iter().filter_map(Password::warning));
    if report.changes() == 0 || options.aim == Aim::Show {
        return Ok(report);
    }
    for (password, name) in passwords.iter_mut().zip([&options.users.warmer, &options.users.gateway]) {
        if password.make()? {
            report.done.push(format!("made a password for {name} in {}", password.path.display()));
        }
    }
    let with_passwords = |step: &SetupStep| {
        let logins = logins(&passwords);
        let login = logins.iter().find(|login| step.login.as_ref() == Some(&login.name));
        login.map_or_else(
            || step.sql.clone(),
            |login| step.with_password(login.password.as_deref().unwrap_or_default()),
        )
    };
    let missing = plan.steps.iter().filter(|step| !step.is_there);
    match &options.aim {
        Aim::Write(path) => write(path, &report.text_of(&plan, &with_passwords), &mut report.done)?,
        _ => {
            let statements: Vec<String> = missing.clone().map(with_passwords).collect();
            source.set_up(&statements.join("\n")).await?;
            report.done.extend(missing.map(|step| format!("done: {}", step.title)));
        }
    }
    Ok(report)
}

fn write(path: &Path, text: &str, done: &mut Vec<String>) -> Result<(), SetupError> {
    let file = NewFile { path: path.to_owned(), text: text.to_owned(), is_public: false };
    file::write_all(std::slice::from_ref(&file))?;
    let path = path.display();
    done.push(format!("wrote {path}; have the database's owner run: psql -d DATABASE -f {path}"));
    Ok(())
}

impl Report {
    fn new(plan: &SetupPlan, mode: Mode) -> Self {
        let row = |step: &SetupStep| StepRow {
            title: step.title.clone(),
            is_there: step.is_there,
            sql: step.sql.clone(),
        };
        Self {
            version: plan.version.clone(),
            database: plan.database.clone(),
            user: plan.user.clone(),
            table: plan.table.clone(),
            mode,
            steps: plan.steps.iter().map(row).collect(),
            warnings: plan.warnings.clone(),
            suggestions: plan.suggestions.clone(),
            done: Vec::new(),
        }
    }

    /// How many steps are to be done.
    #[must_use]
    pub fn changes(&self) -> usize {
        self.steps.iter().filter(|step| !step.is_there).count()
    }

    /// For people: SQL with comments, that can be run but for the passwords.
    #[must_use]
    pub fn text(&self) -> String {
        let mut parts = vec![self.head()];
        for step in &self.steps {
            parts.push(match step.is_there {
                true => format!("-- is there: {}", step.title),
                // Who applies it sees below what was done.
                false if !self.done.is_empty() => continue,
                false => format!("-- {}\n{}", step.title, step.sql),
            });
        }
        parts.extend(self.suggestions.iter().map(|statement| {
            format!("-- would make reads of a store's days faster; yours to decide, and not run here:\n-- {statement}")
        }));
        parts.extend(self.warnings.iter().map(|warning| format!("-- warning: {warning}")));
        if !self.done.is_empty() {
            parts.push(self.done.join("\n"));
        } else if self.changes() == 0 {
            parts.push("-- nothing to change".to_owned());
        } else {
            parts.push(format!(
                "-- {} to do; nothing was changed: --apply runs them in one transaction, --write FILE writes them down",
                self.changes()
            ));
        }
        parts.join("\n\n")
    }

    fn head(&self) -> String {
        format!(
            "-- PostgreSQL {}, database {}, as {}; table {}, changes by mode {}",
            self.version,
            self.database,
            self.user,
            self.table,
            self.mode.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
        )
    }

    /// A script of what is to be done.
    fn text_of(&self, plan: &SetupPlan, sql: &dyn Fn(&SetupStep) -> String) -> String {
        let mut text = format!(
            "{}\n-- By `warmer setup postgres --write`; passwords are in it as what SCRAM makes of them.\n\\set ON_ERROR_STOP on\nBEGIN;\n",
            self.head()
        );
        for step in &plan.steps {
            text.push_str(&match step.is_there {
                true => format!("\n-- is there: {}\n", step.title),
                false => format!("\n-- {}\n{}\n", step.title, sql(step)),
            });
        }
        text + "\nCOMMIT;\n"
    }
}
