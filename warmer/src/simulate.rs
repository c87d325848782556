//! `warmer simulate`: replays requests against policies of what to keep, and reports the share that was kept.

mod cli;
mod policies;
mod report;
mod trace;

use rayon::prelude::*;

pub use cli::{SimulateArgs, run};
pub use policies::{POLICIES, Policy, PolicyKind};
pub use report::{BudgetReport, PolicyReport, Report};
pub use trace::{Stream, TraceError, read_trace};

/// Windows of equal numbers of requests that the hit rate over time is told in.
const WINDOWS: usize = 10;

/// Replays a stream against every policy at every budget, given as shares of the distinct keys (0 to 1).
#[must_use]
pub fn simulate(stream: &Stream, shares: &[f64]) -> Report {
    let budget_of = |share: &f64| {
        let entries = entries(stream.distinct(), *share);
        let policies = POLICIES.par_iter().map(|kind| replay(stream, *kind, entries)).collect();
        BudgetReport { share: *share, entries, policies }
    };
    let budgets = shares.iter().map(budget_of).collect();
    Report { requests: stream.requests().len(), distinct: stream.distinct(), budgets }
}

/// A share of the keys, rounded down, at least one: as the independent simulator (libCacheSim) was called.
#[allow(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a share of a count"
)]
fn entries(distinct: usize, share: f64) -> usize {
    ((distinct as f64 * share) as usize).max(1)
}

fn replay(stream: &Stream, kind: PolicyKind, entries: usize) -> PolicyReport {
    let requests = stream.requests();
    let mut policy = kind.start(stream, entries);
    let (mut hits, mut windows) = (0, Vec::with_capacity(WINDOWS));
    for window in requests.chunks(requests.len().div_ceil(WINDOWS).max(1)) {
        let before = hits;
        for request in window {
            hits += usize::from(policy.request(request.key, request.at));
        }
        windows.push(rate(hits - before, window.len()));
    }
    PolicyReport { policy: kind.name(), hit_rate: rate(hits, requests.len()), windows }
}

#[allow(clippy::cast_precision_loss, reason = "counts of requests are far below 2^52")]
fn rate(hits: usize, requests: usize) -> f64 {
    if requests == 0 { 0.0 } else { hits as f64 / requests as f64 }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn every_policy_is_reported_at_every_budget() {
        let mut stream = Stream::default();
        for at in 0..1000_u64 {
            stream.push(&(at % 7).to_string(), at).unwrap();
        }
        let report = simulate(&stream, &[0.2, 1.0]);
        assert_eq!((report.requests, report.distinct), (1000, 7));
        assert_eq!(report.budgets.iter().map(|budget| budget.entries).collect::<Vec<_>>(), [1, 7]);
        for policy in &report.budgets[1].policies {
            assert_eq!(policy.windows.len(), WINDOWS);
            if policy.policy != "top by count" {
                assert_eq!(policy.hit_rate, 0.993, "{}", policy.policy);
            }
        }
        let _: serde_json::Value = serde_json::from_str(&report.json().unwrap()).unwrap();
        assert!(report.text().contains("optimum"));
        assert!(simulate(&Stream::default(), &[0.5]).text().contains("0 requests"));
    }
}
