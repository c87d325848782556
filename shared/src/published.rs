//! What warmers tell of themselves in Redis, for gateways, commands and each other.

mod plan;
mod status;
mod warmers;

pub use plan::{Budget, Decision, PlanRecord, Reason, StoreDecision};
pub use status::{
    Answered, Counts, CycleReport, LogCounts, MemoryCounts, Phase, PlanCounts, Role, STATUS_FORM, Status,
    Unready, Waits,
};
pub use warmers::{Warmers, tell, withdraw};
