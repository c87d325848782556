//! `warmer hot`: the hottest stores and questions.

use std::time::Duration;

use clap::Args;
use serde::Serialize;
use shared::config::Settings;
use shared::runtime::now_ms;

use super::{Output, learned_now, read_logs};
use crate::heat::Hot;
use crate::interest::{Interest, Limits};
use crate::learned::Learned;
use crate::log_reader::Positions;
use crate::operate::words;

/// The command line.
#[derive(Clone, Debug, Args)]
#[command(
    after_help = "Examples:\n  warmer hot\n  warmer hot --since 24h --top 50\n  warmer hot --output json\n\n\
                  Heat is the number of requests, each counting half after heat.half_life. Requests over all stores heat none.\n\
                  It is read from the state folder and the access logs (heat.logs); nothing is changed."
)]
pub struct HotArgs {
    /// Count the requests of this last time only, from the logs that are there; rotated .gz files are not read
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    since: Option<Duration>,
    /// Stores and questions that are shown
    #[arg(long, value_name = "NUMBER", default_value_t = 20)]
    top: usize,
    /// How they are written
    #[arg(long, value_enum, default_value_t = Output::Text)]
    output: Output,
}

/// One hot key.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct HotRow {
    /// Store, or question relative to the last data day.
    pub name: String,
    /// Decayed count of requests.
    pub heat: f64,
    /// It may be told too high by this much.
    pub error: f64,
    /// Requests in the time that was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub requests: Option<u64>,
}

/// The hottest of all.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct HotReport {
    /// Stores, hottest first.
    pub stores: Vec<HotRow>,
    /// Stores of which raw lines are asked for.
    pub lines: Vec<HotRow>,
    /// Questions.
    pub questions: Vec<HotRow>,
}

/// Runs the command; gives what is to be printed.
///
/// # Errors
/// If no log is set, or a pattern is no glob.
pub fn run(settings: &Settings, args: &HotArgs) -> anyhow::Result<String> {
    anyhow::ensure!(
        !settings.heat.logs.is_empty(),
        "no access log is set, so nothing is known of what is asked; set heat.logs, or access_log.path where one file serves both programs"
    );
    let report = match args.since {
        Some(since) => counted(settings, since, args.top)?,
        None => learned(settings, args.top)?,
    };
    Ok(match args.output {
        Output::Text => report.text(args.since.is_some()),
        Output::Json => serde_json::to_string_pretty(&report)?,
    })
}

fn learned(settings: &Settings, top: usize) -> anyhow::Result<HotReport> {
    let learned = learned_now(settings)?;
    let now = u64::try_from(now_ms()).unwrap_or(0);
    Ok(learned.with(|state| HotReport {
        stores: rows(state.interest.hot_stores(now, top)),
        lines: rows(state.interest.hot_lines(now, top)),
        questions: rows(state.interest.hot_questions(now, top)),
    }))
}

/// From the logs only: plain counts are heat that does not cool.
fn counted(settings: &Settings, since: Duration, top: usize) -> anyhow::Result<HotReport> {
    let limits = Limits::new(&settings.heat, 0, 1);
    let mut heat = Interest::new(limits);
    let mut counts = Interest::new(Limits { half_life_ms: u64::MAX, ..limits });
    let now = now_ms();
    let from = now.saturating_sub(i64::try_from(since.as_millis()).unwrap_or(i64::MAX));
    let last_day = Learned::open(settings).with(|state| state.last_day);
    read_logs(settings, Positions::default(), |request| {
        if request.time >= from {
            heat.record(request, last_day, now);
            counts.record(request, last_day, now);
        }
    })?;
    let at = u64::try_from(now).unwrap_or(0);
    let with_heat = |hot: Vec<Hot<String>>, heat: &dyn Fn(&String) -> f64| -> Vec<HotRow> {
        let row = |hot: Hot<String>| HotRow {
            heat: heat(&hot.key),
            error: hot.error,
            requests: Some(whole(hot.heat)),
            name: hot.key,
        };
        hot.into_iter().map(row).collect()
    };
    Ok(HotReport {
        stores: with_heat(counts.hot_stores(at, top), &|store| heat.store_heat(store, at)),
        lines: with_heat(counts.hot_lines(at, top), &|store| heat.lines_heat(store, at)),
        questions: with_heat(counts.hot_questions(at, top), &|text| heat.question_heat(text, at)),
    })
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count of requests")]
fn whole(count: f64) -> u64 {
    count.round() as u64
}

fn rows(hot: Vec<Hot<String>>) -> Vec<HotRow> {
    let row = |Hot { key, heat, error }| HotRow { name: key, heat, error, requests: None };
    hot.into_iter().map(row).collect()
}

impl HotReport {
    fn text(&self, counted: bool) -> String {
        let part = |title: &str, rows: &[HotRow]| {
            if rows.is_empty() {
                return format!("{title}: none\n");
            }
            let cells = rows.iter().enumerate().map(|(at, row)| {
                let requests = row.requests.map(|requests| requests.to_string());
                [
                    (at + 1).to_string(),
                    format!("{:.2}", row.heat),
                    format!("{:.2}", row.error),
                    requests.unwrap_or_default(),
                    row.name.clone(),
                ]
            });
            let requests = if counted { "requests" } else { "" };
            format!("{}\n", words::table(["#", "heat", "± error", requests, title], 0..4, cells.collect()))
        };
        format!(
            "{}\n{}\n{}",
            part("store", &self.stores),
            part("store with raw lines asked for", &self.lines),
            part("question (days from the last data day)", &self.questions)
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::heat::Heat;

    #[test]
    fn heat_that_does_not_cool_is_a_count() {
        let mut counts = Heat::new(u64::MAX, 10);
        for at in 0..1000_u64 {
            counts.record(&(at % 3), 1_800_000_000_000 + at * 3_600_000, 1.0);
        }
        let now = 1_900_000_000_000;
        let counted: Vec<u64> = counts.ranking(now, 3).into_iter().map(|hot| whole(hot.heat)).collect();
        assert_eq!(counted, [334, 333, 333]);
    }
}
