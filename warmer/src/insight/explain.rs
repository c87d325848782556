//! `warmer explain`: state, age and heat of a store or question, and why it is kept or not, from the record of the plan
//! that the running warmer follows.

use clap::Args;
use serde::Serialize;
use shared::answers::parameters::{self, Asked, Route};
use shared::cache::levels::Stored;
use shared::cache::{Levels, Probe, Read};
use shared::config::Settings;
use shared::entry::EntryKind;
use shared::model::{Ask, Directory, Query, RelativeAsk};
use shared::runtime::now_ms;

use super::{Output, directory, learned_now, levels_of, plan_now, read_logs};
use crate::learned::Learned;
use crate::log_reader::Positions;
use crate::operate::words;
use crate::scope::Scope;
use shared::published::{Decision, PlanRecord, Reason, StoreDecision};

/// Near names that are told of an unknown store.
const NEAR: usize = 5;

/// The command line.
#[derive(Clone, Debug, Args)]
#[command(
    after_help = "Examples:\n  warmer explain 1001\n  warmer explain '/v1/metrics/overview?stores=1001&from=2026-03-01'\n  \
                  warmer explain http://127.0.0.1:8080/v1/diagnosis --output json\n\n\
                  Exit codes: 0 explained, 1 there is no such store or question."
)]
pub struct ExplainArgs {
    /// A store's id, or the URL (or path and query) of a question
    #[arg(value_name = "STORE|URL")]
    what: String,
    /// How it is written
    #[arg(long, value_enum, default_value_t = Output::Text)]
    output: Output,
}

/// What there is to say.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum Explanation {
    /// Of a store.
    Store(StoreExplanation),
    /// Of a question.
    Question(QuestionExplanation),
}

/// Of a store.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct StoreExplanation {
    /// The store.
    pub store_id: String,
    /// `warm`: all its cells are there; `partly`; `cold`: none is.
    pub state: String,
    /// Days of cells that are there, and that are kept.
    pub cells: (u64, u64),
    /// Days of order lines that are there, and that have lines.
    pub order_days: (u64, u64),
    /// When its data were last confirmed, milliseconds since 1970.
    pub confirmed_at: Option<i64>,
    /// Place in the ranking, from 1, and number of stores.
    pub rank: (usize, usize),
    /// The decision; `None` if the plan was made before the store came.
    pub decision: Option<StoreDecision>,
    /// Whether the plan is that of a running warmer, or one made for this answer.
    pub followed: bool,
    /// The same in words.
    pub why: Vec<String>,
}

/// Of a question.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct QuestionExplanation {
    /// Canonical.
    pub question: String,
    /// Relative to the last data day.
    pub relative: String,
    /// `ready` (L4), `kept` (L3), or `composed` when it is asked.
    pub state: String,
    /// When it was computed, milliseconds since 1970.
    pub computed_at: Option<i64>,
    /// When its data were last confirmed, milliseconds since 1970.
    pub confirmed_at: Option<i64>,
    /// Requests for it in the logs since it was computed.
    pub hits: Option<u64>,
    /// Decayed count of requests.
    pub heat: f64,
    /// The decision; `None` if the plan did not look at it.
    pub decision: Option<Decision>,
    /// Whether the plan is that of a running warmer, or one made for this answer.
    pub followed: bool,
    /// The same in words.
    pub why: Vec<String>,
}

/// Runs the command; gives what is to be printed.
///
/// # Errors
/// If there is no such store or question, or neither Redis nor the source says which stores there are.
pub async fn run(settings: &Settings, args: &ExplainArgs) -> anyhow::Result<String> {
    let levels = levels_of(settings)?;
    let directory = directory(settings, &levels).await?;
    let learned = learned_now(settings)?;
    let published = match levels.read_plan::<PlanRecord>().await {
        Read::Hit(record) => Some(record),
        Read::Miss | Read::Unavailable => None,
    };
    let followed = published.is_some();
    let (made, scope) = plan_now(settings, &levels, &learned, directory).await?;
    let record = published.unwrap_or(made.record);
    let context =
        Context { settings, levels: &levels, learned: &learned, scope: &scope, record: &record, followed };
    let explanation = match question(&args.what)? {
        Some(ask) => Explanation::Question(context.question(ask).await?),
        None => Explanation::Store(context.store(&args.what).await?),
    };
    Ok(match args.output {
        Output::Text => explanation.text(),
        Output::Json => serde_json::to_string_pretty(&explanation)?,
    })
}

/// The question of a URL; `None` if it is a store's id.
fn question(what: &str) -> anyhow::Result<Option<Ask>> {
    let path = match what.split_once("://") {
        Some((_, rest)) => rest.find('/').map_or("/", |at| &rest[at..]),
        None if what.starts_with('/') => what,
        None => return Ok(None),
    };
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    let route = Route::of(path).ok_or_else(|| {
        anyhow::anyhow!("{path} leads to no document; documents are /v1/metrics/…, /v1/diagnosis")
    })?;
    match parameters::read(&route, query) {
        Ok(Asked::Document(ask)) => Ok(Some(ask)),
        Ok(Asked::Orders(ask)) => {
            anyhow::bail!("raw order lines are kept by store: warmer explain {}", ask.store_id)
        }
        Err(parameters::ParametersError::Unfit(errors)) => {
            let told: Vec<String> =
                errors.iter().map(|error| format!("{}: {}", error.parameter, error.reason)).collect();
            anyhow::bail!("this is no question: {}", told.join("; "))
        }
        Err(error) => Err(error.into()),
    }
}

struct Context<'a> {
    settings: &'a Settings,
    levels: &'a Levels,
    learned: &'a Learned,
    scope: &'a Scope,
    record: &'a PlanRecord,
    followed: bool,
}

impl Context<'_> {
    async fn store(&self, store_id: &str) -> anyhow::Result<StoreExplanation> {
        let scope = self.scope;
        let Some(store) = scope.directory.get(store_id) else {
            let near = near(&scope.directory, store_id);
            let hint = if near.is_empty() { String::new() } else { format!("; near: {}", near.join(", ")) };
            anyhow::bail!(
                "there is no store {store_id:?} among {} with order lines{hint}",
                scope.directory.stores().len()
            );
        };
        let keys = self.levels.keys();
        let days = scope.orders.map(|range| scope.days_with_lines(store_id, range)).unwrap_or_default();
        let mut probes =
            vec![Probe::Hash(keys.day_cells(store_id)), Probe::Hash(keys.product_cells(store_id))];
        probes.extend(days.iter().map(|day| Probe::Key(keys.orders(store_id, *day).key)));
        let found = self.levels.cache().probe(&probes).await?;
        let cells = found.iter().take(2).copied().min().unwrap_or(0);
        let wanted = scope.retention.map_or(0, |range| u64::try_from(range.len()).unwrap_or(0));
        let state = match cells {
            0 => "cold",
            cells if cells >= wanted => "warm",
            _ => "partly",
        };
        let at = self.record.stores.iter().position(|known| known.store_id == store_id);
        let decision = at.and_then(|at| self.record.stores.get(at)).cloned();
        let confirmed_at =
            self.levels.read_fresh(std::slice::from_ref(&store.store_id)).await.pop().flatten();
        let mut explanation = StoreExplanation {
            store_id: store_id.to_owned(),
            state: state.to_owned(),
            cells: (cells, wanted),
            order_days: (found.iter().skip(2).sum(), days.len() as u64),
            confirmed_at,
            rank: (at.map_or(0, |at| at + 1), self.record.stores.len()),
            decision,
            followed: self.followed,
            why: Vec::new(),
        };
        explanation.why = self.store_words(&explanation);
        Ok(explanation)
    }

    fn store_words(&self, store: &StoreExplanation) -> Vec<String> {
        let now = now_ms();
        let mut why = vec![format!(
            "{}: {} of {} days of cells are in Redis",
            store.state, store.cells.0, store.cells.1
        )];
        why.push(match store.confirmed_at {
            Some(at) => format!("its data were last confirmed {}", words::ago(at, now)),
            None => "its data were never confirmed; see whether a warmer runs (warmer status)".to_owned(),
        });
        let Some(decision) = &store.decision else {
            why.push("it came after the plan was made; the next cycle ranks it".to_owned());
            return why;
        };
        let hot = if decision.hot {
            "hot, so it is warmed first"
        } else {
            "cold, so it is warmed after the hot ones"
        };
        let by = if self.record.from_log {
            format!("heat {:.2}", decision.heat)
        } else {
            format!("{} lines, since no access log told anything", decision.lines)
        };
        let share = self.settings.warm.hot_share * 100.0;
        why.push(format!(
            "rank {} of {} by {by}: {hot} (the top {share:.0} % are hot, warm.hot_share)",
            store.rank.0, store.rank.1
        ));
        why.push(format!(
            "order lines: {} of {} days are in Redis; {} (heat of raw lines {:.2}, about {})",
            store.order_days.0,
            store.order_days.1,
            decision.lines_reason,
            decision.lines_heat,
            words::size(decision.lines_bytes)
        ));
        why.push(self.plan_words());
        why
    }

    fn plan_words(&self) -> String {
        let made = words::ago(self.record.made_at, now_ms());
        if self.followed {
            format!("from the plan that the warmer made {made}")
        } else {
            "no warmer has published a plan: this is what one with these settings would decide".to_owned()
        }
    }

    async fn question(&self, ask: Ask) -> anyhow::Result<QuestionExplanation> {
        let directory = &self.scope.directory;
        let query = ask.resolve(directory)?;
        let last_day = directory.last_day().ok_or_else(|| anyhow::anyhow!("there are no order lines yet"))?;
        let relative = RelativeAsk::new(ask, last_day).to_string();
        let now = u64::try_from(now_ms()).unwrap_or(0);
        let canonical = query.canonical();
        let decision = self.record.decisions.iter().find(|decision| decision.question == canonical).cloned();
        let (state, computed_at) = match self.levels.read_ready(&query).await {
            Read::Hit(Stored::Ready { header, .. }) => ("ready", Some(header.computed_at)),
            Read::Hit(Stored::Answer(bytes)) => match self.levels.decode_answer(&canonical, &bytes) {
                Some((header, _)) => ("kept", Some(header.computed_at)),
                None => ("composed", None),
            },
            Read::Miss => ("composed", None),
            Read::Unavailable => anyhow::bail!("redis does not answer; see `warmer status`"),
        };
        let confirmed_at = if query.stores.len() == directory.stores().len() {
            self.levels.read_fleet_fresh().await
        } else {
            self.levels
                .read_fresh(&query.stores)
                .await
                .into_iter()
                .collect::<Option<Vec<i64>>>()
                .and_then(|all| all.into_iter().min())
        };
        let mut explanation = QuestionExplanation {
            heat: self.learned.with(|state| state.interest.question_heat(&relative, now)),
            hits: computed_at.map(|since| self.hits(&query, since)).transpose()?,
            question: canonical,
            relative,
            state: state.to_owned(),
            computed_at,
            confirmed_at,
            decision,
            followed: self.followed,
            why: Vec::new(),
        };
        explanation.why = self.question_words(&query, &explanation);
        Ok(explanation)
    }

    /// Requests in the logs that came to this question since a time.
    fn hits(&self, query: &Query, since: i64) -> anyhow::Result<u64> {
        let mut hits = 0;
        let directory = &self.scope.directory;
        read_logs(self.settings, Positions::default(), |request| {
            if request.time >= since
                && request.status < 400
                && let Ok(Asked::Document(ask)) = request.question()
                && ask.document == query.document
            {
                hits += u64::from(ask.resolve(directory).is_ok_and(|asked| asked == *query));
            }
        })?;
        Ok(hits)
    }

    fn question_words(&self, query: &Query, question: &QuestionExplanation) -> Vec<String> {
        let now = now_ms();
        let mut why = vec![match question.state.as_str() {
            "ready" => "its ready response is in Redis (L4)".to_owned(),
            "kept" => "its document is in Redis (L3)".to_owned(),
            _ => "its document is not in Redis: it is composed when it is asked for".to_owned(),
        }];
        if let Some(at) = question.computed_at {
            let hits = question.hits.unwrap_or(0);
            why.push(format!("computed {}, asked for {hits} times since, by the logs", words::ago(at, now)));
        }
        if let Some(at) = question.confirmed_at {
            let soft =
                i64::try_from(self.levels.ttl().soft(EntryKind::Answer).as_millis()).unwrap_or(i64::MAX);
            let fresh = if now - at <= soft { "fresh" } else { "stale" };
            why.push(format!("its data were last confirmed {}: {fresh}", words::ago(at, now)));
        }
        why.push(format!("heat {:.2}", question.heat));
        why.push(match &question.decision {
            Some(decision) => format!(
                "{} (about {:.2} requests an hour expected, {:.1} ms for a miss, {}; worth {:.4})",
                decision.reason,
                decision.per_hour,
                decision.cost_ms,
                words::size(decision.bytes),
                decision.worth
            ),
            None if self.scope.queries.contains(query) => Reason::Always.to_string(),
            None if question.heat > 0.0 => {
                "asked for after the plan was made, or so seldom that the plan did not look at it".to_owned()
            }
            None => "nobody asked for it, as far as the logs tell".to_owned(),
        });
        why.push(self.plan_words());
        why
    }
}

/// Stores whose id begins alike.
fn near(directory: &Directory, store_id: &str) -> Vec<String> {
    let alike = |known: &str| known.chars().zip(store_id.chars()).take_while(|(a, b)| a == b).count();
    let mut near: Vec<(usize, String)> = directory
        .stores()
        .iter()
        .map(|store| (alike(&store.store_id), store.store_id.clone()))
        .filter(|(alike, _)| *alike > 0)
        .collect();
    near.sort_by(|a, b| b.0.cmp(&a.0).then_with(|| a.1.cmp(&b.1)));
    near.into_iter().take(NEAR).map(|(_, store_id)| store_id).collect()
}

impl Explanation {
    fn text(&self) -> String {
        let (title, why) = match self {
            Self::Store(store) => (format!("store {}", store.store_id), &store.why),
            Self::Question(question) => {
                (format!("{}\n  as remembered: {}", question.question, question.relative), &question.why)
            }
        };
        why.iter().fold(title, |text, line| format!("{text}\n  {line}"))
    }
}
