//! Requests of access logs, to be sent again in their order, with the time between them that they had.

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::bail;
use shared::access_log::Request;
use shared::model::Day;

use super::log::{Found, read_logs};
use super::open::Arrival;
use super::scenario::Ask;

/// Requests of one replay: about 200 MB of memory.
const MOST: usize = 5_000_000;

/// Requests in the order of their times.
#[derive(Clone, Debug, Default)]
pub struct Recording {
    /// Milliseconds since 1970, and the request.
    requests: Vec<(i64, Ask)>,
    /// What the logs held.
    pub found: Found,
    /// Requests that are not sent again: other methods than GET, cut ones, and those that were refused (status 400 to 498).
    pub skipped: u64,
}

impl Recording {
    /// Reads logs. With a last data day, days of requests move to be as far from it as they were from that of their time.
    ///
    /// # Errors
    /// If a log cannot be read, or there is nothing to send again.
    pub fn read(paths: &[PathBuf], move_to: Option<Day>) -> anyhow::Result<Self> {
        let mut recording = Self::default();
        // Most requests come again and again; their text is kept once.
        let mut known: HashSet<Arc<str>> = HashSet::new();
        recording.found = read_logs(paths, |request| {
            let sent_again = request.method == "GET" && !request.cut && !(400..499).contains(&request.status);
            if !sent_again {
                recording.skipped += 1;
                return Ok(());
            }
            if recording.requests.len() >= MOST {
                bail!("the logs hold more than {MOST} requests; replay a part of them");
            }
            let mut ask = Ask::new(&target(&request, move_to));
            match known.get(&ask.path) {
                Some(path) => ask.path = Arc::clone(path),
                None => drop(known.insert(Arc::clone(&ask.path))),
            }
            recording.requests.push((request.time, ask));
            Ok(())
        })?;
        if recording.requests.is_empty() {
            bail!(
                "none of the {} requests can be sent again: only answered GETs can",
                recording.found.requests
            );
        }
        // Those of equal times stay as they came; a log is written when requests end.
        recording.requests.sort_by_key(|(time, _)| *time);
        Ok(recording)
    }

    /// Requests.
    #[must_use]
    pub fn len(&self) -> usize {
        self.requests.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.requests.is_empty()
    }

    /// From the first request to the last, so many times as fast.
    #[must_use]
    pub fn duration(&self, speed: f64) -> Duration {
        self.requests.last().map_or(Duration::ZERO, |(time, _)| self.after(*time, speed))
    }

    fn after(&self, time: i64, speed: f64) -> Duration {
        let first = self.requests.first().map_or(time, |(first, _)| *first);
        Duration::from_millis(time.saturating_sub(first).unsigned_abs()).div_f64(speed)
    }

    /// Each request when it is due.
    pub fn arrivals(&self, speed: f64) -> impl Iterator<Item = Arrival> {
        self.requests
            .iter()
            .map(move |(time, ask)| Arrival { at: self.after(*time, speed), ask: ask.clone() })
    }
}

/// Path and query, with days moved if they are to be.
fn target(request: &Request, move_to: Option<Day>) -> String {
    if request.query.is_empty() {
        return request.path.clone();
    }
    let days = move_to.zip(request.last_day).map_or(0, |(to, from)| to.since(from));
    let moved = |parameter: &str| {
        let (name, value) = parameter.split_once('=')?;
        let day: Day = value.parse().ok().filter(|_| matches!(name, "from" | "to"))?;
        Some(format!("{name}={}", day.plus(days)))
    };
    let query = request.query.split('&').map(|part| moved(part).unwrap_or_else(|| part.to_owned()));
    format!("{}?{}", request.path, query.collect::<Vec<_>>().join("&"))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn read(lines: &[(i64, &str, &str, u16)], move_to: Option<&str>) -> anyhow::Result<Recording> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("access.log");
        let line = |(time, path, query, status): &(i64, &str, &str, u16)| {
            format!(
                "{{\"v\":1,\"type\":\"request\",\"time\":{time},\"path\":\"{path}\",\"query\":\"{query}\",\
                 \"last_day\":\"2026-03-07\",\"status\":{status}}}\n"
            )
        };
        std::fs::write(&path, lines.iter().map(line).collect::<String>()).unwrap();
        Recording::read(&[path], move_to.map(|day| day.parse().unwrap()))
    }

    #[test]
    fn order_and_distances_are_those_of_the_log() {
        let lines = [
            (3_000, "/v1/diagnosis", "", 200),
            (1_000, "/v1/stores", "", 200),
            (1_500, "/v1/stores", "x=1", 400),
            (2_000, "/v1/metrics/trend", "from=2026-03-01&stores=a%2C", 503),
        ];
        let recording = read(&lines, None).unwrap();
        let told = |speed| -> Vec<(u128, String)> {
            recording.arrivals(speed).map(|a| (a.at.as_millis(), a.ask.path.to_string())).collect()
        };
        let paths = ["/v1/stores", "/v1/metrics/trend?from=2026-03-01&stores=a%2C", "/v1/diagnosis"];
        assert_eq!(told(1.0), [(0, paths[0].into()), (1_000, paths[1].into()), (2_000, paths[2].into())]);
        assert_eq!(told(4.0).iter().map(|(at, _)| *at).collect::<Vec<_>>(), [0, 250, 500]);
        assert_eq!((recording.skipped, recording.duration(2.0)), (1, Duration::from_secs(1)));
        assert!(read(&[(1, "/v1/stores", "", 404)], None).is_err());
    }

    #[test]
    fn days_can_move_with_the_data() {
        let lines = [(1, "/v1/metrics/trend", "from=2026-03-01&to=2026-03-07&stores=to", 200)];
        let recording = read(&lines, Some("2026-03-10")).unwrap();
        let path = recording.arrivals(1.0).next().unwrap().ask.path;
        assert_eq!(&*path, "/v1/metrics/trend?from=2026-03-04&to=2026-03-10&stores=to");
    }
}
