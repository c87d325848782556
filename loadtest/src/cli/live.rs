//! How a load goes, while it goes, on standard error: a bar and a table on a terminal, a line now and then elsewhere.

use std::io::IsTerminal as _;
use std::time::Duration;

use comfy_table::{CellAlignment, Table, presets};
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use crate::load::measure::Snapshot;

/// Time between two lines where there is no terminal.
const LINE_EVERY: Duration = Duration::from_secs(10);

/// What is shown.
pub(super) struct Live {
    shown: Option<Shown>,
    next_line: Duration,
    length: Duration,
}

struct Shown {
    bars: MultiProgress,
    time: ProgressBar,
    table: ProgressBar,
}

impl Live {
    /// Of a load that takes about so long.
    pub(super) fn new(length: Duration) -> Self {
        let shown = std::io::stderr().is_terminal().then(|| {
            let bars = MultiProgress::new();
            let style = |template| {
                ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
            };
            let time = ProgressBar::new(length.as_secs()).with_style(style("{bar:40} {pos}/{len} s"));
            let table = ProgressBar::no_length().with_style(style("{msg}"));
            Shown { time: bars.add(time), table: bars.add(table), bars }
        });
        Self { shown, next_line: LINE_EVERY, length }
    }

    /// Shows how far it is.
    pub(super) fn show(&mut self, elapsed: Duration, snapshot: &Snapshot) {
        if let Some(shown) = &self.shown {
            shown.time.set_position(elapsed.as_secs());
            shown.table.set_message(format!("{}\n{}", line(snapshot), table(snapshot)));
        } else if elapsed >= self.next_line {
            self.next_line = elapsed + LINE_EVERY;
            eprintln!("{} of {} s: {}", elapsed.as_secs(), self.length.as_secs(), line(snapshot));
        }
    }

    /// Takes it away.
    pub(super) fn finish(self) {
        if let Some(shown) = self.shown {
            shown.time.finish_and_clear();
            shown.table.finish_and_clear();
            // A terminal that cannot be cleared shows one table more.
            let _ = shown.bars.clear();
        }
    }
}

fn line(snapshot: &Snapshot) -> String {
    let sum = |of: fn(&(&str, u64, u64, f64, f64)) -> u64| snapshot.routes.iter().map(of).sum::<u64>();
    let outcomes: Vec<String> =
        snapshot.outcomes.iter().map(|(outcome, count)| format!("{outcome} {count}")).collect();
    format!(
        "{} requests, {} failed, {}/s, {} in flight; {}",
        sum(|route| route.1),
        sum(|route| route.2),
        snapshot.per_second,
        snapshot.in_flight,
        outcomes.join(", ")
    )
}

fn table(snapshot: &Snapshot) -> Table {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING);
    table.set_header(["", "requests", "failed", "p50 ms", "p99 ms"]);
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    for (kind, requests, failures, p50, p99) in &snapshot.routes {
        table.add_row([
            (*kind).to_owned(),
            requests.to_string(),
            failures.to_string(),
            format!("{p50:.1}"),
            format!("{p99:.1}"),
        ]);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_how_it_goes() {
        let snapshot = Snapshot {
            in_flight: 3,
            per_second: 20,
            routes: vec![("overview", 10, 1, 1.25, 9.0), ("trend", 5, 0, 1.0, 2.0)],
            outcomes: vec![("near", 14)],
        };
        assert_eq!(line(&snapshot), "15 requests, 1 failed, 20/s, 3 in flight; near 14");
        assert!(table(&snapshot).to_string().lines().nth(1).is_some_and(|line| line.contains("1.2")));
    }
}
