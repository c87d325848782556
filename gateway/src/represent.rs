//! From an answer to a response: envelope, representation, ETag and headers.

use std::io::Read as _;

use bytes::Bytes;
use http::header::{AGE, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, ETAG, LAST_MODIFIED, VARY};
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use http_body_util::Full;
use serde::Serialize;
use serde::de::DeserializeOwned;
use shared::answers::documents;
use shared::answers::parameters::Route;
use shared::answers::response::{GZIP_FROM, Meta, entity_tag, json_body};
use shared::entry;
use shared::model::Document;
use shared::model::query::{Granularity, ProductSort, SortOrder, StoreSort};

use crate::conditional;
use crate::csv::Table;
use crate::ladder::{Answer, Content};
use crate::negotiate::{self, Format};
use crate::problem::Problem;

/// Most bytes of a ready body, inflated: the longest list of products of 500 stores is a tenth of it.
const MAX_INFLATED: u64 = 64 << 20;

#[derive(Serialize)]
struct Envelope<T> {
    data: T,
    meta: Meta,
}

/// A document kind as the representations need it.
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

/// The response of an answer: 304 if the client has it, else the body as it wants it.
///
/// # Errors
/// 500 if the document cannot be written.
pub(crate) fn response(
    request: &HeaderMap,
    shape: &Shape,
    format: Format,
    question: &str,
    rules: u64,
    meta: &Meta,
    answer: &Answer,
) -> Result<Response<Full<Bytes>>, Problem> {
    let gzip = negotiate::takes_gzip(request);
    let mut response = Response::new(Full::default());
    let headers = response.headers_mut();
    let mut set = |name, value: &str| {
        if let Ok(value) = HeaderValue::from_str(value) {
            headers.insert(name, value);
        }
    };
    set(VARY, "accept, accept-encoding");
    set(CACHE_CONTROL, &cache_control(answer));
    set(AGE, &answer.age().as_secs().to_string());
    set(LAST_MODIFIED, &http_date(answer.computed_at));
    let stale = if answer.is_stale() { "; stale" } else { "" };
    set(http::HeaderName::from_static("x-cache"), &format!("{}{stale}", answer.outcome.as_str()));
    set(http::HeaderName::from_static("server-timing"), &server_timing(answer));
    // Strong: one tag per representation, and gzip is one of its own.
    let tag = |gzip: bool| entity_tag(question, rules, &meta.data_version, format.content_type(), gzip);
    if let Some(tag) = conditional::named(request, &[tag(gzip), tag(false)]) {
        set(ETAG, tag);
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        return Ok(response);
    }
    let failed = || {
        tracing::error!(question, "a document cannot be represented");
        Problem::internal()
    };
    let (body, gzip) = match &answer.content {
        Content::Data(data) => {
            let body = shape.body(format, data, meta.clone()).ok_or_else(failed)?;
            let gzip = gzip && body.len() >= GZIP_FROM;
            let body = if gzip { entry::gzip(&body).map_err(|_| failed())? } else { body };
            (Bytes::from(body), gzip)
        }
        Content::Ready { body, gzip: true } if !gzip => (inflate(body).ok_or_else(failed)?, false),
        Content::Ready { body, gzip } => (body.clone(), *gzip),
    };
    set(ETAG, &tag(gzip));
    // Only now is it known which representation it would get.
    if conditional::is_current(request, answer.computed_at) {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        return Ok(response);
    }
    set(CONTENT_TYPE, format.content_type());
    if gzip {
        set(CONTENT_ENCODING, "gzip");
    }
    *response.body_mut() = Full::new(body);
    Ok(response)
}

/// A ready body for a client that does not take gzip.
fn inflate(body: &[u8]) -> Option<Bytes> {
    let mut plain = Vec::new();
    entry::gunzip(body, MAX_INFLATED).read_to_end(&mut plain).ok()?;
    Some(Bytes::from(plain))
}

fn cache_control(answer: &Answer) -> String {
    let fresh = answer.soft.saturating_sub(answer.age()).as_secs();
    let stale = answer.hard.saturating_sub(answer.soft).as_secs();
    format!("private, max-age={fresh}, stale-while-revalidate={stale}")
}

fn http_date(milliseconds: i64) -> String {
    httpdate::fmt_http_date(conditional::whole_seconds(milliseconds))
}

fn server_timing(answer: &Answer) -> String {
    let timing = &answer.timing;
    let ms = |time: std::time::Duration| time.as_secs_f64() * 1000.0;
    format!(
        "cache;dur={:.2}, compute;dur={:.2}, source;dur={:.2}",
        ms(timing.cache),
        ms(timing.compute),
        ms(timing.source)
    )
}
