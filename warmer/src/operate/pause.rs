//! `warmer pause` and `warmer resume`: the switch that stops warming without stopping the warmer.

use std::time::Duration;

use shared::cache::Write;
use shared::cache::levels::{Pause, Paused};

use super::words::{ago, iso, lasting};
use super::{Desk, OperateError, OperatorRequest, Writer};

/// What was done.
#[derive(Clone, Debug)]
pub struct Switched {
    /// How it was.
    pub before: Paused,
    /// How it is.
    pub after: Paused,
    /// Whom it concerns; `None` if no warmer runs.
    pub writer: Option<Writer>,
}

/// Pauses warming. A pause that is on already stays as it is, unless a reason or an end is given.
///
/// # Errors
/// If Redis does not answer.
pub async fn pause(
    desk: &Desk,
    by: String,
    reason: Option<String>,
    lasts: Option<Duration>,
    now: i64,
) -> Result<Switched, OperateError> {
    let before = desk.levels.read_paused().await.ok_or(OperateError::Unavailable)?;
    let writer = desk.writer().await?;
    if before != Paused::No && reason.is_none() && lasts.is_none() {
        return Ok(Switched { after: before.clone(), before, writer });
    }
    let until = lasts.map(|lasts| now.saturating_add(i64::try_from(lasts.as_millis()).unwrap_or(i64::MAX)));
    let pause = Pause { by, since: now, until, reason };
    desk.levels.cache().transact(vec![desk.levels.write_pause(&pause)?]).await?;
    Ok(Switched { before, after: Paused::Yes(pause), writer })
}

/// Resumes warming, and asks for a cycle, so that what changed meanwhile is seen to at once.
///
/// # Errors
/// If Redis does not answer.
pub async fn resume(desk: &Desk) -> Result<Switched, OperateError> {
    let before = desk.levels.read_paused().await.ok_or(OperateError::Unavailable)?;
    if before != Paused::No {
        let keys = desk.levels.keys();
        let writes = vec![Write::Delete { key: keys.paused().key }, OperatorRequest::Cycle.write(keys)?];
        desk.levels.cache().transact(writes).await?;
    }
    Ok(Switched { before, after: Paused::No, writer: desk.writer().await? })
}

/// Who, since when, until when and why.
#[must_use]
pub fn describe(pause: &Pause, now: i64) -> String {
    let mut text = format!("by {} at {} ({})", pause.by, iso(pause.since), ago(pause.since, now));
    if let Some(until) = pause.until {
        text.push_str(&format!(", until {} ({})", iso(until), ago(until, now)));
    }
    if let Some(reason) = &pause.reason {
        text.push_str(&format!(": {reason}"));
    }
    text
}

impl Switched {
    /// For people.
    #[must_use]
    pub fn text(&self, now: i64) -> String {
        let words = |paused: &Paused| match paused {
            Paused::No => "not paused".to_owned(),
            Paused::Yes(pause) => format!("paused {}", describe(pause, now)),
            Paused::Unexplained(text) => {
                format!("paused (the key holds {text:?}, which does not say by whom)")
            }
        };
        let first = match (&self.before, &self.after) {
            (Paused::No, Paused::No) => "warming was not paused".to_owned(),
            (before, Paused::No) => format!("warming resumes; it was {}", words(before)),
            (Paused::No, after) => format!("warming is {}", words(after)),
            (before, after) if before == after => format!("warming is {}, as before", words(after)),
            (before, after) => format!("warming is {}\nbefore: {}", words(after), words(before)),
        };
        format!("{first}\n{}", self.next())
    }

    /// What happens now.
    fn next(&self) -> String {
        let (owner, is_paused) = (self.writer.as_ref().map(|writer| &writer.owner), self.after != Paused::No);
        match (owner, is_paused) {
            (None, true) => "no warmer runs; one that starts will stand still".to_owned(),
            (None, false) => "no warmer runs; start one with `warmer run`".to_owned(),
            (Some(owner), true) => {
                let end = match &self.after {
                    Paused::Yes(Pause { until: Some(until), since, .. }) => {
                        let lasts = Duration::from_millis(until.abs_diff(*since));
                        format!("after {} it goes on by itself, or at", lasting(lasts))
                    }
                    _ => "it goes on at".to_owned(),
                };
                format!(
                    "{owner} finishes the stores under way and then reads nothing more; {end} `warmer resume`. \
                     What is cached is served, marked stale when its time is over"
                )
            }
            (Some(owner), false) if self.before == Paused::No => format!("{owner} is at work"),
            (Some(owner), false) => format!("{owner} begins a cycle within a second"),
        }
    }

    /// For scripts.
    #[must_use]
    pub fn json(&self) -> serde_json::Value {
        let value = |paused: &Paused| match paused {
            Paused::No => serde_json::Value::Null,
            Paused::Yes(pause) => serde_json::json!(pause),
            Paused::Unexplained(text) => serde_json::json!({ "text": text }),
        };
        serde_json::json!({
            "paused": self.after != Paused::No,
            "pause": value(&self.after),
            "before": value(&self.before),
            "writer": self.writer,
        })
    }
}
