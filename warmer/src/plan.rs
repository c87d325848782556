//! What to keep under the budgets: documents and order lines by requests expected × cost of a miss ÷ bytes, with a floor
//! for each token; ready responses of the hottest. Every candidate has its decision and the reason for it. Pure.

pub mod costs;

use std::collections::{BTreeMap, BTreeSet};

use shared::model::{Directory, Query, RelativeAsk};
use shared::published::{Budget, Decision, PlanRecord, Reason, StoreDecision};

use crate::interest::Interest;
use crate::scope::{Scope, share_of};
use costs::{Costs, Kind};

/// Questions that the plan looks at, as a multiple of those that may be kept.
const CANDIDATES: usize = 3;
/// Least heat of raw lines of a store by which they are kept: half a request of just now.
const LEAST_LINES_HEAT: f64 = 0.5;
/// What is kept gives way to what is worth so many times as much. Costs are measured and move from plan to plan: where many
/// questions are asked for equally often, all of one kind would give way to those of another, and come back.
const GIVES_WAY: f64 = 1.5;

/// A document that is to be kept.
#[derive(Clone, Debug, PartialEq)]
pub struct Chosen {
    /// The question relative to the last data day.
    pub relative: RelativeAsk,
    /// As it is asked now.
    pub query: Query,
    /// Requests per hour × milliseconds ÷ bytes.
    pub worth: f64,
}

/// What is to be kept.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    /// Documents beside those over all stores.
    pub answers: Vec<Chosen>,
    /// Canonical texts of questions whose ready responses are kept, those over all stores included.
    pub ready: BTreeSet<String>,
    /// Stores that are warmed first.
    pub hot: BTreeSet<String>,
    /// Stores of which order lines are kept.
    pub orders: BTreeSet<String>,
    /// All of it with reasons.
    pub record: PlanRecord,
}

/// What a plan is made of.
#[derive(Clone, Copy, Debug)]
pub struct Basis<'a> {
    /// The stores and their days.
    pub scope: &'a Scope,
    /// What is asked for.
    pub interest: &'a Interest,
    /// What things cost.
    pub costs: &'a Costs,
    /// Canonical texts of the documents that are kept already.
    pub kept: &'a BTreeSet<String>,
    /// Share of the stores that are hot.
    pub hot_share: f64,
    /// What may be spent.
    pub budget: Budget,
    /// Now, milliseconds since 1970.
    pub now: i64,
}

struct Candidate {
    decision: Decision,
    relative: RelativeAsk,
    query: Query,
}

/// What is left of the budget.
struct Left {
    bytes: u64,
    time_ms: f64,
    answers: usize,
}

/// Makes a plan.
#[must_use]
pub fn plan(basis: &Basis<'_>) -> Plan {
    let now = u64::try_from(basis.now).unwrap_or(0);
    let mut candidates = candidates(basis, now);
    let mut stores = stores(basis, now);
    let budget = basis.budget;
    let mut left = Left { bytes: budget.bytes, time_ms: to_f64(budget.time_ms), answers: budget.answers };
    admit_floors(basis, now, &mut candidates, &mut left);
    // Documents and order lines share the bytes, so they are weighed against each other.
    let weigh = |decision: &Decision| {
        decision.worth * if basis.kept.contains(&decision.question) { GIVES_WAY } else { 1.0 }
    };
    let mut order: Vec<(f64, bool, usize)> = candidates
        .iter()
        .enumerate()
        .map(|(at, candidate)| (weigh(&candidate.decision), false, at))
        .collect();
    order.extend(stores.iter().enumerate().map(|(at, store)| (store.lines_worth, true, at)));
    order.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)).then(a.2.cmp(&b.2)));
    for (_, is_store, at) in order {
        if is_store {
            admit_lines(&mut stores[at], &mut left);
        } else if !candidates[at].decision.reason.admits() {
            let known = basis.kept.contains(&candidates[at].decision.question);
            admit(&mut candidates[at].decision, known, &mut left);
        }
    }
    let ready = choose_ready(basis, now, &mut candidates, &mut left);
    finish(basis, candidates, stores, ready, left.bytes)
}

/// The questions of which most requests are expected, and the hottest of each token; equal ones once.
fn candidates(basis: &Basis<'_>, now: u64) -> Vec<Candidate> {
    let most = basis.budget.answers.saturating_mul(CANDIDATES).max(1);
    let expected: BTreeMap<String, f64> = basis.interest.expected(now, most).into_iter().collect();
    let of_tokens = basis.interest.by_token(now).into_iter().flat_map(|(_, texts)| texts);
    let texts: BTreeSet<String> = expected.keys().cloned().chain(of_tokens).collect();
    let mut found: BTreeMap<String, Candidate> = BTreeMap::new();
    for text in texts {
        let Some((relative, query)) = resolve(&text, &basis.scope.directory) else { continue };
        let question = query.canonical();
        let per_hour =
            expected.get(&text).copied().unwrap_or_else(|| basis.interest.expected_per_hour(&text, now));
        let heat = basis.interest.question_heat(&text, now);
        if let Some(same) = found.get_mut(&question) {
            same.decision.per_hour += per_hour;
            same.decision.heat += heat;
            continue;
        }
        let cost = basis.costs.of(Kind::of(query.document), units(&query));
        let reason = if basis.scope.queries.contains(&query) { Reason::Always } else { Reason::NoPlace };
        let decision = Decision {
            relative: text,
            question: question.clone(),
            heat,
            per_hour,
            cost_ms: cost.ms,
            bytes: cost.bytes,
            worth: 0.0,
            reason,
            ready: false,
        };
        found.insert(question, Candidate { decision, relative, query });
    }
    let mut candidates: Vec<Candidate> = found.into_values().collect();
    for Candidate { decision, .. } in &mut candidates {
        decision.worth = worth(decision.per_hour, decision.cost_ms, decision.bytes);
    }
    candidates
}

/// A question as it is asked now; `None` if it has no answer now.
fn resolve(text: &str, directory: &Directory) -> Option<(RelativeAsk, Query)> {
    let relative: RelativeAsk = text.parse().ok()?;
    let query = relative.absolute(directory.last_day()?).resolve(directory).ok()?;
    query.range.is_some().then_some((relative, query))
}

/// Store-days that a question is made of.
#[must_use]
pub fn units(query: &Query) -> u64 {
    let days = query.needs().span().map_or(0, |span| u64::try_from(span.len()).unwrap_or(0));
    days.max(1) * query.stores.len().max(1) as u64
}

/// What keeping something is worth: milliseconds saved per hour and byte.
#[must_use]
pub fn worth(per_hour: f64, ms: f64, bytes: u64) -> f64 {
    per_hour * ms / to_f64(bytes.max(1))
}

#[allow(clippy::cast_precision_loss, reason = "bytes and milliseconds far below 2^52")]
fn to_f64(number: u64) -> f64 {
    number as f64
}

/// What each token asks for most comes first; what is asked of whom goes round, so that a budget that is too small for
/// all is shared.
fn admit_floors(basis: &Basis<'_>, now: u64, candidates: &mut [Candidate], left: &mut Left) {
    let by_text: BTreeMap<String, usize> = candidates
        .iter()
        .enumerate()
        .map(|(at, candidate)| (candidate.decision.relative.clone(), at))
        .collect();
    let by_token = basis.interest.by_token(now);
    let rounds = by_token.iter().map(|(_, texts)| texts.len()).max().unwrap_or(0);
    for round in 0..rounds {
        for (token, texts) in &by_token {
            let Some(at) = texts.get(round).and_then(|text| by_text.get(text)) else { continue };
            let decision = &mut candidates[*at].decision;
            if decision.reason.admits() {
                continue;
            }
            admit(decision, basis.kept.contains(&decision.question), left);
            if decision.reason == Reason::Worth {
                decision.reason = Reason::Floor { token: token.clone() };
            }
        }
    }
}

fn admit(decision: &mut Decision, known: bool, left: &mut Left) {
    decision.reason = if left.answers == 0 {
        Reason::NoPlace
    } else if decision.bytes > left.bytes {
        Reason::NoBytes
    } else if !known && decision.cost_ms > left.time_ms {
        Reason::NoTime
    } else {
        left.answers -= 1;
        left.bytes -= decision.bytes;
        left.time_ms -= if known { 0.0 } else { decision.cost_ms };
        Reason::Worth
    };
}

/// All stores with their heat, hottest first; without any log, the largest first.
fn stores(basis: &Basis<'_>, now: u64) -> Vec<StoreDecision> {
    let directory = &basis.scope.directory;
    let all = directory.stores();
    let no_log = basis.interest.is_empty();
    let asked: BTreeMap<String, f64> =
        basis.interest.hot_lines(now, all.len().max(1)).into_iter().map(|hot| (hot.key, hot.heat)).collect();
    let mut stores: Vec<StoreDecision> = all
        .iter()
        .map(|store| {
            let lines = basis.scope.order_lines(store);
            let cost = basis.costs.of(Kind::Orders, lines);
            let lines_heat = asked.get(&store.store_id).copied().unwrap_or(0.0);
            StoreDecision {
                store_id: store.store_id.clone(),
                lines: store.lines,
                heat: basis.interest.store_heat(&store.store_id, now),
                hot: false,
                lines_heat,
                lines_cost_ms: cost.ms,
                lines_bytes: cost.bytes,
                lines_worth: worth(lines_heat, cost.ms, cost.bytes),
                lines_reason: Reason::NotAsked,
            }
        })
        .collect();
    stores.sort_by(|a, b| {
        b.heat.total_cmp(&a.heat).then(b.lines.cmp(&a.lines)).then_with(|| a.store_id.cmp(&b.store_id))
    });
    let hot = share_of(stores.len(), basis.hot_share);
    for store in stores.iter_mut().take(hot) {
        store.hot = true;
        // Until a log tells, the hot stores' lines are thought to be asked for.
        if no_log {
            store.lines_heat = 1.0;
            store.lines_worth = worth(1.0, store.lines_cost_ms, store.lines_bytes);
        }
    }
    stores
}

fn admit_lines(store: &mut StoreDecision, left: &mut Left) {
    store.lines_reason = if store.lines_heat < LEAST_LINES_HEAT {
        Reason::NotAsked
    } else if store.lines_bytes > left.bytes {
        Reason::NoBytes
    } else {
        left.bytes -= store.lines_bytes;
        Reason::Worth
    };
}

/// The hottest of what is kept get ready responses, as far as bytes are left.
fn choose_ready(
    basis: &Basis<'_>,
    now: u64,
    candidates: &mut [Candidate],
    left: &mut Left,
) -> BTreeSet<String> {
    let mut order: Vec<usize> =
        (0..candidates.len()).filter(|at| candidates[*at].decision.reason.admits()).collect();
    order.sort_by(|a, b| {
        let (a, b) = (&candidates[*a].decision, &candidates[*b].decision);
        b.per_hour.total_cmp(&a.per_hour).then_with(|| a.question.cmp(&b.question))
    });
    let mut ready = BTreeSet::new();
    for at in order {
        let decision = &mut candidates[at].decision;
        if ready.len() < basis.budget.hot_answers && decision.bytes <= left.bytes {
            left.bytes -= decision.bytes;
            decision.ready = true;
            ready.insert(decision.question.clone());
        }
    }
    if basis.interest.hot_questions(now, 1).is_empty() {
        // Until a log tells, the front page of a dashboard is thought to be asked for.
        let queries = basis.scope.queries.iter().take(basis.budget.hot_answers);
        ready.extend(queries.map(Query::canonical));
    }
    ready
}

fn finish(
    basis: &Basis<'_>,
    candidates: Vec<Candidate>,
    stores: Vec<StoreDecision>,
    ready: BTreeSet<String>,
    bytes_left: u64,
) -> Plan {
    let chosen = |candidate: &&Candidate| {
        candidate.decision.reason.admits() && candidate.decision.reason != Reason::Always
    };
    let mut answers: Vec<Chosen> = candidates
        .iter()
        .filter(chosen)
        .map(|Candidate { decision, relative, query }| Chosen {
            relative: relative.clone(),
            query: query.clone(),
            worth: decision.worth,
        })
        .collect();
    answers.sort_by(|a, b| b.worth.total_cmp(&a.worth));
    let mut decisions: Vec<Decision> = candidates.into_iter().map(|candidate| candidate.decision).collect();
    decisions.sort_by(|a, b| b.worth.total_cmp(&a.worth).then_with(|| a.question.cmp(&b.question)));
    let names = |which: &dyn Fn(&StoreDecision) -> bool| {
        stores.iter().filter(|store| which(store)).map(|store| store.store_id.clone()).collect()
    };
    Plan {
        answers,
        ready,
        hot: names(&|store| store.hot),
        orders: names(&|store| basis.scope.orders.is_some() && store.lines_reason.admits()),
        record: PlanRecord {
            made_at: basis.now,
            last_day: basis.scope.directory.last_day(),
            budget: basis.budget,
            bytes: basis.budget.bytes.saturating_sub(bytes_left),
            from_log: !basis.interest.is_empty(),
            stores,
            decisions,
        },
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::cast_sign_loss, reason = "tests")]
mod tests;
