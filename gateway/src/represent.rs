//! From an answer to a response: envelope, representation, ETag and headers.

use std::io::Read as _;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{AGE, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, ETAG, LAST_MODIFIED, VARY};
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};
use serde::Serialize;
use serde::de::DeserializeOwned;
use shared::access_log::Outcome;
use shared::answers::documents;
use shared::answers::parameters::Route;
use shared::answers::response::{GZIP_FROM, Meta, entity_tag, json_body};
use shared::entry;
use shared::model::Document;
use shared::model::query::{Granularity, ProductSort, SortOrder, StoreSort};

use crate::body::ResponseBody;
use crate::conditional;
use crate::csv::Table;
use crate::known::Understood;
use crate::ladder::{Answer, Content};
use crate::negotiate::{self, Format};
use crate::problem::Problem;
use crate::reply::Reply;

/// Most bytes of a ready body, inflated: the longest list of products of 500 stores is a tenth of it.
const MAX_INFLATED: u64 = 64 << 20;

/// Headers of a response, about.
const HEADERS: usize = 20;
const X_CACHE: HeaderName = HeaderName::from_static("x-cache");
const SERVER_TIMING: HeaderName = HeaderName::from_static("server-timing");
const VARIES: HeaderValue = HeaderValue::from_static("accept, accept-encoding");
const GZIP: HeaderValue = HeaderValue::from_static("gzip");
const NO_TIME: HeaderValue = HeaderValue::from_static("cache;dur=0.00, compute;dur=0.00, source;dur=0.00");

#[derive(Serialize)]
struct Envelope<T> {
    data: T,
    meta: Meta,
}

/// A document kind as the representations need it.
#[derive(Debug)]
pub(crate) struct Shape {
    pub(crate) table: Option<Table>,
    pack: fn(&str, Meta) -> Option<Vec<u8>>,
}

fn pack<T: Serialize + DeserializeOwned>(json: &str, meta: Meta) -> Option<Vec<u8>> {
    let data: T = serde_json::from_str(json).ok()?;
    entry::message_pack(&Envelope { data, meta }).ok()
}

/// The shape of a document.
pub(crate) fn shape(document: Document) -> Shape {
    let pack = match document {
        Document::Stores => pack::<documents::StoreList>,
        Document::Overview => pack::<documents::Overview>,
        Document::Trend(_) => pack::<documents::Trend>,
        Document::Channels => pack::<documents::Channels>,
        Document::StoreTable(..) => pack::<documents::StoreTable>,
        Document::Products(..) => pack::<documents::Products>,
        Document::Diagnosis => pack::<documents::Diagnosis>,
    };
    Shape { table: crate::csv::table(document), pack }
}

/// The shape of a page of order lines.
pub(crate) fn order_shape() -> Shape {
    Shape { table: Some(crate::csv::order_table()), pack: pack::<documents::OrderPage> }
}

/// The media types of a route's document.
pub(crate) fn media_types(route: &Route) -> Vec<&'static str> {
    let shape = match route {
        Route::Orders(_) => order_shape(),
        Route::Stores => shape(Document::Stores),
        Route::Overview => shape(Document::Overview),
        Route::Trend => shape(Document::Trend(Granularity::Day)),
        Route::Channels => shape(Document::Channels),
        Route::StoreTable => shape(Document::StoreTable(StoreSort::Sales, SortOrder::Descending)),
        Route::Products => shape(Document::Products(ProductSort::Units, 1)),
        Route::Diagnosis => shape(Document::Diagnosis),
    };
    shape.offered().iter().map(|format| format.content_type()).collect()
}

impl Shape {
    fn offered(&self) -> &'static [Format] {
        match self.table {
            Some(_) => &[Format::Json, Format::MessagePack, Format::Csv],
            None => &[Format::Json, Format::MessagePack],
        }
    }

    /// The representation that the client wants.
    ///
    /// # Errors
    /// 406 if it wants none of those that there are.
    pub(crate) fn negotiate(&self, headers: &HeaderMap) -> Result<Format, Problem> {
        let offered = self.offered();
        let names: Vec<&str> = offered.iter().map(|format| format.content_type()).collect();
        negotiate::format(headers, offered).ok_or_else(|| Problem::not_acceptable(&names.join(", ")))
    }

    fn body(&self, format: Format, data: &str, meta: Meta) -> Option<Vec<u8>> {
        match format {
            Format::Json => json_body(data, &meta).ok().map(String::into_bytes),
            Format::MessagePack => (self.pack)(data, meta),
            Format::Csv => self.table.as_ref()?.write(data),
        }
    }
}

/// The form in which a client wants a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Variant {
    pub(crate) format: Format,
    pub(crate) gzip: bool,
}

impl Variant {
    pub(crate) fn is_json(self) -> bool {
        self.format == Format::Json
    }

    /// What tells the answer to a question in this form from every other response.
    pub(crate) fn identity(self, question: &str) -> Arc<[u8]> {
        [&[b'0' + self.format as u8, b'0' + u8::from(self.gzip)], question.as_bytes()].concat().into()
    }
}

/// An answer in one representation: all of a response that does not depend on when it is sent, nor to whom.
#[derive(Debug)]
pub(crate) struct Represented {
    identity: Arc<[u8]>,
    body: Bytes,
    gzip: bool,
    content_type: HeaderValue,
    /// Of the body.
    tag: HeaderValue,
    /// Tags by which a client that has it in this form may name it.
    known_as: [HeaderValue; 2],
    computed_at: i64,
    last_modified: HeaderValue,
    timing: HeaderValue,
    pub(crate) outcome: Outcome,
    pub(crate) confirmed_at: i64,
    pub(crate) soft: Duration,
    hard: Duration,
}

/// Whether representing an answer takes so little time that it needs no thread for computing.
pub(crate) fn is_quick(answer: &Answer, variant: Variant) -> bool {
    match &answer.content {
        Content::Data(data) => variant.format == Format::Json && data.len() < GZIP_FROM,
        Content::Ready { gzip, .. } => *gzip == variant.gzip || !gzip,
    }
}

/// Represents an answer; `rules` is the fingerprint of the rules.
///
/// # Errors
/// 500 if the document cannot be written.
pub(crate) fn represent(understood: &Understood, rules: u64, answer: Answer) -> Result<Represented, Problem> {
    let Understood { shape, variant: Variant { format, gzip }, query, text, .. } = understood;
    let (format, gzip) = (*format, *gzip);
    let failed = || {
        tracing::error!(question = text, "a document cannot be represented");
        Problem::internal()
    };
    let meta = Meta::new(query, answer.version);
    // Strong: one tag per representation, and gzip is one of its own.
    let tag = |gzip| entity_tag(text, rules, &meta, format.content_type(), gzip);
    let plain = tag(false);
    let as_wanted = if gzip { tag(true) } else { plain.clone() };
    let texts = [as_wanted, plain, http_date(answer.computed_at), server_timing(&answer)];
    let [as_wanted, plain, last_modified, timing] = together(&texts).ok_or_else(failed)?;
    let known_as = [as_wanted, plain];
    let (body, gzip) = match answer.content {
        Content::Data(data) => {
            let body = shape.body(format, &data, meta).ok_or_else(failed)?;
            let gzip = gzip && body.len() >= GZIP_FROM;
            let body = if gzip { entry::gzip(&body).map_err(|_| failed())? } else { body };
            (Bytes::from(body), gzip)
        }
        Content::Ready { body, gzip: true } if !gzip => (inflate(&body).ok_or_else(failed)?, false),
        Content::Ready { body, gzip } => (body, gzip),
    };
    Ok(Represented {
        identity: Arc::clone(&understood.identity),
        body,
        gzip,
        content_type: HeaderValue::from_static(format.content_type()),
        tag: known_as[usize::from(!gzip)].clone(),
        known_as,
        computed_at: answer.computed_at,
        last_modified,
        timing,
        outcome: answer.outcome,
        confirmed_at: answer.confirmed_at,
        soft: answer.soft,
        hard: answer.hard,
    })
}

impl Represented {
    /// What tells it from every other response.
    pub(crate) fn identity(&self) -> &[u8] {
        &self.identity
    }

    /// Bytes that it takes.
    pub(crate) fn size(&self) -> usize {
        self.body.len() + self.identity.len() + size_of::<Self>()
    }

    /// The response at a time, in milliseconds since 1970: 304 if the client has the body, else with it. `near` says
    /// that it was kept near.
    pub(crate) fn reply(&self, request: &HeaderMap, near: bool, now: i64) -> Reply {
        let age = Duration::from_millis(u64::try_from(now.saturating_sub(self.confirmed_at)).unwrap_or(0));
        let outcome = if near { Outcome::Near } else { self.outcome };
        let mut response = Response::new(ResponseBody::default());
        let headers = response.headers_mut();
        // With those that every response gets.
        headers.reserve(HEADERS);
        headers.insert(VARY, VARIES);
        headers.insert(CACHE_CONTROL, cache_control(age, self.soft, self.hard));
        headers.insert(AGE, HeaderValue::from(age.as_secs()));
        headers.insert(LAST_MODIFIED, self.last_modified.clone());
        let stale = age > self.soft;
        headers.insert(X_CACHE, x_cache(outcome, stale));
        headers.insert(SERVER_TIMING, if near { NO_TIME } else { self.timing.clone() });
        let known = conditional::named(request, &self.known_as)
            .or_else(|| conditional::is_current(request, self.computed_at).then_some(&self.tag));
        if let Some(tag) = known {
            headers.insert(ETAG, tag.clone());
            *response.status_mut() = StatusCode::NOT_MODIFIED;
        } else {
            headers.insert(CONTENT_TYPE, self.content_type.clone());
            if self.gzip {
                headers.insert(CONTENT_ENCODING, GZIP);
            }
            headers.insert(ETAG, self.tag.clone());
            *response.body_mut() = ResponseBody::from(self.body.clone());
        }
        Reply { response, outcome, stale, question: None }
    }
}

/// Header values whose bytes lie together: threads that send them at once share one count of references instead of many.
fn together<const N: usize>(texts: &[String; N]) -> Option<[HeaderValue; N]> {
    let all = Bytes::from(texts.concat());
    let mut at = 0;
    let values: Result<Vec<_>, _> = texts
        .iter()
        .map(|text| {
            let from = at;
            at += text.len();
            HeaderValue::from_maybe_shared(all.slice(from..at))
        })
        .collect();
    values.ok()?.try_into().ok()
}

/// A ready body for a client that does not take gzip.
fn inflate(body: &[u8]) -> Option<Bytes> {
    let mut plain = Vec::new();
    entry::gunzip(body, MAX_INFLATED).read_to_end(&mut plain).ok()?;
    Some(Bytes::from(plain))
}

fn cache_control(age: Duration, soft: Duration, hard: Duration) -> HeaderValue {
    let fresh = soft.saturating_sub(age).as_secs();
    let stale = hard.saturating_sub(soft).as_secs();
    let text = format!("private, max-age={fresh}, stale-while-revalidate={stale}");
    // Digits and ASCII text always fit.
    HeaderValue::from_maybe_shared(Bytes::from(text))
        .unwrap_or(HeaderValue::from_static("private, max-age=0"))
}

fn x_cache(outcome: Outcome, stale: bool) -> HeaderValue {
    match (outcome, stale) {
        (Outcome::Near, true) => HeaderValue::from_static("near; stale"),
        (outcome, false) => HeaderValue::from_static(outcome.as_str()),
        (outcome, true) => HeaderValue::try_from(format!("{}; stale", outcome.as_str()))
            .unwrap_or(HeaderValue::from_static(outcome.as_str())),
    }
}

fn http_date(milliseconds: i64) -> String {
    httpdate::fmt_http_date(conditional::whole_seconds(milliseconds))
}

fn server_timing(answer: &Answer) -> String {
    let timing = &answer.timing;
    // Hundredths of milliseconds.
    let parts = |time: Duration| {
        let hundredths = (time.as_micros() + 5) / 10;
        (hundredths / 100, hundredths % 100)
    };
    let [cache, compute, source] = [timing.cache, timing.compute, timing.source].map(parts);
    format!(
        "cache;dur={}.{:02}, compute;dur={}.{:02}, source;dur={}.{:02}",
        cache.0, cache.1, compute.0, compute.1, source.0, source.1
    )
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
pub(crate) mod tests {
    use super::*;
    use crate::ladder::Timing;
    use http::header::IF_NONE_MATCH;
    use shared::model::{Ask, DataVersion, Directory};

    pub(crate) fn represented(confirmed_at: i64) -> Represented {
        let (directory, variant) = (Directory::default(), Variant { format: Format::Json, gzip: true });
        let query = Ask::default_for(Document::Overview).resolve(&directory).unwrap();
        let answer = Answer {
            content: Content::Data("{}".to_owned()),
            version: DataVersion::default(),
            outcome: Outcome::L3,
            computed_at: 0,
            confirmed_at,
            soft: Duration::from_secs(600),
            hard: Duration::from_secs(86_400),
            timing: Timing { cache: Duration::from_micros(12_345), ..Timing::default() },
        };
        let (levels, near) = crate::known::tests::parts();
        let text = query.canonical();
        let form = (shape(Document::Overview), variant);
        let understood = Understood::new(&levels, &near, form, query, text, &directory, None);
        represent(&understood, 1, answer).unwrap()
    }

    #[test]
    fn timing_has_hundredths_of_milliseconds() {
        let kept = Arc::new(represented(0));
        let reply = kept.reply(&HeaderMap::new(), false, 0);
        let expected = "cache;dur=12.35, compute;dur=0.00, source;dur=0.00";
        assert_eq!(reply.response.headers()["server-timing"], expected);
    }

    #[test]
    fn age_goes_on_counting_and_what_is_past_its_soft_expiry_is_stale() {
        let kept = Arc::new(represented(1_000_000));
        for (seconds, near, age, cache_control, x_cache) in [
            (0, false, "0", "private, max-age=600, stale-while-revalidate=85800", "l3"),
            (7, true, "7", "private, max-age=593, stale-while-revalidate=85800", "near"),
            (601, true, "601", "private, max-age=0, stale-while-revalidate=85800", "near; stale"),
            (601, false, "601", "private, max-age=0, stale-while-revalidate=85800", "l3; stale"),
            // A clock that goes slower than the warmer's.
            (-5, true, "0", "private, max-age=600, stale-while-revalidate=85800", "near"),
        ] {
            let response = kept.reply(&HeaderMap::new(), near, 1_000_000 + seconds * 1000).response;
            let header = |name: HeaderName| response.headers()[name].to_str().unwrap();
            let shown = (header(AGE), header(CACHE_CONTROL), header(X_CACHE));
            assert_eq!(shown, (age, cache_control, x_cache), "{seconds}");
        }
    }

    #[test]
    fn a_short_body_is_known_by_both_tags() {
        let kept = Arc::new(represented(0));
        let status = |tag: &HeaderValue| {
            let request = HeaderMap::from_iter([(IF_NONE_MATCH, tag.clone())]);
            kept.reply(&request, true, 0).response.status()
        };
        // It is sent as it is, though the client takes gzip.
        assert_eq!(kept.tag, kept.known_as[1]);
        assert_eq!(kept.known_as.each_ref().map(status), [StatusCode::NOT_MODIFIED; 2]);
        assert_eq!(status(&HeaderValue::from_static("\"x\"")), StatusCode::OK);
    }
}
