//! `warmer setup`: Redis and PostgreSQL made ready.

mod postgres;
mod redis;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde::Serialize;
use shared::config::Settings;

use super::settings::{Files, Given};
use super::{Output, print};
use crate::setup::{Aim, SetupError, Users};

/// Make Redis or PostgreSQL ready: settings, users, table
#[derive(Debug, Args)]
pub(super) struct Setup {
    #[command(subcommand)]
    server: Server,
}

#[derive(Debug, Subcommand)]
enum Server {
    Redis(redis::SetupRedis),
    Postgres(postgres::SetupPostgres),
}

/// The users, of either server.
#[derive(Debug, Args)]
struct Logins {
    /// Name of the warmer's user
    #[arg(long, value_name = "NAME", default_value = "hotshelf_warmer")]
    warmer_user: String,
    /// Name of the gateways' user
    #[arg(long, value_name = "NAME", default_value = "hotshelf_gateway")]
    gateway_user: String,
    /// Folder of the passwords, one file each; those that are missing are made
    #[arg(long, value_name = "DIR", default_value = "/etc/hotshelf/passwords")]
    passwords: PathBuf,
}

impl Logins {
    fn users(&self) -> Users {
        Users { warmer: self.warmer_user.clone(), gateway: self.gateway_user.clone() }
    }
}

fn aim(applies: bool, writes: Option<PathBuf>) -> Aim {
    match writes {
        Some(path) => Aim::Write(path),
        None if applies => Aim::Apply,
        None => Aim::Show,
    }
}

impl Setup {
    fn given(&self) -> &dyn Given {
        match &self.server {
            Server::Redis(args) => &args.settings,
            Server::Postgres(args) => &args.settings,
        }
    }
}

impl Given for Setup {
    fn files(&self) -> &Files {
        self.given().files()
    }
    fn values(&self) -> Vec<(&'static str, &Option<String>)> {
        self.given().values()
    }
}

/// An administrator's address on the command line is the whole of it: the settings' file holds the password of a daemon.
fn own_password_file(given: &dyn Given, file: Option<PathBuf>) -> Option<PathBuf> {
    file.filter(|_| given.values().iter().all(|(_, address)| address.is_none()))
}

/// Writes a report: for people, or as JSON with the number of changes.
fn write(output: Output, report: &impl Serialize, text: String, changes: usize) -> anyhow::Result<()> {
    match output {
        Output::Text => print(text)?,
        Output::Json => {
            let mut document = serde_json::to_value(report)?;
            document["changes"] = changes.into();
            print(serde_json::to_string_pretty(&document)?)?;
        }
    }
    Ok(())
}

/// The error behind, by which the exit code is found.
fn told(error: SetupError) -> anyhow::Error {
    match error {
        SetupError::Redis(error) => error.into(),
        SetupError::Postgres(error) => error.into(),
        other => other.into(),
    }
}

pub(super) async fn run(settings: &Settings, args: Setup) -> anyhow::Result<ExitCode> {
    match args.server {
        Server::Redis(args) => redis::run(settings, args).await,
        Server::Postgres(args) => postgres::run(settings, args).await,
    }
}
