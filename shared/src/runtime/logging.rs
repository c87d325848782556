//! Logging to standard error or to a file: text for people, JSON for collectors. Systemd's journal is told how grave a
//! line is, and knows the time itself.

mod journal;

use std::sync::OnceLock;
use std::time::Duration;

use tracing_subscriber::fmt::writer::BoxMakeWriter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Registry, fmt, reload};

use super::RotatedFile;
use super::log_file::LogFile;
use journal::Graded;

/// Form of the log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// One line of text per event.
    #[default]
    Text,
    /// One JSON object per event.
    Json,
}

/// What goes wrong with a filter, a file, or a second start.
pub type LogError = Box<dyn std::error::Error + Send + Sync>;

/// The file of this process's log, if it goes to one.
static FILE: OnceLock<LogFile> = OnceLock::new();
/// Time in which the last lines may be written when the process ends.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// The running log, of which the filter can be changed. Cheap to clone.
#[derive(Clone, Debug)]
pub struct LogHandle {
    filter: reload::Handle<EnvFilter, Registry>,
}

impl LogHandle {
    /// Logs by another filter from now on.
    ///
    /// # Errors
    /// If the filter cannot be read; then the old one stays.
    pub fn set_filter(&self, filter: &str) -> Result<(), LogError> {
        Ok(self.filter.reload(read_filter(filter)?)?)
    }
}

/// Checks a filter.
///
/// # Errors
/// If it cannot be read.
pub fn read_filter(filter: &str) -> Result<EnvFilter, LogError> {
    Ok(EnvFilter::builder().parse(filter)?)
}

/// Starts logging to standard error. `filter` is a level or a list such as `info,gateway=debug`.
///
/// # Errors
/// If the filter cannot be read, or logging was started before.
pub fn start(format: LogFormat, filter: &str) -> Result<LogHandle, LogError> {
    let style = if journal::is_stderr() {
        Style::Journal
    } else {
        Style::Lines { colours: std::io::IsTerminal::is_terminal(&std::io::stderr()) }
    };
    start_with(format, filter, BoxMakeWriter::new(std::io::stderr), style)
}

/// Starts logging to a file. A panic, which standard error alone would have, is logged too.
///
/// # Errors
/// If the filter cannot be read, the file cannot be written, or logging was started before.
pub fn start_in_file(format: LogFormat, filter: &str, file: RotatedFile) -> Result<LogHandle, LogError> {
    read_filter(filter)?;
    let file = LogFile::start(file)?;
    let handle =
        start_with(format, filter, BoxMakeWriter::new(file.clone()), Style::Lines { colours: false })?;
    // There is one log, so there was no file before.
    let _ = FILE.set(file);
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        tracing::error!("{}", panic.to_string().replace('\n', ": "));
        before(panic);
    }));
    Ok(handle)
}

/// Whether the log goes to a file, so that standard error may be read by nobody.
#[must_use]
pub fn is_in_file() -> bool {
    FILE.get().is_some()
}

/// Gives the last lines a moment to be written; to be called where the process ends.
pub fn finish() {
    if let Some(file) = FILE.get() {
        file.finish(LAST_WORDS);
    }
}

/// How lines look to who reads them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Style {
    /// With time and level.
    Lines { colours: bool },
    /// With the priority before them.
    Journal,
}

fn start_with(
    format: LogFormat,
    filter: &str,
    writer: BoxMakeWriter,
    style: Style,
) -> Result<LogHandle, LogError> {
    let (filter, handle) = reload::Layer::new(read_filter(filter)?);
    let registry = tracing_subscriber::registry().with(filter);
    let lines = fmt::layer().with_writer(writer).with_ansi(style == Style::Lines { colours: true });
    let text = fmt::format().with_target(false);
    match (format, style) {
        (LogFormat::Text, Style::Lines { .. }) => registry.with(lines.event_format(text)).try_init()?,
        (LogFormat::Json, Style::Lines { .. }) => registry.with(lines.json()).try_init()?,
        (LogFormat::Text, Style::Journal) => {
            let text = text.with_level(false).without_time();
            registry.with(lines.event_format(Graded(text))).try_init()?;
        }
        (LogFormat::Json, Style::Journal) => {
            let json = fmt::format().json();
            registry.with(lines.json().event_format(Graded(json))).try_init()?;
        }
    }
    Ok(LogHandle { filter: handle })
}
