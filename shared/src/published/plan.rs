//! The plan that a warmer follows: what was decided on every store and question, and why. It lies at `status:plan`, so that
//! who explains it tells what is really done.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::model::Day;

/// What may be spent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Budget {
    /// Bytes of documents, ready responses and order lines.
    pub bytes: u64,
    /// Milliseconds of work on what is not kept yet.
    pub time_ms: u64,
    /// Documents beside those over all stores.
    pub answers: usize,
    /// Ready responses.
    pub hot_answers: usize,
}

/// Why a candidate is kept or not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// It belongs to what is always kept.
    Always,
    /// It is worth more per byte than what was left out.
    Worth,
    /// It is among what this token asks for most.
    Floor {
        /// Id of the token; empty for requests without one.
        token: String,
    },
    /// What is worth more takes the bytes.
    NoBytes,
    /// What is worth more takes the places.
    NoPlace,
    /// Making it would take more time than is left in a cycle; it is tried again in the next.
    NoTime,
    /// Nobody asked for raw lines of late.
    NotAsked,
}

impl Reason {
    /// Whether it is kept.
    #[must_use]
    pub fn admits(&self) -> bool {
        matches!(self, Self::Always | Self::Worth | Self::Floor { .. })
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words = match self {
            Self::Always => "kept: one of the documents over all stores",
            Self::Worth => "kept: worth more per byte than what was left out",
            Self::Floor { token } if token.is_empty() => {
                "kept: among the favourites of requests without a token (warm.floor)"
            }
            Self::Floor { token } => {
                return write!(f, "kept: among the favourites of token {token} (warm.floor)");
            }
            Self::NoBytes => "not kept: what is worth more takes the bytes (warm.budget)",
            Self::NoPlace => "not kept: what is worth more takes the places (warm.answers)",
            Self::NoTime => {
                "not yet kept: this cycle's time was used up (warm.budget_time); the next one goes on"
            }
            Self::NotAsked => "not kept: nobody asked for them of late",
        };
        f.write_str(words)
    }
}

/// The decision on one question.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Decision {
    /// The question relative to the last data day.
    pub relative: String,
    /// The question as it is asked now, canonical.
    pub question: String,
    /// Decayed count of requests.
    pub heat: f64,
    /// Requests expected per hour.
    pub per_hour: f64,
    /// What a miss costs, milliseconds.
    pub cost_ms: f64,
    /// What keeping it takes, bytes.
    pub bytes: u64,
    /// Requests per hour × milliseconds ÷ bytes.
    pub worth: f64,
    /// Why it is kept or not.
    pub reason: Reason,
    /// Whether its ready response is kept too.
    pub ready: bool,
}

/// The decision on one store.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StoreDecision {
    /// The store.
    pub store_id: String,
    /// Its order lines.
    pub lines: u64,
    /// Decayed count of requests that name it.
    pub heat: f64,
    /// Whether it is warmed first.
    pub hot: bool,
    /// Decayed count of requests for its raw lines.
    pub lines_heat: f64,
    /// What reading them costs, milliseconds.
    pub lines_cost_ms: f64,
    /// What keeping them takes, bytes.
    pub lines_bytes: u64,
    /// Heat × milliseconds ÷ bytes.
    pub lines_worth: f64,
    /// Why its order lines are kept or not.
    pub lines_reason: Reason,
}

/// A plan with its reasons.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct PlanRecord {
    /// When it was made, milliseconds since 1970.
    pub made_at: i64,
    /// Last data day.
    pub last_day: Option<Day>,
    /// What could be spent.
    pub budget: Budget,
    /// Bytes that it takes, as estimated.
    pub bytes: u64,
    /// Whether an access log told; else the largest stores count as hot.
    pub from_log: bool,
    /// Stores, hottest first.
    pub stores: Vec<StoreDecision>,
    /// Questions, most worth first.
    pub decisions: Vec<Decision>,
}
