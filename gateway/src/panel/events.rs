//! What happened of late that an operator wants to know: found by comparing what was with what is.

use std::collections::VecDeque;

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value, json};
use shared::cache::MonitorState;

use super::facts::Facts;

/// Events that are kept.
const MOST: usize = 100;
/// From how many hits in a hundred on the hit rate is good.
const GOOD_HITS: f64 = 90.0;
/// Answers in the window below which a share says nothing.
const LEAST_ANSWERS: u64 = 20;
/// Evictions within so many milliseconds are one event.
const TOGETHER_MS: i64 = 600_000;

/// How much an event matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Something does not work.
    Error,
    /// Something works worse.
    Warning,
    /// Good to know.
    Info,
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Event {
    /// When it was seen, milliseconds since 1970.
    pub at: i64,
    /// Which kind, for programs.
    pub kind: &'static str,
    /// How much it matters.
    pub severity: Severity,
    /// What the sentence is made of.
    pub params: Map<String, Value>,
    /// In words.
    pub text: String,
}

/// The latest events, and what they were found by.
#[derive(Debug, Default)]
pub(super) struct Events {
    latest: VecDeque<Event>,
    before: Option<Facts>,
    /// The hit rate when it last said something.
    hits: Option<f64>,
    /// Looks in a row that found nobody writing.
    without_warmer: u32,
}

impl Events {
    pub(super) fn latest(&self) -> Vec<Event> {
        self.latest.iter().cloned().collect()
    }

    fn add(&mut self, at: i64, kind: &'static str, severity: Severity, params: Value, text: String) {
        if self.latest.len() >= MOST {
            self.latest.pop_front();
        }
        let params = if let Value::Object(params) = params { params } else { Map::new() };
        self.latest.push_back(Event { at, kind, severity, params, text });
    }

    /// Finds what happened since the last time.
    pub(super) fn take(&mut self, now: &Facts) {
        use Severity::{Error, Info, Warning};
        let Some(before) = self.before.replace(now.clone()) else {
            self.add(now.at, "gateway_started", Info, json!({}), "This gateway started.".to_owned());
            self.without_warmer = u32::from(now.warmer == Some(false));
            return;
        };
        let at = now.at;
        match (before.redis, now.redis) {
            (MonitorState::Offline, MonitorState::Online) => {
                self.add(at, "redis_online", Info, json!({}), "Redis answers again.".to_owned());
            }
            (was, MonitorState::Offline) if was != MonitorState::Offline => {
                let text = "Redis does not answer: answers come from the database, which is slower. See that it runs (redis-cli PING), and its log.";
                self.add(at, "redis_offline", Error, json!({}), text.to_owned());
            }
            _ => {}
        }
        if let (Some(was), Some(is)) = (before.redis_uptime_s, now.redis_uptime_s)
            && is < was
        {
            let text = match now.keys {
                Some(keys) => format!("Redis was restarted {is} s ago; it has {keys} keys since."),
                None => format!("Redis was restarted {is} s ago."),
            };
            self.add(
                at,
                "redis_restarted",
                Warning,
                json!({ "uptime_s": is, "keys": now.keys }),
                format!("{text} What it had not saved must be warmed again; the warmer does that by itself."),
            );
        } else if now.emptied > before.emptied {
            let text = "Redis was emptied (FLUSHALL or FLUSHDB): everything must be warmed again; the warmer does that by itself.";
            self.add(at, "cache_emptied", Warning, json!({}), text.to_owned());
        }
        self.take_warmer(&before, now);
        if now.evicted > before.evicted {
            self.evicted(at, now.evicted - before.evicted);
        }
        match (before.postgres, now.postgres) {
            (Some(true), Some(false)) => {
                let text = "The database does not answer: what is cached is still served, the rest is not. See that PostgreSQL runs.";
                self.add(at, "postgres_offline", Error, json!({}), text.to_owned());
            }
            (Some(false), Some(true)) => {
                self.add(at, "postgres_online", Info, json!({}), "The database answers again.".to_owned());
            }
            _ => {}
        }
        self.take_hits(now);
    }

    fn take_warmer(&mut self, before: &Facts, now: &Facts) {
        // A lease that is taken over is nobody's for a moment.
        const LOOKS: u32 = 3;
        match now.warmer {
            Some(true) => {
                if self.without_warmer >= LOOKS {
                    self.add(
                        now.at,
                        "warmer_active",
                        Severity::Info,
                        json!({}),
                        "A warmer writes again.".to_owned(),
                    );
                }
                self.without_warmer = 0;
            }
            Some(false) => {
                self.without_warmer = self.without_warmer.saturating_add(1);
                if self.without_warmer == LOOKS {
                    let text = "No warmer is active: nothing is renewed, and answers get old. Start one (warmer run), or see its log.";
                    self.add(now.at, "no_warmer", Severity::Error, json!({}), text.to_owned());
                }
            }
            // Redis does not say.
            None => {}
        }
        match (before.paused, now.paused) {
            (Some(false), Some(true)) => {
                let text = "Warming was paused. When that is no longer wanted: warmer resume.";
                self.add(now.at, "warmer_paused", Severity::Warning, json!({}), text.to_owned());
            }
            (Some(true), Some(false)) => {
                self.add(
                    now.at,
                    "warmer_resumed",
                    Severity::Info,
                    json!({}),
                    "Warming was resumed.".to_owned(),
                );
            }
            _ => {}
        }
    }

    fn evicted(&mut self, at: i64, more: u64) {
        let mut count = more;
        let last =
            self.latest.iter().rposition(|event| event.kind == "evictions" && at - event.at < TOGETHER_MS);
        if let Some(event) = last.and_then(|last| self.latest.remove(last)) {
            count += event.params.get("count").and_then(Value::as_u64).unwrap_or(0);
        }
        let text = format!(
            "Redis evicted {count} keys for want of room. Raise maxmemory, or lower warm.budget or cache.retention_days."
        );
        self.add(at, "evictions", Severity::Warning, json!({ "count": count }), text);
    }

    fn take_hits(&mut self, now: &Facts) {
        let Some(hits) = now.hit_percent.filter(|_| now.answered >= LEAST_ANSWERS) else { return };
        let was = self.hits.replace(hits);
        let (good, was_good) = (hits >= GOOD_HITS, was.is_some_and(|was| was >= GOOD_HITS));
        let params = json!({ "from": was, "to": hits });
        if was_good && !good {
            let text =
                format!("The hit rate fell to {hits:.0} %: more answers than usual need the database.");
            self.add(now.at, "hit_rate_fell", Severity::Warning, params, text);
        } else if good && was.is_some() && !was_good {
            let text = format!("The hit rate is good again: {hits:.0} %.");
            self.add(now.at, "hit_rate_recovered", Severity::Info, params, text);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kinds(events: &Events) -> Vec<&'static str> {
        events.latest.iter().map(|event| event.kind).collect()
    }

    fn well() -> Facts {
        Facts {
            redis: MonitorState::Online,
            redis_uptime_s: Some(1000),
            keys: Some(500),
            warmer: Some(true),
            paused: Some(false),
            postgres: Some(true),
            hit_percent: Some(99.0),
            answered: 100,
            ..Facts::default()
        }
    }

    #[test]
    fn a_restart_of_redis_is_told_from_its_begin_to_its_end() {
        let mut events = Events::default();
        events.take(&well());
        events.take(&well());
        assert_eq!(kinds(&events), ["gateway_started"]);
        events.take(&Facts { redis: MonitorState::Offline, warmer: None, paused: None, ..well() });
        let emptied =
            Facts { redis_uptime_s: Some(3), keys: Some(0), emptied: 1, hit_percent: Some(40.0), ..well() };
        events.take(&Facts { warmer: Some(false), ..emptied.clone() });
        events.take(&Facts { redis_uptime_s: Some(8), ..emptied.clone() });
        events.take(&Facts { hit_percent: None, redis_uptime_s: Some(9), ..emptied.clone() });
        events.take(&Facts { hit_percent: Some(96.0), redis_uptime_s: Some(10), ..emptied });
        let expected = [
            "gateway_started",
            "redis_offline",
            "redis_online",
            "redis_restarted",
            "hit_rate_fell",
            "hit_rate_recovered",
        ];
        assert_eq!(kinds(&events), expected);
    }

    #[test]
    fn evictions_are_added_up_and_few_answers_say_nothing() {
        let mut events = Events::default();
        events.take(&well());
        for (at, evicted) in [(1, 5), (2, 9), (TOGETHER_MS * 2, 10)] {
            events.take(&Facts { at, evicted, hit_percent: Some(0.0), answered: 3, ..well() });
        }
        assert_eq!(kinds(&events), ["gateway_started", "evictions", "evictions"]);
        assert_eq!(events.latest[1].params["count"], 9);
    }

    #[test]
    fn nobody_writing_is_told_when_it_lasts() {
        let mut events = Events::default();
        for warmer in [true, false, false, true, false, false, false, false, true] {
            events.take(&Facts { warmer: Some(warmer), ..well() });
        }
        for paused in [true, true, false] {
            events.take(&Facts { paused: Some(paused), ..well() });
        }
        let expected = ["gateway_started", "no_warmer", "warmer_active", "warmer_paused", "warmer_resumed"];
        assert_eq!(kinds(&events), expected);
        for _ in 0..500 {
            events.take(&Facts { postgres: Some(false), ..well() });
            events.take(&well());
        }
        assert_eq!(events.latest().len(), MOST);
    }
}
