//! How far reading is: a bar at a terminal, log lines elsewhere.

use std::io::IsTerminal as _;
use std::path::Path;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use shared::source::files::Progress;

/// Time between two log lines.
const PERIOD: Duration = Duration::from_secs(5);

/// Progress of one file.
#[derive(Debug)]
pub(super) struct ProgressShow {
    name: String,
    bar: Option<ProgressBar>,
    logged: Instant,
}

impl ProgressShow {
    pub(super) fn new(path: &Path) -> Self {
        let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
        let bar = std::io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::new(100);
            if let Ok(style) = ProgressStyle::with_template("{msg} {wide_bar} {percent} % {elapsed}") {
                bar.set_style(style);
            }
            bar.set_message(name.clone());
            bar
        });
        Self { name, bar, logged: Instant::now() }
    }

    pub(super) fn update(&mut self, progress: Progress) {
        if let Some(bar) = &self.bar {
            bar.set_length(progress.total);
            bar.set_position(progress.done);
        } else if self.logged.elapsed() >= PERIOD {
            self.logged = Instant::now();
            let percent = progress.done.saturating_mul(100) / progress.total.max(1);
            tracing::info!(file = self.name, percent, "reading");
        }
    }

    pub(super) fn finish(self) {
        if let Some(bar) = self.bar {
            bar.finish_and_clear();
        }
    }
}
