//! What is asked for, as the access logs tell: heat of stores, of raw order lines, and of questions relative to the last
//! data day; what each token asks for; and which step answered. Bounded in memory; pure.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use shared::access_log::{Outcome, Request};
use shared::answers::parameters::Asked;
use shared::config::HeatSettings;
use shared::model::{Day, Document, RelativeAsk};
use shared::published::Answered;

use crate::heat::keep::Keeper;
use crate::heat::{Heat, HeatSnapshot, Hot};

/// Questions that are remembered of one token, as a multiple of those that are kept for it.
const PER_TOKEN: usize = 4;
/// Most hot keys that the fingerprint of a ranking looks at.
const RANKED: usize = 100;
const MILLISECONDS_PER_DAY: i64 = 86_400_000;

/// How much is remembered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Half-life of a request's weight, milliseconds.
    pub half_life_ms: u64,
    /// Stores.
    pub stores: usize,
    /// Questions.
    pub questions: usize,
    /// Tokens.
    pub tokens: usize,
    /// Questions of each token that are kept whatever the others ask for.
    pub floor: usize,
    /// Documents that may be kept.
    pub answers: usize,
}

impl Limits {
    /// From settings; `floor` and `answers` are those of the plan.
    #[must_use]
    pub fn new(settings: &HeatSettings, floor: usize, answers: usize) -> Self {
        let half_life_ms = u64::try_from(settings.half_life.as_millis()).unwrap_or(u64::MAX);
        let HeatSettings { stores, questions, tokens, .. } = *settings;
        Self { half_life_ms, stores, questions, tokens, floor, answers }
    }
}

/// What a request asked for.
#[derive(Clone, Debug, PartialEq)]
pub enum Wanted {
    /// Nothing that could be kept.
    Nothing,
    /// A document.
    Question {
        /// The question.
        ask: RelativeAsk,
        /// Whether it was not ready.
        missed: bool,
    },
    /// Order lines of a store.
    Lines {
        /// The store.
        store_id: String,
        /// Whether they were not ready.
        missed: bool,
    },
}

/// What is asked for.
#[derive(Clone, Debug)]
pub struct Interest {
    limits: Limits,
    stores: Heat<String>,
    lines: Heat<String>,
    questions: Heat<String>,
    keeper: Keeper<String>,
    tokens: Heat<String>,
    of_token: BTreeMap<String, Heat<String>>,
    answered: Answered,
    /// Fingerprint of the ranking when it last changed, and requests since.
    ranking: (u64, u64),
}

/// What is kept of it across restarts.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct InterestSnapshot {
    stores: HeatSnapshot<String>,
    lines: HeatSnapshot<String>,
    questions: HeatSnapshot<String>,
    keeper: Keeper<String>,
    tokens: HeatSnapshot<String>,
    of_token: BTreeMap<String, HeatSnapshot<String>>,
    answered: Answered,
}

impl Interest {
    /// Nothing was asked yet.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        let heat = |capacity| Heat::new(limits.half_life_ms, capacity);
        Self {
            stores: heat(limits.stores),
            lines: heat(limits.stores),
            questions: heat(limits.questions),
            keeper: Keeper::new(limits.answers),
            tokens: heat(limits.tokens),
            of_token: BTreeMap::new(),
            answered: Answered::default(),
            ranking: (0, 0),
            limits,
        }
    }

    /// As it was kept, within other limits if they changed.
    #[must_use]
    pub fn restore(snapshot: InterestSnapshot, limits: Limits) -> Self {
        let heat = |snapshot, capacity| Heat::restore(snapshot, limits.half_life_ms, capacity);
        let per_token = limits.floor * PER_TOKEN;
        let of_token = snapshot.of_token.into_iter();
        Self {
            stores: heat(snapshot.stores, limits.stores),
            lines: heat(snapshot.lines, limits.stores),
            questions: heat(snapshot.questions, limits.questions),
            keeper: snapshot.keeper.within(limits.answers),
            tokens: heat(snapshot.tokens, limits.tokens),
            of_token: of_token.map(|(token, of_token)| (token, heat(of_token, per_token))).collect(),
            answered: snapshot.answered,
            ranking: (0, 0),
            limits,
        }
    }

    /// What is to be kept across restarts.
    #[must_use]
    pub fn snapshot(&self) -> InterestSnapshot {
        let of_token = self.of_token.iter().map(|(token, heat)| (token.clone(), heat.snapshot()));
        InterestSnapshot {
            stores: self.stores.snapshot(),
            lines: self.lines.snapshot(),
            questions: self.questions.snapshot(),
            keeper: self.keeper.clone(),
            tokens: self.tokens.snapshot(),
            of_token: of_token.collect(),
            answered: self.answered.clone(),
        }
    }

    /// Takes over one request. `last_day` is the last data day now, for logs that do not say which it was: it is taken
    /// to have moved with the clock.
    pub fn record(&mut self, request: &Request, last_day: Option<Day>, now: i64) -> Wanted {
        let (status, at) = (request.status, u64::try_from(request.time).unwrap_or(0));
        let failed = status >= 500 || status == CLIENT_GONE;
        // What was refused is not wanted by anybody who may have it.
        let asked = if status < 400 || failed { request.question().ok() } else { None };
        let Some(asked) = asked else {
            self.answered.other += 1;
            return Wanted::Nothing;
        };
        if failed {
            self.answered.failed += 1;
        } else {
            *self.answered.outcomes.entry(request.outcome.as_str().to_owned()).or_default() += 1;
            self.answered.stale += u64::from(request.stale);
        }
        self.ranking.1 += 1;
        match asked {
            Asked::Orders(ask) => {
                self.stores.record(&ask.store_id, at, 1.0);
                self.lines.record(&ask.store_id, at, 1.0);
                Wanted::Lines { missed: failed || request.outcome == Outcome::Source, store_id: ask.store_id }
            }
            Asked::Document(ask) => {
                for store_id in ask.stores.iter().flatten() {
                    self.stores.record(store_id, at, 1.0);
                }
                // The list of stores is always there.
                let last_day = request.last_day.or_else(|| moved(last_day?, request.time, now));
                let Some(last_day) = last_day.filter(|_| ask.document != Document::Stores) else {
                    return Wanted::Nothing;
                };
                let relative = RelativeAsk::new(ask, last_day);
                self.question(&relative.text(), request.token.as_deref().unwrap_or(""), at);
                Wanted::Question { missed: failed || is_miss(request.outcome), ask: relative }
            }
        }
    }

    fn question(&mut self, text: &String, token: &str, at: u64) {
        self.questions.record(text, at, 1.0);
        self.keeper.watch(text, at);
        if self.limits.floor == 0 {
            return;
        }
        let token = token.to_owned();
        self.tokens.record(&token, at, 1.0);
        let (half_life, capacity) = (self.limits.half_life_ms, self.limits.floor * PER_TOKEN);
        self.of_token.entry(token).or_insert_with(|| Heat::new(half_life, capacity)).record(text, at, 1.0);
        // Tokens that gave way are let go in batches.
        if self.of_token.len() > self.limits.tokens + self.limits.tokens / 4 + 1 {
            let tokens = &self.tokens;
            self.of_token.retain(|token, _| tokens.contains(token));
        }
    }

    /// The hottest stores, hottest first.
    #[must_use]
    pub fn hot_stores(&self, now: u64, most: usize) -> Vec<Hot<String>> {
        self.stores.ranking(now, most)
    }

    /// The stores of which raw lines are asked for, hottest first.
    #[must_use]
    pub fn hot_lines(&self, now: u64, most: usize) -> Vec<Hot<String>> {
        self.lines.ranking(now, most)
    }

    /// The hottest questions, hottest first.
    #[must_use]
    pub fn hot_questions(&self, now: u64, most: usize) -> Vec<Hot<String>> {
        self.questions.ranking(now, most)
    }

    /// Heat of a store.
    #[must_use]
    pub fn store_heat(&self, store_id: &String, now: u64) -> f64 {
        self.stores.heat(store_id, now)
    }

    /// Heat of raw lines of a store.
    #[must_use]
    pub fn lines_heat(&self, store_id: &String, now: u64) -> f64 {
        self.lines.heat(store_id, now)
    }

    /// Heat of a question.
    #[must_use]
    pub fn question_heat(&self, text: &String, now: u64) -> f64 {
        self.questions.heat(text, now)
    }

    /// Requests per hour that are expected of a question: in the long run those that its heat stands for; in the short
    /// run what was learned of questions like it, but no more than one in the time since it was asked for last, since
    /// what is planned must be of use for a while.
    #[must_use]
    #[allow(clippy::cast_precision_loss, reason = "milliseconds far below 2^52")]
    pub fn expected_per_hour(&self, text: &String, now: u64) -> f64 {
        let half_life = self.limits.half_life_ms as f64;
        let long_run = self.questions.heat(text, now) * std::f64::consts::LN_2 / half_life;
        let since = self.keeper.last(text).map_or(u64::MAX, |last| now.saturating_sub(last)).max(1_000);
        let short_run = self.keeper.value(text, now).min(1.0 / since as f64);
        long_run.max(short_run) * MILLISECONDS_PER_HOUR
    }

    /// The questions of which most requests are expected, with requests per hour, most first.
    #[must_use]
    pub fn expected(&self, now: u64, most: usize) -> Vec<(String, f64)> {
        let asked = self.questions.ranking(now, most).into_iter().map(|hot| hot.key);
        let texts: BTreeSet<String> =
            self.keeper.ranking(now, most).into_iter().map(|(text, _)| text).chain(asked).collect();
        let rated = |text: String| {
            let per_hour = self.expected_per_hour(&text, now);
            (text, per_hour)
        };
        let mut expected: Vec<(String, f64)> = texts.into_iter().map(rated).collect();
        expected.sort_by(|a, b| b.1.total_cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        expected.truncate(most);
        expected
    }

    /// The hottest questions of each token, `floor` of each.
    #[must_use]
    pub fn by_token(&self, now: u64) -> Vec<(String, Vec<String>)> {
        let hottest = |heat: &Heat<String>| -> Vec<String> {
            heat.ranking(now, self.limits.floor).into_iter().map(|hot| hot.key).collect()
        };
        self.of_token.iter().map(|(token, heat)| (token.clone(), hottest(heat))).collect()
    }

    /// What answered, since the state was begun.
    #[must_use]
    pub fn answered(&self) -> &Answered {
        &self.answered
    }

    /// If anything was asked.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.stores.is_empty() && self.questions.is_empty()
    }

    /// Requests since the ranking last changed: many of them with the same ranking mean that something is stuck.
    pub fn requests_since_ranking_changed(&mut self) -> u64 {
        let bytes = |text: &String| text.clone().into_bytes();
        let now =
            self.stores.fingerprint(RANKED, bytes) ^ self.questions.fingerprint(RANKED, bytes).rotate_left(1);
        if now != self.ranking.0 {
            self.ranking = (now, 0);
        }
        self.ranking.1
    }
}

/// Status of a request whose client went away, as nginx has it.
const CLIENT_GONE: u16 = 499;
const MILLISECONDS_PER_HOUR: f64 = 3_600_000.0;

/// Whether more was needed than one whole document.
fn is_miss(outcome: Outcome) -> bool {
    matches!(outcome, Outcome::L3Compose | Outcome::L2Compose | Outcome::L1 | Outcome::Source)
}

/// The last data day at an earlier time, if it moved with the clock.
fn moved(last_day: Day, at: i64, now: i64) -> Option<Day> {
    let day = |time: i64| time.div_euclid(MILLISECONDS_PER_DAY);
    let days = i32::try_from(day(now) - day(at)).ok()?;
    Some(last_day.plus(days.checked_neg()?))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic, clippy::cast_sign_loss, reason = "tests")]
mod tests {
    use super::*;

    const NOW: i64 = 1_800_000_000_000;

    fn limits() -> Limits {
        Limits { half_life_ms: 3_600_000, stores: 10, questions: 10, tokens: 2, floor: 2, answers: 10 }
    }

    fn request(path: &str, query: &str, status: u16, outcome: Outcome) -> Request {
        let last_day = "2026-03-07".parse().ok();
        Request {
            time: NOW,
            method: "GET".into(),
            path: path.into(),
            query: query.into(),
            status,
            outcome,
            last_day,
            ..Request::default()
        }
    }

    fn asked(interest: &mut Interest, query: &str, status: u16, outcome: Outcome) -> Wanted {
        interest.record(&request("/v1/metrics/overview", query, status, outcome), None, NOW)
    }

    #[test]
    fn requests_heat_what_they_name_and_refused_ones_nothing() {
        let mut interest = Interest::new(limits());
        asked(&mut interest, "stores=a,b", 200, Outcome::L3);
        asked(&mut interest, "stores=b", 304, Outcome::L4);
        for status in [400, 401, 403, 404, 429] {
            assert_eq!(asked(&mut interest, "stores=c", status, Outcome::None), Wanted::Nothing);
        }
        let stores: Vec<String> = interest.hot_stores(NOW as u64, 9).into_iter().map(|hot| hot.key).collect();
        assert_eq!(stores, ["b", "a"]);
        assert_eq!(interest.answered().other, 5);
        let lines = interest.record(&request("/v1/stores/a/orders", "", 200, Outcome::Source), None, NOW);
        assert_eq!(lines, Wanted::Lines { store_id: "a".into(), missed: true });
        assert_eq!(interest.hot_lines(NOW as u64, 9).len(), 1);
    }

    #[test]
    fn what_had_to_be_composed_or_failed_is_a_miss() {
        let mut interest = Interest::new(limits());
        for (status, outcome, expected) in [
            (200, Outcome::L3, false),
            (200, Outcome::Near, false),
            (200, Outcome::L2Compose, true),
            (200, Outcome::Source, true),
            (503, Outcome::None, true),
            (499, Outcome::None, true),
        ] {
            let Wanted::Question { missed, .. } = asked(&mut interest, "", status, outcome) else {
                panic!("a question")
            };
            assert_eq!(missed, expected, "{status} {outcome:?}");
        }
    }

    #[test]
    fn days_are_remembered_relative_to_the_last_data_day() {
        let mut interest = Interest::new(limits());
        asked(&mut interest, "from=2026-03-01&to=2026-03-07", 200, Outcome::L3);
        let mut next = request("/v1/metrics/overview", "from=2026-03-02&to=2026-03-08", 200, Outcome::L3);
        next.last_day = "2026-03-08".parse().ok();
        interest.record(&next, None, NOW);
        // A log that does not say: yesterday, the last data day was one day earlier.
        let yesterday = Request { time: NOW - MILLISECONDS_PER_DAY, last_day: None, ..next };
        interest.record(&yesterday, "2026-03-09".parse().ok(), NOW);
        let hot = interest.hot_questions(NOW as u64, 9);
        assert_eq!((hot.len(), hot[0].key.as_str()), (1, "overview?&from=-6&to=+0"));
    }

    #[test]
    fn busy_tokens_do_not_crowd_out_others_and_tokens_are_bounded() {
        let mut interest = Interest::new(limits());
        let mut ask = |token: &str, query: &str| {
            let mut request = request("/v1/metrics/overview", query, 200, Outcome::L3);
            request.token = Some(token.into());
            interest.record(&request, None, NOW);
        };
        ask("quiet", "stores=q");
        for number in 0..500 {
            ask("busy", &format!("stores=b{}", number % 7));
        }
        let mine = interest.by_token(NOW as u64).into_iter().find(|(token, _)| token == "quiet").unwrap().1;
        assert_eq!(mine, ["overview?&store=q"]);
        for number in 0..100 {
            let mut request = request("/v1/metrics/overview", "", 200, Outcome::L3);
            request.token = Some(format!("t{number}"));
            interest.record(&request, None, NOW);
        }
        assert!(interest.by_token(NOW as u64).len() <= 4);
    }

    #[test]
    fn a_ranking_that_stays_counts_requests() {
        let mut interest = Interest::new(limits());
        asked(&mut interest, "stores=a", 200, Outcome::L3);
        assert_eq!(interest.requests_since_ranking_changed(), 0);
        asked(&mut interest, "stores=a", 200, Outcome::L3);
        assert_eq!(interest.requests_since_ranking_changed(), 1);
        asked(&mut interest, "stores=b", 200, Outcome::L3);
        assert_eq!(interest.requests_since_ranking_changed(), 0);
    }

    #[test]
    fn a_snapshot_gives_it_back() {
        let mut interest = Interest::new(limits());
        asked(&mut interest, "stores=a,b", 200, Outcome::L3);
        asked(&mut interest, "stores=b", 200, Outcome::L2Compose);
        let text = serde_json::to_string(&interest.snapshot()).unwrap();
        let back = Interest::restore(serde_json::from_str(&text).unwrap(), limits());
        let now = NOW as u64;
        assert_eq!(back.hot_stores(now, 9), interest.hot_stores(now, 9));
        assert_eq!(back.hot_questions(now, 9), interest.hot_questions(now, 9));
        assert_eq!(back.by_token(now), interest.by_token(now));
        assert!(back.answered() == interest.answered());
        for ((text, value), (same, about)) in back.expected(now, 9).into_iter().zip(interest.expected(now, 9))
        {
            assert!(text == same && (value - about).abs() <= 1e-9 * about, "{text} {same}");
        }
    }
}
