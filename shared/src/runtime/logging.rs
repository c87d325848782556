//! Logging to standard error: text for people, JSON for collectors. Systemd's journal is told how grave a line is, and
//! knows the time itself.

mod journal;

use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Registry, fmt, reload};

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

/// What goes wrong with a filter, or with a second start.
pub type LogError = Box<dyn std::error::Error + Send + Sync>;

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

/// Starts logging. `filter` is a level or a list such as `info,gateway=debug`.
///
/// # Errors
/// If the filter cannot be read, or logging was started before.
pub fn start(format: LogFormat, filter: &str) -> Result<LogHandle, LogError> {
    let (filter, handle) = reload::Layer::new(read_filter(filter)?);
    let colours = std::io::IsTerminal::is_terminal(&std::io::stderr());
    let lines = fmt::layer().with_writer(std::io::stderr).with_ansi(colours);
    let registry = tracing_subscriber::registry().with(filter);
    let text = fmt::format().with_target(false);
    match (format, journal::is_stderr()) {
        (LogFormat::Text, false) => registry.with(lines.event_format(text)).try_init()?,
        (LogFormat::Json, false) => registry.with(lines.json()).try_init()?,
        (LogFormat::Text, true) => {
            let text = text.with_level(false).without_time();
            registry.with(lines.event_format(Graded(text))).try_init()?;
        }
        (LogFormat::Json, true) => {
            let json = fmt::format().json();
            registry.with(lines.json().event_format(Graded(json))).try_init()?;
        }
    }
    Ok(LogHandle { filter: handle })
}
