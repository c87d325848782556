//! From an answer to a response: envelope, representation, ETag and headers.

use bytes::Bytes;
use http::header::{
    AGE, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, ETAG, IF_NONE_MATCH, LAST_MODIFIED, VARY,
};
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use http_body_util::Full;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use shared::answers::documents;
use shared::entry;
use shared::model::{Day, Document, Query};
use xxhash_rust::xxh3::xxh3_128;

use crate::csv::Table;
use crate::ladder::Answer;
use crate::negotiate::{self, Format};
use crate::problem::Problem;

/// Bodies below this are not compressed: headers weigh more.
const GZIP_FROM: usize = 860;

/// What the envelope says beside `data`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Meta {
    /// Stores selected.
    pub stores: u64,
    /// First day.
    pub from: Option<Day>,
    /// Last day.
    pub to: Option<Day>,
    /// Last data day of the selection.
    pub as_of: Option<Day>,
    /// Equal versions mean equal data.
    pub data_version: String,
}

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

impl Shape {
    /// The representation that the client wants.
    ///
    /// # Errors
    /// 406 if it wants none of those that there are.
    pub(crate) fn negotiate(&self, headers: &HeaderMap) -> Result<Format, Problem> {
        let offered: &[Format] = match self.table {
            Some(_) => &[Format::Json, Format::MessagePack, Format::Csv],
            None => &[Format::Json, Format::MessagePack],
        };
        let names: Vec<&str> = offered.iter().map(|format| format.content_type()).collect();
        negotiate::format(headers, offered).ok_or_else(|| Problem::not_acceptable(&names.join(", ")))
    }

    fn body(&self, format: Format, answer: &Answer, meta: Meta) -> Option<Vec<u8>> {
        match format {
            Format::Json => {
                let meta = serde_json::to_string(&meta).ok()?;
                Some(format!("{{\"data\":{},\"meta\":{meta}}}", answer.json).into_bytes())
            }
            Format::MessagePack => (self.pack)(&answer.json, meta),
            Format::Csv => self.table.as_ref()?.write(&answer.json),
        }
    }
}

/// The envelope's meta of an answer.
pub(crate) fn meta(query: &Query, answer: &Answer) -> Meta {
    Meta {
        stores: query.stores.len() as u64,
        from: query.range.map(|range| range.from),
        to: query.range.map(|range| range.to),
        as_of: query.as_of,
        data_version: answer.version.to_string(),
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
    let tag = |gzip: bool| {
        let identity =
            format!("{question}\n{rules:x}\n{}\n{}\n{gzip}", meta.data_version, format.content_type());
        format!("\"{:032x}\"", xxh3_128(identity.as_bytes()))
    };
    let known: Vec<&str> =
        request.get_all(IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok()).collect();
    if let Some(tag) = [tag(gzip), tag(false)].iter().find(|tag| is_known(&known, tag)) {
        set(ETAG, tag);
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        return Ok(response);
    }
    let failed = || {
        tracing::error!(question, "a document cannot be represented");
        Problem::internal()
    };
    let mut body = shape.body(format, answer, meta.clone()).ok_or_else(failed)?;
    set(CONTENT_TYPE, format.content_type());
    let gzip = gzip && body.len() >= GZIP_FROM;
    if gzip {
        body = entry::gzip(&body).map_err(|_| failed())?;
        set(CONTENT_ENCODING, "gzip");
    }
    set(ETAG, &tag(gzip));
    *response.body_mut() = Full::new(Bytes::from(body));
    Ok(response)
}

/// If-None-Match compares weakly: `W/` does not count.
fn is_known(known: &[&str], tag: &str) -> bool {
    known
        .iter()
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .any(|known| known == "*" || known.strip_prefix("W/").unwrap_or(known) == tag)
}

fn cache_control(answer: &Answer) -> String {
    let fresh = answer.soft.saturating_sub(answer.age()).as_secs();
    let stale = answer.hard.saturating_sub(answer.soft).as_secs();
    format!("private, max-age={fresh}, stale-while-revalidate={stale}")
}

fn http_date(milliseconds: i64) -> String {
    let since = std::time::Duration::from_millis(u64::try_from(milliseconds).unwrap_or(0));
    httpdate::fmt_http_date(std::time::UNIX_EPOCH + since)
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
