//! What is warm, and why: `GET /v1/inventory` lists entries, `GET /v1/inventory/days` tells store by store which days are ready.
//! Both read Redis at once; where it does not answer that is a 503, for nobody knows then.

mod days;
mod entries;
mod why;

use std::collections::BTreeSet;
use std::sync::Arc;

use http::{Request, Response};
use schemars::JsonSchema;
use serde::Serialize;
use shared::answers::parameters::{Parameters, ParametersError};
use shared::answers::response::JSON;
use shared::model::query::MAX_STORES;
use shared::model::{Directory, StoreInfo};
use shared::published::PlanRecord;

use crate::app::{App, Front};
use crate::auth::Caller;
use crate::body::ResponseBody;
use crate::negotiate::{self, Format};
use crate::panel::json_response;
use crate::problem::Problem;
pub use days::StoreDays;
pub use entries::Entries;
pub(crate) use entries::Level;

/// Entries.
pub const PATH: &str = "/v1/inventory";
/// Stores by days.
pub const DAYS: &str = "/v1/inventory/days";

/// Parameters of [`PATH`].
pub(crate) const PARAMETERS: [&str; 4] = ["stores", "level", "limit", "after"];
/// Parameters of [`DAYS`].
pub(crate) const DAYS_PARAMETERS: [&str; 4] = ["stores", "days", "limit", "after"];
/// Stores of a page of entries unless told otherwise, and at most.
pub(crate) const STORES: (u16, u16) = (20, 200);
/// Stores of a page of days unless told otherwise, and at most.
pub(crate) const DAYS_STORES: (u16, u16) = (100, 1000);
/// Days unless told otherwise, and at most.
pub(crate) const DAYS_SHOWN: (u16, u16) = (30, 120);

/// As all answers are wrapped.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Envelope<T> {
    data: T,
}

/// Whether a path is one of these.
#[must_use]
pub fn is_at(path: &str) -> bool {
    path == PATH || path == DAYS
}

/// The stores that somebody asks about, page by page, hottest first.
struct Page {
    stores: Vec<Ranked>,
    /// The id after which the next page begins.
    next: Option<String>,
    /// Whether it is the first page of a question that names no stores.
    first_of_all: bool,
    plan: Option<Arc<PlanRecord>>,
}

/// A store and its place.
struct Ranked {
    info: StoreInfo,
    /// From 1.
    rank: usize,
    heat: f64,
    hot: bool,
}

/// Answers one of the two.
///
/// # Errors
/// If the parameters do not fit, name others' stores, or Redis does not answer.
pub(crate) async fn answer(
    front: &Front,
    app: &App,
    caller: Caller<'_>,
    request: &Request<()>,
) -> Result<Response<ResponseBody>, Problem> {
    if negotiate::format(request.headers(), &[Format::Json]).is_none() {
        return Err(Problem::not_acceptable(JSON));
    }
    let query = request.uri().query().unwrap_or_default();
    if request.uri().path() == DAYS {
        let mut parameters = Parameters::of(query, &DAYS_PARAMETERS);
        let shown = parameters.number("days", DAYS_SHOWN);
        let (named, after, limit) = selection(&mut parameters, DAYS_STORES)?;
        caller.check(named.iter().flatten())?;
        let directory = caller.directory(&app.directory().await?);
        let page = page(front.panel().plan(), &directory, named.as_ref(), after.as_ref(), limit)?;
        let data = days::of(app, &directory, page, i32::from(shown), caller.is_operator()).await?;
        return json_response(&Envelope { data }, request.headers());
    }
    let mut parameters = Parameters::of(query, &PARAMETERS);
    let level = Level::read(&mut parameters);
    let (named, after, limit) = selection(&mut parameters, STORES)?;
    caller.check(named.iter().flatten())?;
    let directory = caller.directory(&app.directory().await?);
    let page = page(front.panel().plan(), &directory, named.as_ref(), after.as_ref(), limit)?;
    let data = entries::of(app, &directory, &page, level, caller.is_operator()).await?;
    json_response(&Envelope { data }, request.headers())
}

type Selection = (Option<BTreeSet<String>>, Option<String>, usize);

fn selection(parameters: &mut Parameters<'_>, limits: (u16, u16)) -> Result<Selection, Problem> {
    let named = parameters.stores();
    let after = parameters.one("after").map(std::borrow::Cow::into_owned);
    let limit = parameters.number("limit", limits);
    parameters.finish()?;
    if let Some(count) = named.as_ref().map(BTreeSet::len).filter(|count| *count > MAX_STORES) {
        return Err(ParametersError::TooManyStores(count).into());
    }
    Ok((named, after, usize::from(limit)))
}

/// The stores of a page. Ranks are among those that the caller may see.
fn page(
    plan: Option<Arc<PlanRecord>>,
    directory: &Directory,
    named: Option<&BTreeSet<String>>,
    after: Option<&String>,
    limit: usize,
) -> Result<Page, Problem> {
    if let Some(unknown) = named.into_iter().flatten().find(|store_id| directory.get(store_id).is_none()) {
        return Err(Problem::unknown_store(unknown));
    }
    let decisions = plan.iter().flat_map(|plan| &plan.stores);
    let ranked = decisions.filter_map(|decision| {
        let info = directory.get(&decision.store_id)?;
        Some((info, decision.heat, decision.hot))
    });
    let mut ranked: Vec<(&StoreInfo, f64, bool)> = ranked.collect();
    // Those that came after the plan was made, or all while there is none.
    let known: BTreeSet<&str> = ranked.iter().map(|(info, ..)| info.store_id.as_str()).collect();
    let others = directory.stores().iter().filter(|info| !known.contains(info.store_id.as_str()));
    let others: Vec<_> = others.map(|info| (info, 0.0, false)).collect();
    ranked.extend(others);
    let ranked = ranked.into_iter().enumerate();
    let wanted = ranked.filter(|(_, (info, ..))| named.is_none_or(|named| named.contains(&info.store_id)));
    let mut rest: Vec<_> = wanted.collect();
    if let Some(after) = after {
        let at = rest.iter().position(|(_, (info, ..))| info.store_id == *after);
        let at = at.ok_or_else(|| Problem::unknown_store(after))?;
        rest.drain(..=at);
    }
    let more = rest.len() > limit;
    rest.truncate(limit);
    let stores = rest.into_iter();
    let stores =
        stores.map(|(before, (info, heat, hot))| Ranked { info: info.clone(), rank: before + 1, heat, hot });
    let stores: Vec<Ranked> = stores.collect();
    let next = stores.last().filter(|_| more).map(|store| store.info.store_id.clone());
    let first_of_all = after.is_none() && named.is_none();
    Ok(Page { stores, next, first_of_all, plan })
}
