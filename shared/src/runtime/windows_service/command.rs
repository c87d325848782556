//! What the commands `service …` do: the same for all daemons.

use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use super::arguments::{Configured, Named, Output, ServiceArgs, ServiceCommand, Status};
use super::manager::{self, ServiceError};
use super::process;
use super::registration::Folders;
use crate::config::{LogSettings, Settings, process_environment};
use crate::runtime::logging::LogHandle;
use crate::runtime::program::{self, SettingsSource};

/// A program that Windows can run as a service.
pub trait Daemon {
    /// What its commands begin with.
    const PROGRAM: &'static str;
    /// Name of the service if no other is given.
    const SERVICE: &'static str;
    /// Its name for people.
    const DISPLAY_NAME: &'static str;
    /// What it does, in one sentence.
    const DESCRIPTION: &'static str;
    /// Whether it keeps anything from one start to the next (`warm.state`).
    const KEEPS_STATE: bool;

    /// Checks the settings as `--check-config` does.
    ///
    /// # Errors
    /// The exit code, after what is wrong was printed.
    fn check(source: &SettingsSource) -> Result<(), ExitCode>;

    /// Runs with these settings until it is asked to stop.
    ///
    /// # Errors
    /// The exit code, after what is wrong was told.
    fn run(
        settings: Settings,
        source: SettingsSource,
        log: LogHandle,
    ) -> impl Future<Output = Result<ExitCode, ExitCode>>;
}

impl Named {
    fn of<D: Daemon>(&self) -> &str {
        self.name.as_deref().unwrap_or(D::SERVICE)
    }
}

/// Absolute, since the service manager starts a program elsewhere.
fn absolute(option: &str, path: &Path) -> Result<PathBuf, ExitCode> {
    std::path::absolute(path)
        .map_err(|error| program::wrong_usage(&format!("{option} {}: {error}", path.display())))
}

fn folders<D: Daemon>(name: &str, base: Option<&Path>) -> Result<Folders, ExitCode> {
    let default = || Folders::default_base(process_environment("ProgramData").as_deref());
    let base = base.map_or_else(|| Ok(default()), |base| absolute("--folder", base))?;
    Ok(Folders::new(base, name, D::KEEPS_STATE))
}

/// Runs a command of the service of a daemon.
///
/// # Errors
/// The exit code, after what is wrong was told.
pub async fn run<D: Daemon>(args: &ServiceArgs) -> Result<ExitCode, ExitCode> {
    match &args.command {
        ServiceCommand::Install(args) => install::<D>(args),
        ServiceCommand::Uninstall(named) => done(manager::uninstall(named.of::<D>(), D::PROGRAM).await),
        ServiceCommand::Start(named) => {
            let name = named.of::<D>();
            done(manager::start(name, D::PROGRAM, &folders::<D>(name, None)?.log(name)).await)
        }
        ServiceCommand::Stop(named) => done(manager::stop(named.of::<D>(), D::PROGRAM).await),
        ServiceCommand::Status(args) => status::<D>(args),
        ServiceCommand::Run(args) => start::<D>(args).await,
    }
}

fn done(outcome: Result<String, ServiceError>) -> Result<ExitCode, ExitCode> {
    let text = outcome.map_err(|error| program::failed(&error))?;
    print(&text)?;
    Ok(ExitCode::SUCCESS)
}

fn print(text: &str) -> Result<(), ExitCode> {
    program::print(text).map_err(|error| program::failed(&error))
}

fn install<D: Daemon>(args: &Configured) -> Result<ExitCode, ExitCode> {
    let name = args.named.of::<D>();
    let files = args.config.iter().map(|file| absolute("--config", file)).collect::<Result<Vec<_>, _>>()?;
    let folders = folders::<D>(name, args.folder.as_deref())?;
    D::check(&SettingsSource::new(&files, &[]).with_folders(folders.clone()))?;
    done(manager::install::<D>(name, &files, &folders))
}

fn status<D: Daemon>(args: &Status) -> Result<ExitCode, ExitCode> {
    let status =
        manager::status(args.named.of::<D>(), D::PROGRAM).map_err(|error| program::failed(&error))?;
    let text = match args.output {
        Output::Text => status.text(),
        // Nothing of it cannot be written as JSON.
        Output::Json => serde_json::to_string(&status).unwrap_or_default(),
    };
    print(&text)?;
    Ok(if status.is_running() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn start<D: Daemon>(args: &Configured) -> Result<ExitCode, ExitCode> {
    let name = args.named.of::<D>();
    let folders = folders::<D>(name, args.folder.as_deref())?;
    let source = SettingsSource::new(&args.config, &[]).with_folders(folders.clone());
    process::run(name, async {
        let settings = match source.load() {
            Ok(settings) => settings,
            Err(error) => return wrong_settings(&error, name, &folders),
        };
        match program::start_daemon_log(&settings.log, name) {
            Ok(log) => D::run(settings, source, log).await.unwrap_or_else(|code| code),
            Err(error) => wrong_settings(&error, name, &folders),
        }
    })
    .await
}

/// Tells that settings do not fit where it can be found: nobody reads what a service prints, and where its log goes is one
/// of the settings.
fn wrong_settings(error: &dyn Display, name: &str, folders: &Folders) -> ExitCode {
    if let Ok(defaults) = Settings::load(&[], &|_| None) {
        let log = LogSettings { folder: Some(folders.logs.clone()), ..defaults.log };
        // If that cannot be written either, the exit code says enough.
        let _ = program::start_daemon_log(&log, name);
    }
    program::wrong_settings(error)
}
