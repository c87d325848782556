//! `warmer simulate`: replays requests against policies of what to keep, and reports the share that was kept.

mod cli;
mod days;
mod log;
mod policies;
mod report;
mod trace;

use rayon::prelude::*;

pub use cli::{SimulateArgs, run};
pub use days::{DayChanges, DaysError};
pub use log::{BadLine, Found, LogError, Questions, read_logs};
pub use policies::{POLICIES, Policy, PolicyKind};
pub use report::{BudgetReport, LogReport, PolicyReport, Rates, Report};
pub use trace::{Stream, TraceError, read_trace};

/// Replays a stream against every policy at every budget, given as shares of the distinct keys (0 to 1). Hit rates are
/// told for so many windows of equal time.
#[must_use]
pub fn simulate(stream: &Stream, shares: &[f64], windows: usize) -> Report {
    compare(stream, None, shares, windows)
}

/// Replays the questions of logs, remembered as they were asked and relative to the last data day. Budgets are shares
/// of the distinct resolved questions for both, so that they compare at equal numbers of entries.
#[must_use]
pub fn simulate_questions(questions: &Questions, shares: &[f64], windows: usize) -> Report {
    let relative = &questions.relative;
    let mut report = compare(&questions.literal, Some(relative), shares, windows);
    let first_ms = relative.requests().first().map_or(0, |request| request.at);
    let last_ms = relative.requests().last().map_or(0, |request| request.at);
    let found = questions.found.clone();
    report.log = Some(LogReport { found, distinct_relative: relative.distinct(), first_ms, last_ms });
    report
}

fn compare(literal: &Stream, relative: Option<&Stream>, shares: &[f64], windows: usize) -> Report {
    let budget_of = |share: &f64| {
        let entries = entries(literal.distinct(), *share);
        let policy_of = |kind: &PolicyKind| {
            let rates = |stream| replay(stream, *kind, entries, windows);
            let (literal, relative) = rayon::join(|| rates(literal), || relative.map(rates));
            PolicyReport { policy: kind.name(), literal, relative }
        };
        BudgetReport { share: *share, entries, policies: POLICIES.par_iter().map(policy_of).collect() }
    };
    let budgets = shares.iter().map(budget_of).collect();
    Report { requests: literal.requests().len(), distinct: literal.distinct(), log: None, budgets }
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

fn replay(stream: &Stream, kind: PolicyKind, entries: usize, windows: usize) -> Rates {
    let requests = stream.requests();
    let mut policy = kind.start(stream, entries);
    let first = requests.first().map_or(0, |request| request.at);
    let span = requests.last().map_or(0, |request| request.at.saturating_sub(first)).saturating_add(1);
    let mut counts = vec![(0_usize, 0_usize); windows.max(1)];
    let last = counts.len() - 1;
    for request in requests {
        let hit = policy.request(request.key, request.at);
        let passed = u128::from(request.at.saturating_sub(first)) * counts.len() as u128 / u128::from(span);
        let window = &mut counts[usize::try_from(passed).unwrap_or(last).min(last)];
        *window = (window.0 + usize::from(hit), window.1 + 1);
    }
    let (hits, all) = counts.iter().fold((0, 0), |sum, window| (sum.0 + window.0, sum.1 + window.1));
    let windows = counts.iter().map(|(hits, requests)| rate(*hits, *requests)).collect();
    Rates { hit_rate: rate(hits, all).unwrap_or(0.0), windows }
}

/// `None` without requests.
#[allow(clippy::cast_precision_loss, reason = "counts of requests are far below 2^52")]
fn rate(hits: usize, requests: usize) -> Option<f64> {
    (requests > 0).then(|| hits as f64 / requests as f64)
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
        let report = simulate(&stream, &[0.2, 1.0], 10);
        assert_eq!((report.requests, report.distinct), (1000, 7));
        assert_eq!(report.budgets.iter().map(|budget| budget.entries).collect::<Vec<_>>(), [1, 7]);
        for policy in &report.budgets[1].policies {
            assert_eq!(policy.literal.windows.len(), 10);
            if policy.policy != "top by count" {
                assert_eq!(policy.literal.hit_rate, 0.993, "{}", policy.policy);
                assert_eq!(policy.literal.windows[0], Some(0.93), "{}", policy.policy);
            }
        }
        let _: serde_json::Value = serde_json::from_str(&report.json().unwrap()).unwrap();
        assert!(report.text().contains("optimum"));
        assert!(simulate(&Stream::default(), &[0.5], 10).text().contains("0 requests"));
    }

    #[test]
    fn windows_are_of_equal_time() {
        let mut stream = Stream::default();
        for at in [0, 0, 1, 399, u64::MAX - 1, u64::MAX - 1] {
            stream.push("a", at).unwrap();
        }
        let rates = replay(&stream, PolicyKind::Lru, 1, 4);
        assert_eq!(rates.windows, [Some(0.75), None, None, Some(1.0)]);
    }
}
