//! The record of a plan: what was decided on every store and question, and why. The warmer publishes the one that it
//! follows, so that `explain` tells what it really did.

use serde::{Deserialize, Serialize};
use shared::model::Day;

use super::{Budget, Decision, Reason};

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
