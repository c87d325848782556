//! How far a command is, on standard error: a bar on a terminal, a line now and then elsewhere.

use std::io::IsTerminal as _;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Time between two lines where there is no terminal: short runs stay silent, long ones are seen to live.
const LINE_EVERY: Duration = Duration::from_secs(10);

/// Progress of one command; clones count together.
#[derive(Clone, Debug)]
pub(crate) struct Progress {
    bar: ProgressBar,
    what: &'static str,
    /// When a line was last written; none on a terminal.
    written: Option<Arc<Mutex<Instant>>>,
}

impl Progress {
    /// Progress towards about `length` pieces of `what`.
    pub(crate) fn new(length: u64, what: &'static str) -> Self {
        Self::on(std::io::stderr().is_terminal(), length, what)
    }

    fn on(terminal: bool, length: u64, what: &'static str) -> Self {
        if !terminal {
            let bar = ProgressBar::with_draw_target(Some(length), ProgressDrawTarget::hidden());
            return Self { bar, what, written: Some(Arc::new(Mutex::new(Instant::now()))) };
        }
        let template = format!("{{bar:40}} {{human_pos}}/{{human_len}} {what} {{eta}}");
        let style = ProgressStyle::with_template(&template).unwrap_or_else(|_| ProgressStyle::default_bar());
        Self { bar: ProgressBar::new(length).with_style(style), what, written: None }
    }

    /// So many more are done.
    pub(crate) fn add(&self, count: u64) {
        self.bar.inc(count);
        if let Some(line) = self.line_at(Instant::now()) {
            eprintln!("{line}");
        }
    }

    /// The line to write, if it is time for one.
    fn line_at(&self, now: Instant) -> Option<String> {
        let mut written = self.written.as_ref()?.lock().ok()?;
        if now.duration_since(*written) < LINE_EVERY {
            return None;
        }
        *written = now;
        let (done, length) = (self.bar.position(), self.bar.length().unwrap_or(0));
        // The length may be a guess that the count passes.
        Some(format!("{done} of {} {}", length.max(done), self.what))
    }

    /// Takes the bar away.
    pub(crate) fn finish(&self) {
        self.bar.finish_and_clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_terminal_a_line_now_and_then() {
        let started = Instant::now();
        let progress = Progress::on(false, 100, "lines");
        progress.clone().add(30);
        assert_eq!(progress.line_at(started), None);
        let later = Instant::now() + LINE_EVERY;
        assert_eq!(progress.line_at(later).as_deref(), Some("30 of 100 lines"));
        assert_eq!(progress.line_at(later + LINE_EVERY / 2), None);
        progress.add(80);
        assert_eq!(progress.line_at(later + LINE_EVERY).as_deref(), Some("110 of 110 lines"));
        assert_eq!(Progress::on(true, 1, "lines").line_at(later), None);
    }
}
