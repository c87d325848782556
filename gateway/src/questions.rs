//! Requests that are questions: from near if they were answered before and nothing changed since; else answered once for
//! all who ask meanwhile, and kept.

use std::sync::Arc;

use bytes::Bytes;
use http::header::{ACCEPT, ACCEPT_ENCODING};
use http::{HeaderMap, HeaderName, Request, Response};
use http_body_util::Full;
use shared::answers::orders::Cursor;
use shared::answers::parameters::{self, Asked, OrdersAsk, Route};
use shared::answers::response::Meta;
use shared::model::{Ask, Directory, Document, Query};
use shared::runtime::now_ms;

use crate::access_log::{Details, ToList};
use crate::app::App;
use crate::auth::Caller;
use crate::ladder::{Answer, Fill};
use crate::near::Epoch;
use crate::problem::Problem;
use crate::represent::{self, Question, Represented, Shape, Variant};
use crate::{negotiate, order_pages};

/// Answers a question. What a caller with a list of stores came to is not given to another by the text of the request
/// alone: his scope is part of what is remembered.
///
/// # Errors
/// If the parameters do not fit, stores of others are named, or what is asked can neither be found nor computed.
pub(crate) async fn answer(
    app: &App,
    caller: Caller<'_>,
    request: &Request<()>,
    route: &Route,
) -> Result<Response<Full<Bytes>>, Problem> {
    let mut response = found(app, caller, request, route).await?;
    if caller.list().is_some() {
        response.extensions_mut().insert(ToList);
    }
    Ok(response)
}

async fn found(
    app: &App,
    caller: Caller<'_>,
    request: &Request<()>,
    route: &Route,
) -> Result<Response<Full<Bytes>>, Problem> {
    let (now, memo) = (now_ms(), what_decides(request, caller.scope()));
    if let Some(kept) = app.near().of_request(&memo, now) {
        return Ok(kept.response(request.headers(), true, now));
    }
    // Before the directory is looked at: what changes from now on makes what follows outdated.
    let epoch = app.near().begin();
    let asked = parameters::read(route, request.uri().query().unwrap_or_default())?;
    // Checked before anything is looked up.
    let represented = match asked {
        Asked::Document(ask) => {
            caller.check(ask.stores.iter().flatten())?;
            document(app, caller, request.headers(), &ask, epoch).await
        }
        Asked::Orders(ask) => {
            caller.check([&ask.store_id])?;
            orders(app, request.headers(), ask, epoch).await
        }
    };
    let (represented, near) = represented?;
    app.near().remember(&memo, &represented, epoch);
    Ok(represented.response(request.headers(), near, now_ms()))
}

/// All of a request that decides which response it gets.
fn what_decides(request: &Request<()>, scope: u64) -> Vec<u8> {
    let mut text = Vec::with_capacity(256);
    text.extend_from_slice(&scope.to_le_bytes());
    text.extend_from_slice(request.uri().path().as_bytes());
    // No URL and no header holds a NUL.
    text.push(0);
    text.extend_from_slice(request.uri().query().unwrap_or_default().as_bytes());
    let mut add = |name: HeaderName| {
        text.push(0);
        for value in request.headers().get_all(name) {
            text.extend_from_slice(value.as_bytes());
            text.push(b',');
        }
    };
    add(ACCEPT);
    add(ACCEPT_ENCODING);
    text
}

type Found = (Arc<Represented>, bool);

async fn document(
    app: &App,
    caller: Caller<'_>,
    headers: &HeaderMap,
    ask: &Ask,
    epoch: Option<Epoch>,
) -> Result<Found, Problem> {
    let shape = represent::shape(ask.document);
    let variant = variant(&shape, headers)?;
    let all = app.directory().await?;
    let directory = caller.directory(&all);
    let query = Arc::new(ask.resolve(&directory)?);
    let text = query.canonical();
    let details = Details::new(&query, &all);
    let fill = Fill { app: app.clone(), query, directory, epoch };
    let asked = AskedIn { shape, variant, text, details, fill };
    asked.find(|fill, wants_json| async move { fill.answer(wants_json).await }).await
}

async fn orders(
    app: &App,
    headers: &HeaderMap,
    ask: OrdersAsk,
    epoch: Option<Epoch>,
) -> Result<Found, Problem> {
    let shape = represent::order_shape();
    let variant = variant(&shape, headers)?;
    let directory = app.directory().await?;
    let query = Arc::new(orders_query(&ask, &directory)?);
    let store = directory.get(&ask.store_id).ok_or_else(|| Problem::unknown_store(&ask.store_id))?;
    let days = query.range.into_iter().flat_map(|range| store.days.within(range)).collect();
    let cursor = ask.cursor.as_ref().map(ToString::to_string).unwrap_or_default();
    let text = format!("orders&limit={}&cursor={cursor}&{}", ask.limit, query.canonical());
    let details = Details::new(&query, &directory);
    let fill = Fill { app: app.clone(), query, directory, epoch };
    let asked = AskedIn { shape, variant, text, details, fill };
    asked.find(|fill, _| async move { order_pages::page(&fill.app, &ask, &fill.query, days).await }).await
}

fn variant(shape: &Shape, headers: &HeaderMap) -> Result<Variant, Problem> {
    Ok(Variant { format: shape.negotiate(headers)?, gzip: negotiate::takes_gzip(headers) })
}

/// A question in the form in which its answer is wanted.
struct AskedIn {
    shape: Shape,
    variant: Variant,
    /// The question.
    text: String,
    details: Details,
    fill: Fill,
}

impl AskedIn {
    /// The answer from near, or of `make`, which runs once for all who ask; with whether it is from near.
    async fn find<F>(self, make: impl FnOnce(Fill, bool) -> F) -> Result<Found, Problem>
    where
        F: Future<Output = Result<Answer, Problem>> + Send + 'static,
    {
        let Self { shape, variant, text, details, fill } = self;
        let app = fill.app.clone();
        let identity = variant.identity(&text);
        if let Some(kept) = app.near().response(&identity, now_ms()) {
            return Ok((kept, true));
        }
        let watched = app.near().watched(&fill.query.stores, fill.is_of_all(), &text);
        // Who asks after a change does not join whoever asked before it.
        let key = (Arc::clone(&identity), app.near().last_change(&watched));
        let filling = || {
            let (app, epoch, query) = (app.clone(), fill.epoch, Arc::clone(&fill.query));
            let answer = make(fill, variant.is_json());
            async move {
                let answer = answer.await?;
                let meta = Meta::new(&query, answer.version);
                let rules = app.levels().rules();
                let question = Question { text, identity, rules, meta, details };
                let represented = if represent::is_quick(&answer, variant) {
                    represent::represent(&shape, variant, question, answer)?
                } else {
                    let work = move || represent::represent(&shape, variant, question, answer);
                    app.compute().run(work).await??
                };
                let represented = Arc::new(represented);
                app.near().keep_response(&represented, watched, epoch, now_ms());
                Ok(represented)
            }
        };
        Ok((app.flights().join(&key, filling).await?, false))
    }
}

/// Store, range and channels of a page, with defaults: `from` is `to` if absent. Without both, the pages behind the first
/// are of its day, also if the next day has begun meanwhile.
fn orders_query(ask: &OrdersAsk, directory: &Directory) -> Result<Query, Problem> {
    let day = ask.cursor.as_ref().map(Cursor::day).filter(|_| ask.from.is_none());
    let document = Ask {
        stores: Some([ask.store_id.clone()].into()),
        from: ask.from,
        to: ask.to.or(day),
        channels: ask.channels.clone(),
        ..Ask::default_for(Document::Channels)
    };
    let query = document.resolve(directory)?;
    match (ask.from, query.range) {
        (None, Some(range)) => {
            let from = Some(range.to);
            Ok(Ask { from, to: Some(range.to), ..document }.resolve(directory)?)
        }
        _ => Ok(query),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn what_decides_tells_requests_apart() {
        let of = |target: &str, headers: &[(&str, &str)], scope| {
            let mut request = Request::get(target);
            for (name, value) in headers {
                request = request.header(*name, *value);
            }
            what_decides(&request.body(()).unwrap(), scope)
        };
        let all = [
            of("/v1/stores", &[], 0),
            of("/v1/stores", &[], 1),
            of("/v1/stores?", &[("accept", "text/csv")], 0),
            of("/v1/stores?", &[("accept-encoding", "text/csv")], 0),
            of("/v1/stores?a", &[], 0),
            of("/v1/stores?a", &[("accept", "a"), ("accept", "b")], 0),
            of("/v1/stores?a", &[("accept", "a"), ("accept-encoding", "b")], 0),
        ];
        let different: std::collections::BTreeSet<&Vec<u8>> = all.iter().collect();
        assert_eq!(different.len(), all.len());
        assert_eq!(
            of("/v1/stores?a", &[("accept", "x"), ("cookie", "1")], 0),
            of("/v1/stores?a", &[("accept", "x")], 0)
        );
    }
}
