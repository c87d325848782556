//! Lines for systemd's journal: each begins with how grave it is, as `sd-daemon(3)` has it, so that
//! `journalctl --priority warning` finds it.

use std::fmt;

use tracing::{Event, Level, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

/// Whether standard error is what systemd connected to its journal, and was not sent elsewhere since.
#[cfg(unix)]
pub(super) fn is_stderr() -> bool {
    use std::os::fd::AsFd as _;
    use std::os::unix::fs::MetadataExt as _;

    let Some(stream) = crate::config::process_environment("JOURNAL_STREAM") else { return false };
    let own = std::io::stderr().as_fd().try_clone_to_owned();
    let found = own.and_then(|own| std::fs::File::from(own).metadata());
    found.is_ok_and(|found| stream == format!("{}:{}", found.dev(), found.ino()))
}

/// There is no journal.
#[cfg(not(unix))]
pub(super) fn is_stderr() -> bool {
    false
}

/// Lines of another form, each with its priority before it.
pub(super) struct Graded<F>(pub(super) F);

impl<S, N, F> FormatEvent<S, N> for Graded<F>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
    F: FormatEvent<S, N>,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        write!(writer, "<{}>", priority(*event.metadata().level()))?;
        self.0.format_event(context, writer, event)
    }
}

/// Of syslog's priorities: error, warning, informational, debug.
fn priority(level: Level) -> u8 {
    match level {
        Level::ERROR => 3,
        Level::WARN => 4,
        Level::INFO => 6,
        Level::DEBUG | Level::TRACE => 7,
    }
}
