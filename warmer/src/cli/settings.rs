//! Settings of a command: which files, and the addresses of what it works on. A command without Redis or PostgreSQL
//! does not take their addresses.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use shared::cache::RedisCache;
use shared::config::{Origins, Settings, origins};
use shared::runtime::logging::LogHandle;
use shared::runtime::program::{self, SettingsSource};
use shared::source::postgres::PostgresSource;

/// Settings as a command line gives them.
pub(super) trait Given {
    /// The files.
    fn files(&self) -> &Files;
    /// Values that come before variables of the environment.
    fn values(&self) -> Vec<(&'static str, &Option<String>)>;
}

#[derive(Debug, Args)]
pub(super) struct Files {
    /// Settings file; later ones override earlier ones
    #[arg(long, value_name = "FILE")]
    config: Vec<PathBuf>,
    /// Check the settings and exit
    #[arg(long)]
    check_config: bool,
}

#[derive(Debug, Args)]
pub(super) struct RedisAddress {
    /// Address of Redis, instead of redis.url
    #[arg(long, value_name = "URL")]
    redis: Option<String>,
}

#[derive(Debug, Args)]
pub(super) struct PostgresAddress {
    /// Address of PostgreSQL, instead of postgres.url
    #[arg(long, value_name = "URL")]
    postgres: Option<String>,
}

// No doc comments here: clap would take them for the help of the command.
// Of a command that works on neither.
#[derive(Debug, Args)]
#[command(next_help_heading = "Settings")]
pub(super) struct Neither {
    #[command(flatten)]
    files: Files,
}

// Of a command that works on Redis.
#[derive(Debug, Args)]
#[command(next_help_heading = "Settings")]
pub(super) struct Redis {
    #[command(flatten)]
    files: Files,
    #[command(flatten)]
    redis: RedisAddress,
}

// Of a command that works on PostgreSQL.
#[derive(Debug, Args)]
#[command(next_help_heading = "Settings")]
pub(super) struct Postgres {
    #[command(flatten)]
    files: Files,
    #[command(flatten)]
    postgres: PostgresAddress,
}

// Of a command that works on both.
#[derive(Debug, Args)]
#[command(next_help_heading = "Settings")]
pub(super) struct RedisAndPostgres {
    #[command(flatten)]
    files: Files,
    #[command(flatten)]
    redis: RedisAddress,
    #[command(flatten)]
    postgres: PostgresAddress,
}

const REDIS: &str = origins::REDIS.variable;
const POSTGRES: &str = origins::POSTGRES.variable;

impl Given for Neither {
    fn files(&self) -> &Files {
        &self.files
    }
    fn values(&self) -> Vec<(&'static str, &Option<String>)> {
        Vec::new()
    }
}

impl Given for Redis {
    fn files(&self) -> &Files {
        &self.files
    }
    fn values(&self) -> Vec<(&'static str, &Option<String>)> {
        vec![(REDIS, &self.redis.redis)]
    }
}

impl Given for Postgres {
    fn files(&self) -> &Files {
        &self.files
    }
    fn values(&self) -> Vec<(&'static str, &Option<String>)> {
        vec![(POSTGRES, &self.postgres.postgres)]
    }
}

impl Given for RedisAndPostgres {
    fn files(&self) -> &Files {
        &self.files
    }
    fn values(&self) -> Vec<(&'static str, &Option<String>)> {
        vec![(REDIS, &self.redis.redis), (POSTGRES, &self.postgres.postgres)]
    }
}

/// The settings of a command, with the log started; `first` are files named before the command.
///
/// # Errors
/// The exit code: of wrong settings, or of success where they only were to be checked.
pub(super) fn load(first: &[PathBuf], given: &impl Given) -> Result<Settings, ExitCode> {
    let (settings, _) = read(&source(first, given), given)?;
    program::start_log(&settings)?;
    Ok(settings)
}

/// Settings, and what it takes to read them again while the process runs.
pub(super) struct Loaded {
    pub(super) settings: Settings,
    pub(super) source: SettingsSource,
    pub(super) log: LogHandle,
}

/// As [`load`], for a daemon, which may read them again; its log is where the settings say.
///
/// # Errors
/// As [`load`].
pub(super) fn load_to_run(first: &[PathBuf], given: &impl Given) -> Result<Loaded, ExitCode> {
    let source = source(first, given);
    let (settings, _) = read(&source, given)?;
    let log = program::start_daemon_log(&settings.log, "warmer")
        .map_err(|error| program::wrong_settings(&error))?;
    Ok(Loaded { settings, source, log })
}

/// The settings of a command that only shows them, and where each value comes from.
///
/// # Errors
/// As [`load`].
pub(super) fn with_origins(first: &[PathBuf], given: &impl Given) -> Result<(Settings, Origins), ExitCode> {
    read(&source(first, given), given)
}

fn source(first: &[PathBuf], given: &impl Given) -> SettingsSource {
    let files: Vec<PathBuf> = first.iter().chain(&given.files().config).cloned().collect();
    SettingsSource::new(&files, &given.values())
}

/// Whether the files that settings name can be used by this user: certificates, keys, passwords. Connects to nothing.
fn check_files(settings: &Settings, given: &impl Given) -> anyhow::Result<()> {
    let uses = |variable: &str| given.values().iter().any(|(name, _)| *name == variable);
    if uses(REDIS) {
        RedisCache::connect(&settings.redis)?;
    }
    if uses(POSTGRES) {
        PostgresSource::new(&settings.postgres)?;
    }
    Ok(())
}

fn read(source: &SettingsSource, given: &impl Given) -> Result<(Settings, Origins), ExitCode> {
    let read = source.load_with_origins().map_err(|error| program::wrong_settings(&error))?;
    if given.files().check_config {
        check_files(&read.0, given).map_err(|error| program::wrong_settings(&error))?;
        println!("the settings fit");
        return Err(ExitCode::SUCCESS);
    }
    Ok(read)
}
