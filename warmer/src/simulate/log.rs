//! Questions of access logs, as two streams of the same requests: by the question as it was asked, and by its form
//! relative to the last data day.
//!
//! What is cached is always the document of a resolved question. Whoever remembers relative forms makes, when the last
//! data day moves, the new day's documents of the forms that are kept. On any one day each form is one resolved
//! question, so a request is a hit exactly if its form is kept.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde::Serialize;
use shared::access_log::lines::Lines;
use shared::access_log::{Event, LineError, MAX_LINE_BYTES, NoQuestion, Request as LogRequest, parse_line};
use shared::answers::parameters::{Asked, OrdersAsk};
use shared::model::{Ask, Day, Document, RelativeAsk};

use super::days::DayChanges;
use super::trace::{Stream, TraceError};

/// Bad lines that are named.
const NAMED: usize = 5;
/// Characters of a path or reason that are told.
const TOLD: usize = 120;
/// Days of the default range, the last one included: as [`Ask::resolve`] has it.
const DEFAULT_DAYS: i32 = 30;
const DAY_MS: u64 = 86_400_000;

/// Why logs cannot be replayed.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The file, or too many requests.
    #[error(transparent)]
    Trace(#[from] TraceError),
    /// Nothing to replay.
    #[error(
        "no line of {files} is a question of Hotshelf: {found}\n\
         --log takes logs of the gateway, or of a proxy that it answers through; other requests can be replayed as a \
         --trace of `seq,key` lines"
    )]
    NoQuestion {
        /// Which.
        files: String,
        /// What the lines are.
        found: Box<Found>,
    },
}

/// Questions to replay.
#[derive(Clone, Debug, Default)]
pub struct Questions {
    /// By the resolved question.
    pub literal: Stream,
    /// The same requests in the same order, by relative form.
    pub relative: Stream,
    /// What the lines were.
    pub found: Found,
}

/// What the lines of logs were.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Found {
    /// All lines.
    pub lines: u64,
    /// Questions, which are replayed.
    pub questions: u64,
    /// Of these, requests for pages of order lines.
    pub order_pages: u64,
    /// Of the questions, those whose last data day neither their line nor a file told: the UTC day of the request counts.
    pub days_from_clock: u64,
    /// Last data days of the questions, distinct ones.
    pub last_days: usize,
    /// Questions that were refused (status 400 to 498), which are not replayed.
    pub refused: u64,
    /// Requests that are no questions.
    pub others: u64,
    /// The first of these.
    pub first_other: Option<String>,
    /// Wishes for fresh answers.
    pub refreshes: u64,
    /// Empty lines, and sound lines without an HTTP request.
    pub without_request: u64,
    /// Lines that cannot be read.
    pub bad: u64,
    /// The first of these.
    pub first_bad: Vec<BadLine>,
}

/// A line that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct BadLine {
    /// Of which file.
    pub file: PathBuf,
    /// Which line, from 1.
    pub line: u64,
    /// Why.
    pub reason: String,
}

impl std::fmt::Display for Found {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} lines, {} questions", self.lines, self.questions)?;
        let parts = [
            (self.order_pages, "of them for pages of order lines"),
            (self.refused, "refused"),
            (self.others, "other requests"),
            (self.refreshes, "refreshes"),
            (self.without_request, "without a request"),
            (self.bad, "that cannot be read"),
        ];
        for (count, what) in parts.into_iter().filter(|(count, _)| *count > 0) {
            write!(f, ", {count} {what}")?;
            match &self.first_other {
                Some(first) if what == "other requests" => write!(f, " (first: {first})")?,
                _ => {}
            }
        }
        for bad in &self.first_bad {
            write!(f, "\n  {}, line {}: {}", bad.file.display(), bad.line, bad.reason)?;
        }
        Ok(())
    }
}

/// Reads logs, plain or gzip; lines of several files are put in the order of their times.
///
/// # Errors
/// If a file cannot be read, there are too many requests, or none is a question.
pub fn read_logs(paths: &[PathBuf], days: Option<&DayChanges>) -> Result<Questions, LogError> {
    let mut reader = Reader { questions: Questions::default(), days, last_days: BTreeSet::new() };
    for path in paths {
        let failed = |source| TraceError::Read { path: path.clone(), source };
        let mut lines = Lines::open(path, MAX_LINE_BYTES).map_err(failed)?;
        while let Some(line) = lines.next_line().map_err(failed)? {
            reader.questions.found.lines += 1;
            match parse_line(line.bytes) {
                Ok(Event::Request(request)) => reader.request(&request)?,
                Ok(Event::Refresh(_)) => reader.questions.found.refreshes += 1,
                Err(error) => reader.questions.found.unreadable(path, line.number, &error),
            }
        }
    }
    let mut questions = reader.questions;
    questions.found.last_days = reader.last_days.len();
    if questions.found.questions == 0 {
        let files: Vec<String> = paths.iter().map(|path| path.display().to_string()).collect();
        return Err(LogError::NoQuestion { files: files.join(", "), found: Box::new(questions.found) });
    }
    questions.literal.sort_by_time();
    questions.relative.sort_by_time();
    Ok(questions)
}

struct Reader<'a> {
    questions: Questions,
    days: Option<&'a DayChanges>,
    last_days: BTreeSet<Day>,
}

impl Reader<'_> {
    fn request(&mut self, request: &LogRequest) -> Result<(), TraceError> {
        let Questions { literal, relative, found } = &mut self.questions;
        let asked = match request.question() {
            // The gateway answered with what is wrong: nothing that could have been warmed.
            Ok(_) if (400..499).contains(&request.status) => {
                found.refused += 1;
                return Ok(());
            }
            Ok(asked) => asked,
            Err(NoQuestion::Parameters(_)) => {
                found.refused += 1;
                return Ok(());
            }
            Err(NoQuestion::Method | NoQuestion::Cut | NoQuestion::Path | NoQuestion::Stores) => {
                found.others += 1;
                found
                    .first_other
                    .get_or_insert_with(|| told(&format!("{} {}", request.method, request.path)));
                return Ok(());
            }
        };
        let at = u64::try_from(request.time).unwrap_or(0);
        let day = match (self.days, request.last_day) {
            (Some(days), _) => days.at(at),
            (None, Some(day)) => day,
            (None, None) => {
                found.days_from_clock += 1;
                Day(i32::try_from(at / DAY_MS).unwrap_or(Day::MAX.0))
            }
        };
        found.questions += 1;
        found.order_pages += u64::from(matches!(asked, Asked::Orders(_)));
        self.last_days.insert(day);
        // Distances from day 0 are the days themselves.
        literal.push(&form(&asked, day, Day(0)), at)?;
        relative.push(&form(&asked, day, day), at)
    }
}

impl Found {
    fn unreadable(&mut self, path: &Path, line: u64, error: &LineError) {
        if matches!(error, LineError::Empty | LineError::NoRequest { .. }) {
            self.without_request += 1;
            return;
        }
        self.bad += 1;
        if self.first_bad.len() < NAMED {
            self.first_bad.push(BadLine { file: path.to_owned(), line, reason: told(&error.to_string()) });
        }
    }
}

fn told(text: &str) -> String {
    text.chars().take(TOLD).collect()
}

/// The text of a question that was asked when `last_day` was the last data day, its days as distances from `origin`.
fn form(asked: &Asked, last_day: Day, origin: Day) -> String {
    match asked {
        Asked::Document(ask) => RelativeAsk::new(resolved(ask, last_day), origin).to_string(),
        Asked::Orders(orders) => {
            let OrdersAsk { store_id, from, to, channels, limit, cursor } = orders;
            let days = Ask {
                stores: Some([store_id.clone()].into()),
                from: *from,
                to: *to,
                channels: channels.clone(),
                ..Ask::default_for(Document::Overview)
            };
            let days = RelativeAsk::new(resolved(&days, last_day), origin);
            // A place within the lines is one of certain days, and has no tomorrow.
            let cursor = cursor.as_ref().map(ToString::to_string).unwrap_or_default();
            format!("orders limit={limit}&cursor={cursor}&{days}")
        }
    }
}

/// The default days filled in, as [`Ask::resolve`] does when all stores have data up to the last day.
fn resolved(ask: &Ask, last_day: Day) -> Ask {
    if ask.document == Document::Stores {
        return ask.clone();
    }
    let to = ask.to.unwrap_or_else(|| ask.from.map_or(last_day, |from| from.max(last_day)));
    let from = ask.from.unwrap_or_else(|| to.plus(1 - DEFAULT_DAYS));
    Ask { from: Some(from), to: Some(to), ..ask.clone() }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic, reason = "tests")]
mod tests {
    use super::*;

    const DAY_0: &str = "2026-03-07";

    fn read(files: &[(&str, String)], days: Option<&DayChanges>) -> Result<Questions, LogError> {
        let folder = tempfile::tempdir().unwrap();
        let write = |(name, text): &(&str, String)| {
            let path = folder.path().join(name);
            let text = text.clone().into_bytes();
            let bytes = if name.ends_with(".gz") { shared::entry::gzip(&text).unwrap() } else { text };
            std::fs::write(&path, bytes).unwrap();
            path
        };
        read_logs(&files.iter().map(write).collect::<Vec<_>>(), days)
    }

    fn json(time: u64, target: &str, last_day: &str, status: u16) -> String {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        format!(
            "{{\"v\":1,\"type\":\"request\",\"time\":{time},\"path\":\"{path}\",\"query\":\"{query}\",\
             \"last_day\":\"{last_day}\",\"status\":{status}}}\n"
        )
    }

    fn keys(stream: &Stream) -> Vec<u32> {
        stream.requests().iter().map(|request| request.key).collect()
    }

    #[test]
    fn one_relative_form_is_another_question_each_day() {
        let day = |time, last_day, from| {
            json(time, &format!("/v1/metrics/overview?stores=a&from={from}&to={last_day}"), last_day, 200)
        };
        let lines =
            [day(1, DAY_0, "2026-03-01"), day(2, "2026-03-08", "2026-03-02"), day(3, DAY_0, "2026-03-02")];
        let questions = read(&[("a.log", lines.concat())], None).unwrap();
        assert_eq!((keys(&questions.literal), keys(&questions.relative)), (vec![0, 1, 2], vec![0, 0, 1]));
        assert_eq!((questions.found.questions, questions.found.last_days), (3, 2));
    }

    #[test]
    fn what_is_not_asked_is_the_default() {
        // Thirty days up to the last data day, for documents and order lines alike; no days for the list of stores.
        let same = [
            ("/v1/metrics/overview", "/v1/metrics/overview?from=2026-02-06&to=2026-03-07"),
            ("/v1/metrics/trend?from=2026-03-01", "/v1/metrics/trend?from=2026-03-01&to=2026-03-07"),
            ("/v1/diagnosis?to=2026-03-06", "/v1/diagnosis?from=2026-02-05&to=2026-03-06"),
            ("/v1/stores/a/orders", "/v1/stores/a/orders?to=2026-03-07&limit=100"),
        ];
        for (short, long) in same {
            let lines =
                [json(1, short, DAY_0, 200), json(2, long, DAY_0, 200), json(3, short, "2026-03-08", 200)];
            let questions = read(&[("a.log", lines.concat())], None).unwrap();
            let fixed = short.contains("to=");
            let literal = if fixed { vec![0, 0, 0] } else { vec![0, 0, 1] };
            assert_eq!(keys(&questions.literal), literal, "{short}");
            assert_eq!(keys(&questions.relative)[..2], [0, 0], "{short}");
        }
        let lines = [json(1, "/v1/stores", DAY_0, 200), json(2, "/v1/stores", "2026-03-08", 200)];
        let questions = read(&[("a.log", lines.concat())], None).unwrap();
        assert_eq!((questions.literal.distinct(), questions.relative.distinct()), (1, 1));
    }

    #[test]
    fn files_are_merged_by_time_and_their_formats_may_differ() {
        // 2026-03-08T00:00:00Z = 1772928000 s, still the 7th in New York.
        let combined = "h - - [07/Mar/2026:19:00:00 -0500] \"GET /v1/metrics/overview?from=2026-03-01&to=2026-03-07 \
                        HTTP/1.1\" 200 5 \"-\" \"x\"\r\n";
        let days = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(days.path(), "2026-03-08T00:00:00-05:00,2026-03-07\n").unwrap();
        let days = DayChanges::read(days.path()).unwrap();
        let earlier =
            json(1_772_000_000_000, "/v1/metrics/overview?from=2026-03-01&to=2026-03-07", DAY_0, 200);
        let files = [("b.log.gz", combined.to_owned()), ("a.log", earlier)];
        let questions = read(&files, None).unwrap();
        let times: Vec<u64> = questions.literal.requests().iter().map(|request| request.at).collect();
        assert_eq!(times, [1_772_000_000_000, 1_772_928_000_000]);
        assert_eq!((questions.literal.distinct(), questions.relative.distinct()), (1, 2));
        assert_eq!(questions.found.days_from_clock, 1);
        let questions = read(&files, Some(&days)).unwrap();
        assert_eq!((questions.relative.distinct(), questions.found.days_from_clock), (1, 0));
    }

    #[test]
    fn what_is_no_question_is_counted_and_bad_lines_are_named() {
        let question = json(1, "/v1/stores", DAY_0, 503);
        let lines = [
            question.as_str(),
            &json(2, "/v1/stores", DAY_0, 401),
            &json(2, "/v1/metrics/overview?to=x", DAY_0, 400),
            &json(3, "/health", DAY_0, 200),
            "\n",
            "h - - [07/Mar/2026:19:00:00 -0500] \"-\" 400 0\n",
            "{\"v\":1,\"type\":\"refresh\",\"requested_at\":5}\n",
            "garbage\n",
        ];
        let found = read(&[("a.log", lines.concat())], None).unwrap().found;
        assert_eq!((found.lines, found.questions, found.refused, found.others), (8, 1, 2, 1));
        assert_eq!((found.without_request, found.refreshes, found.bad), (2, 1, 1));
        assert_eq!(found.first_other.as_deref(), Some("GET /health"));
        assert_eq!((found.first_bad.len(), found.first_bad[0].line), (1, 8));
        assert!(found.to_string().contains("a.log, line 8: byte "), "{found}");
        let many = "garbage\n".repeat(20);
        let found = read(&[("a.log", many + &question)], None).unwrap().found;
        assert_eq!((found.bad, found.first_bad.len()), (20, NAMED));
    }

    #[test]
    fn a_log_without_questions_is_an_error_that_says_what_was_found() {
        let lines = json(3, "/2015/08/10/a-blog/", DAY_0, 200) + "garbage\n";
        let error = read(&[("a.log", lines)], None).unwrap_err().to_string();
        for part in
            ["a.log is a question", "2 lines", "1 other requests (first: GET /2015/08/10/a-blog/)", "line 2"]
        {
            assert!(error.contains(part), "{error}");
        }
    }
}
