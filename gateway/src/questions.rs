//! Requests that are questions: from near if they were answered before and nothing changed since; else from what is stored of
//! them whole; else computed once for all who ask meanwhile. Both are kept near.

use std::sync::Arc;

use http::header::{ACCEPT, ACCEPT_ENCODING};
use http::{HeaderMap, HeaderName, Request};
use shared::access_log::request_line::WrittenQuestion;
use shared::answers::orders::Cursor;
use shared::answers::parameters::{self, Asked, OrdersAsk, Route};
use shared::model::{Ask, Day, Directory, Document, Query};
use shared::runtime::now_ms;

use crate::app::App;
use crate::auth::Caller;
use crate::known::Understood;
use crate::ladder::{Answer, Fill, Step};
use crate::near::Epoch;
use crate::problem::Problem;
use crate::reply::Reply;
use crate::represent::{self, Represented, Shape, Variant};
use crate::{access_log, negotiate, order_pages};

/// A request that is a question. What a caller with a list of stores came to is not given to another by the text of the
/// request alone: his scope is part of what is remembered.
#[derive(Debug)]
pub(crate) struct Asking<'a> {
    app: &'a App,
    caller: Caller<'a>,
    request: &'a Request<()>,
    route: Route,
    memo: Vec<u8>,
}

impl<'a> Asking<'a> {
    pub(crate) fn new(app: &'a App, caller: Caller<'a>, request: &'a Request<()>, route: Route) -> Self {
        let memo = what_decides(request, caller.scope());
        Self { app, caller, request, route, memo }
    }

    /// The answer, if the very same was asked before and is near.
    pub(crate) fn near(&self) -> Option<Reply> {
        let now = now_ms();
        let (kept, question) = self.app.near().of_request(&self.memo, now)?;
        Some(Reply { question, ..kept.reply(self.request.headers(), true, now) })
    }
}

/// Answers a question that is not near.
///
/// # Errors
/// If the parameters do not fit, stores of others are named, or what is asked can neither be found nor computed.
pub(crate) async fn answer(asking: Asking<'_>) -> Result<Reply, Problem> {
    let app = asking.app;
    // Before the directory is looked at: what changes from now on makes what follows outdated.
    let epoch = app.near().begin();
    let what = asking.understand(epoch).await?;
    let question = what.asked().understood.logged.clone();
    let (represented, near) = match what {
        What::Document(asked) => asked.document().await?,
        What::Page(asked, ask, days) => Box::pin(asked.page(ask, days)).await?,
    };
    app.near().remember(&asking.memo, question.clone(), &represented, epoch);
    Ok(Reply { question, ..represented.reply(asking.request.headers(), near, now_ms()) })
}

/// What a request asks for.
enum What {
    Document(AskedIn),
    /// A page of order lines of these days.
    Page(AskedIn, OrdersAsk, Vec<Day>),
}

impl What {
    fn asked(&self) -> &AskedIn {
        match self {
            Self::Document(asked) | Self::Page(asked, ..) => asked,
        }
    }
}

impl Asking<'_> {
    fn logged(&self, query: &Query, all: &Directory) -> Option<WrittenQuestion> {
        access_log::question(self.request, &self.route, query, all, self.caller.list().is_some())
    }

    async fn understand(&self, epoch: Option<Epoch>) -> Result<What, Problem> {
        let Self { app, caller, .. } = self;
        let asked_in = |understood, directory| AskedIn { app: (*app).clone(), understood, directory, epoch };
        if let Some(all) = app.known_directory() {
            let directory = caller.directory(&all);
            if let Some(understood) = app.known().get(&self.memo, &directory) {
                return Ok(What::Document(asked_in(understood, directory)));
            }
        }
        let headers = self.request.headers();
        let asked = parameters::read(&self.route, self.request.uri().query().unwrap_or_default())?;
        // Checked before anything is looked up.
        match asked {
            Asked::Document(ask) => {
                caller.check(ask.stores.iter().flatten())?;
                let form = form(represent::shape(ask.document), headers)?;
                let all = Box::pin(app.directory()).await?;
                let directory = caller.directory(&all);
                let query = ask.resolve(&directory)?;
                let text = query.canonical();
                let logged = self.logged(&query, &all);
                let understood =
                    Understood::new(app.levels(), app.near(), form, query, text, &directory, logged);
                let understood = Arc::new(understood);
                app.known().keep(&self.memo, &directory, &understood);
                Ok(What::Document(asked_in(understood, directory)))
            }
            Asked::Orders(ask) => {
                caller.check([&ask.store_id])?;
                let form = form(represent::order_shape(), headers)?;
                let directory = Box::pin(app.directory()).await?;
                let query = orders_query(&ask, &directory)?;
                let store =
                    directory.get(&ask.store_id).ok_or_else(|| Problem::unknown_store(&ask.store_id))?;
                let days = query.range.into_iter().flat_map(|range| store.days.within(range)).collect();
                let cursor = ask.cursor.as_ref().map(ToString::to_string).unwrap_or_default();
                let text = format!("orders&limit={}&cursor={cursor}&{}", ask.limit, query.canonical());
                let logged = self.logged(&query, &directory);
                let understood =
                    Understood::new(app.levels(), app.near(), form, query, text, &directory, logged);
                Ok(What::Page(asked_in(Arc::new(understood), directory), ask, days))
            }
        }
    }
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

fn form(shape: Shape, headers: &HeaderMap) -> Result<(Shape, Variant), Problem> {
    let format = shape.negotiate(headers)?;
    Ok((shape, Variant { format, gzip: negotiate::takes_gzip(headers) }))
}

/// A question in the form in which its answer is wanted.
struct AskedIn {
    app: App,
    understood: Arc<Understood>,
    directory: Arc<Directory>,
    /// When it was begun, before anything was read; `None` if nothing of it is kept near.
    epoch: Option<Epoch>,
}

impl AskedIn {
    async fn document(self) -> Result<Found, Problem> {
        if let Some(kept) = self.near() {
            return Ok((kept, true));
        }
        let mut confirmed = None;
        if self.understood.may_be_stored() {
            let fill = self.fill();
            // One look, by each who asks: to look for all at once would cost more than it saves.
            match fill.stored(&self.understood.at, self.understood.variant.is_json()).await {
                Step::Answered(answer) => return Ok((self.represented(answer).await?, false)),
                Step::Missing(at) => confirmed = at,
            }
        }
        Box::pin(self.compute(|fill| async move { fill.compose(confirmed).await })).await
    }

    async fn page(self, ask: OrdersAsk, days: Vec<Day>) -> Result<Found, Problem> {
        if let Some(kept) = self.near() {
            return Ok((kept, true));
        }
        let page = |fill: Fill| async move { order_pages::page(&fill.app, &ask, &fill.query, days).await };
        self.compute(page).await
    }

    fn near(&self) -> Option<Arc<Represented>> {
        self.app.near().response(&self.understood.identity, now_ms())
    }

    fn fill(&self) -> Fill {
        let Self { app, understood, directory, epoch } = self;
        let (query, directory) = (Arc::clone(&understood.query), Arc::clone(directory));
        Fill { app: app.clone(), query, directory, epoch: *epoch }
    }

    /// An answer in the form that is wanted, kept near.
    async fn represented(self, answer: Answer) -> Result<Arc<Represented>, Problem> {
        let Self { app, understood, epoch, .. } = self;
        let rules = app.levels().rules();
        let represented = if represent::is_quick(&answer, understood.variant) {
            represent::represent(&understood, rules, answer)?
        } else {
            let understood = Arc::clone(&understood);
            let work = move || represent::represent(&understood, rules, answer);
            Box::pin(app.compute().run(work)).await??
        };
        let represented = Arc::new(represented);
        app.near().keep_response(&represented, &understood.watched, epoch, now_ms());
        Ok(represented)
    }

    /// The answer that `make` computes, once for all who ask; with whether it was near by then.
    async fn compute<F>(self, make: impl FnOnce(Fill) -> F) -> Result<Found, Problem>
    where
        F: Future<Output = Result<Answer, Problem>> + Send + 'static,
    {
        // Somebody else may have computed it since it was looked for.
        if let Some(kept) = self.app.near().peek(&self.understood.identity, now_ms()) {
            return Ok((kept, true));
        }
        let (app, understood, fill) = (self.app.clone(), Arc::clone(&self.understood), self.fill());
        // Who asks after a change does not join whoever asked before it.
        let key = (Arc::clone(&understood.identity), app.near().last_change(&understood.watched));
        let filling = || {
            let answer = make(fill);
            async move { self.represented(answer.await?).await }
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
