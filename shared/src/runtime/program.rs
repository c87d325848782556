//! What every program does between its command line and its work: usage, settings, log, and exit codes as in
//! sysexits.h: 0 done, 1 failed at run time, 64 wrong usage, 78 wrong settings.

use std::error::Error;
use std::fmt::Display;
use std::io::{ErrorKind, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;

use super::RotatedFile;
use super::logging::{self, LogError, LogHandle};
use super::windows_service::registration::Folders;
use crate::cache::{CacheError, CacheErrorKind};
use crate::config::{LogSettings, Origins, Settings, SettingsError, origins, process_environment};
use crate::source::{SourceError, SourceErrorKind};

const USAGE: u8 = 64;
const SETTINGS: u8 = 78;

/// The command line of this process.
///
/// # Errors
/// The exit code, after help, version or what is wrong was printed.
pub fn command_line<C: Parser>() -> Result<C, ExitCode> {
    C::try_parse().map_err(|error| {
        // Help and version are no errors.
        let code = if error.use_stderr() { USAGE } else { 0 };
        let _ = error.print();
        ExitCode::from(code)
    })
}

/// Where the settings of a process come from, so that they can be read again.
#[derive(Clone, Debug, Default)]
pub struct SettingsSource {
    files: Vec<PathBuf>,
    /// Values of the command line, by the variable of the environment before which they come.
    given: Vec<(String, String)>,
    /// For settings that name none.
    folders: Option<Folders>,
}

impl SettingsSource {
    /// Files and environment; `given` are values of the command line that come before variables of the environment.
    #[must_use]
    pub fn new(files: &[PathBuf], given: &[(&str, &Option<String>)]) -> Self {
        let given = given.iter().filter_map(|(name, value)| Some(((*name).to_owned(), (*value).clone()?)));
        Self { files: files.to_vec(), given: given.collect(), folders: None }
    }

    /// The same for a service of Windows: what has no folder of its own gets one of these.
    #[must_use]
    pub fn with_folders(self, folders: Folders) -> Self {
        Self { folders: Some(folders), ..self }
    }

    /// The settings as they are there now.
    ///
    /// # Errors
    /// All that does not fit.
    pub fn load(&self) -> Result<Settings, SettingsError> {
        self.load_with_origins().map(|(settings, _)| settings)
    }

    /// The same, and where each value comes from.
    ///
    /// # Errors
    /// All that does not fit.
    pub fn load_with_origins(&self) -> Result<(Settings, Origins), SettingsError> {
        let given = |name: &str| self.given.iter().find(|(variable, _)| variable == name);
        let (mut settings, mut origins) = Settings::with_origins(&self.files, &|name| {
            given(name).map(|(_, value)| value.clone()).or_else(|| process_environment(name))
        })?;
        for address in origins::ADDRESSES.into_iter().filter(|address| given(address.variable).is_some()) {
            origins.of_option(address.key, address.option);
        }
        if let Some(folders) = &self.folders {
            folders.fill(&mut settings);
        }
        Ok((settings, origins))
    }
}

/// Settings from files and environment; `given` are values of the command line that come before variables of the
/// environment.
///
/// # Errors
/// The exit code, after all that is wrong was printed.
pub fn settings(files: &[PathBuf], given: &[(&str, &Option<String>)]) -> Result<Settings, ExitCode> {
    SettingsSource::new(files, given).load().map_err(|error| wrong_settings(&error))
}

/// Starts the log of a command on standard error, in the form that the settings say.
///
/// # Errors
/// The exit code, after what is wrong was printed.
pub fn start_log(settings: &Settings) -> Result<LogHandle, ExitCode> {
    let LogSettings { format, filter, .. } = &settings.log;
    logging::start(*format, filter).map_err(|error| wrong_settings(&wrong_filter(filter, &error)))
}

/// Starts the log of a daemon: where the settings name a folder, in the file of this name there.
///
/// # Errors
/// Which of the settings does not fit.
pub fn start_daemon_log(log: &LogSettings, name: &str) -> Result<LogHandle, LogError> {
    logging::read_filter(&log.filter).map_err(|error| wrong_filter(&log.filter, &error))?;
    let outcome = match &log.folder {
        None => logging::start(log.format, &log.filter),
        Some(folder) => {
            let path = folder.join(format!("{name}.log"));
            let file = RotatedFile::new(path, log.max_size, Duration::MAX, log.keep);
            logging::start_in_file(log.format, &log.filter, file)
        }
    };
    outcome.map_err(|error| match &log.folder {
        None => error,
        Some(folder) => {
            let folder = folder.display();
            format!("log.folder {folder} cannot be used: {error}; make it, and let this program's user write to it")
                .into()
        }
    })
}

fn wrong_filter(filter: &str, error: &dyn Display) -> String {
    format!("log.filter {filter:?} cannot be used: {error}")
}

/// Tells that settings do not fit.
#[must_use]
pub fn wrong_settings(error: &dyn Display) -> ExitCode {
    tell(error);
    ExitCode::from(SETTINGS)
}

/// Tells that the command line asks for what cannot be.
#[must_use]
pub fn wrong_usage(error: &dyn Display) -> ExitCode {
    tell(error);
    ExitCode::from(USAGE)
}

/// Tells that something failed.
#[must_use]
pub fn failed(error: &dyn Display) -> ExitCode {
    tell(error);
    ExitCode::FAILURE
}

/// An error, for whoever started the program, and for the log if that is elsewhere.
fn tell(error: &dyn Display) {
    eprintln!("error: {error}");
    if logging::is_in_file() {
        // What is wrong with settings has a line for each.
        error.to_string().lines().for_each(|line| tracing::error!("{line}"));
    }
}

/// Prints a text and the end of its line. A reader that has seen enough (`| head`) is no failure.
///
/// # Errors
/// If it cannot be written.
pub fn print(text: impl Display) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    match writeln!(out, "{text}").and_then(|()| out.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        done => done,
    }
}

/// The exit code of a process at its end, after the last lines of its log.
#[must_use]
pub fn exit(outcome: Result<ExitCode, ExitCode>) -> ExitCode {
    logging::finish();
    outcome.unwrap_or_else(|code| code)
}

/// The exit code of the work; an error is printed with those of its causes that it does not name itself.
#[must_use]
pub fn end<E: AsRef<dyn Error + Send + Sync>>(outcome: Result<ExitCode, E>) -> ExitCode {
    outcome.unwrap_or_else(|error| {
        let error = error.as_ref();
        tell(&in_full(error));
        if is_of_settings(error) { ExitCode::from(SETTINGS) } else { ExitCode::FAILURE }
    })
}

/// An error and its causes, the outermost first.
fn chain<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |&error| error.source())
}

/// Whether an address, mapping or other setting is at fault that only its use could show.
fn is_of_settings(error: &(dyn Error + 'static)) -> bool {
    chain(error).any(|error| {
        let source = error.downcast_ref::<SourceError>().map(SourceError::kind);
        let cache = error.downcast_ref::<CacheError>().map(CacheError::kind);
        source == Some(SourceErrorKind::Settings) || cache == Some(CacheErrorKind::Settings)
    })
}

fn in_full(error: &(dyn Error + 'static)) -> String {
    let mut text = String::new();
    for error in chain(error) {
        let own = error.to_string();
        if text.is_empty() {
            text = own;
        } else if !text.contains(&own) {
            text.push_str(": ");
            text.push_str(&own);
        }
    }
    text
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("{0}")]
    struct Failure(&'static str, #[source] Option<Box<Failure>>);

    #[test]
    fn causes_are_told_once() {
        let cause = || Some(Box::new(Failure("refused", None)));
        assert_eq!(in_full(&Failure("cannot connect", cause())), "cannot connect: refused");
        assert_eq!(in_full(&Failure("refused; start it", cause())), "refused; start it");
    }

    #[test]
    fn settings_that_only_use_shows_are_settings() {
        let of = |kind| is_of_settings(&SourceError::new(kind, "what", "remedy"));
        assert!(of(SourceErrorKind::Settings) && !of(SourceErrorKind::Unreachable));
    }
}
