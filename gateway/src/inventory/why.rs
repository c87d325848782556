//! Why a store is warm or not, as what the warmers and Redis tell leaves it to be known.

use serde_json::{Value, json};
use shared::cache::levels::Paused;
use shared::cache::{Levels, ServerFacts};
use shared::published::{Unready, Waits, Warmers};
use shared::runtime::now_ms;

use crate::problem::Problem;

/// For how many milliseconds after a restart of Redis that is told as a reason.
const RECENT_MS: i64 = 3_600_000;

/// What is known of the causes, for all stores of an answer.
pub(super) struct Causes {
    warmers: Warmers,
    paused: Paused,
    server: Option<ServerFacts>,
    operator: bool,
    /// Nobody need warm what lies in this process's memory.
    memory: bool,
}

impl Causes {
    /// # Errors
    /// 503 if Redis does not answer.
    pub(super) async fn read(levels: &Levels, operator: bool) -> Result<Self, Problem> {
        let warmers = Warmers::read(levels.cache(), levels.keys()).await;
        let health = levels.cache().health();
        Ok(Self {
            warmers: warmers.ok_or_else(Problem::cache_away)?,
            paused: levels.read_paused().await.ok_or_else(Problem::cache_away)?,
            memory: health.is_none(),
            server: health.and_then(|health| health.monitor?.server),
            operator,
        })
    }

    /// Why all of a store is ready.
    pub(super) fn of_ready(confirmed_at: Option<i64>) -> Value {
        json!({ "code": "ready", "confirmed_at": confirmed_at, "text": "ready" })
    }

    /// Why something of a store is missing or old.
    pub(super) fn of(&self, store_id: &str, hot: bool, stale: bool) -> Value {
        let mut why = self.cause(store_id, hot, stale);
        if let Some(at) = self.emptied_at().filter(|_| !stale)
            && let Some(fields) = why.as_object_mut()
        {
            fields.insert("emptied_at".to_owned(), json!(at));
            if let Some(Value::String(text)) = fields.get_mut("text") {
                text.push_str(&format!("; Redis was restarted {} s ago", (now_ms() - at) / 1000));
            }
        }
        why
    }

    /// When Redis was started, if that was of late.
    fn emptied_at(&self) -> Option<i64> {
        let uptime_s = i64::try_from(self.server.as_ref()?.uptime_s).ok()?;
        (uptime_s * 1000 < RECENT_MS).then(|| now_ms() - uptime_s * 1000)
    }

    fn cause(&self, store_id: &str, hot: bool, stale: bool) -> Value {
        if self.memory {
            return json!({ "code": "unknown", "text": "not kept in memory" });
        }
        match &self.paused {
            Paused::No => {}
            Paused::Yes(pause) => {
                let (by, reason) =
                    if self.operator { (Some(&pause.by), pause.reason.as_ref()) } else { (None, None) };
                let text = "warming is paused; to go on: warmer resume";
                return json!({ "code": "paused", "by": by, "since": pause.since, "until": pause.until,
                    "reason": reason, "text": text });
            }
            Paused::Unexplained(_) => {
                return json!({ "code": "paused", "text": "warming is paused; to go on: warmer resume" });
            }
        }
        if !self.warmers.active {
            return json!({ "code": "no_warmer", "text": "no warmer is active; start one (warmer run), or see its log" });
        }
        let counts = self.warmers.writer().map(|status| &status.counts);
        let unready =
            counts.and_then(|counts| counts.unready.iter().find(|unready| unready.store_id == store_id));
        if let Some(unready) = unready {
            return self.waits(unready);
        }
        let Some(counts) = counts else {
            return json!({ "code": "unknown", "text": "the warmer that writes does not tell of itself" });
        };
        if counts.memory.stores_left_out > 0 && !hot && !stale {
            return left_out();
        }
        if counts.waiting > counts.unready.len() {
            let text = if self.operator {
                format!("{} stores wait to be warmed, this one among the last", counts.waiting)
            } else {
                "it waits to be warmed".to_owned()
            };
            return json!({ "code": "waiting", "place": null, "text": text });
        }
        if counts.memory.evicted > 0 && !stale {
            let count = counts.memory.evicted;
            let text =
                format!("Redis evicted {count} keys for want of room; raise maxmemory, or lower warm.budget");
            return json!({ "code": "evicted", "count": count, "text": text });
        }
        let text = format!("not known; warmer explain {store_id} says more");
        json!({ "code": "unknown", "text": text })
    }

    fn waits(&self, unready: &Unready) -> Value {
        let what = if unready.changed { "its data changed: " } else { "" };
        match &unready.why {
            // How many others there are is for operators.
            Waits::Waiting { .. } if !self.operator => {
                let text = format!("{what}it waits to be warmed");
                json!({ "code": "waiting", "place": null, "changed": unready.changed, "text": text })
            }
            Waits::Waiting { place } => {
                let text = format!("{what}number {place} of those that wait to be warmed");
                json!({ "code": "waiting", "place": place, "changed": unready.changed, "text": text })
            }
            Waits::Running => {
                let text = format!("{what}it is being warmed now");
                json!({ "code": "running", "changed": unready.changed, "text": text })
            }
            Waits::Failing { error, tries, next_at } => {
                let error = self.operator.then_some(error);
                let told = error.map_or("the warmer's log says why", String::as_str);
                let text = format!("it failed {tries} times and is tried again: {told}");
                json!({ "code": "failing", "error": error, "tries": tries, "next_at": next_at, "text": text })
            }
            Waits::LeftOut => left_out(),
        }
    }
}

fn left_out() -> Value {
    json!({ "code": "left_out", "text": "Redis has no room for it; raise maxmemory, or lower cache.retention_days" })
}
