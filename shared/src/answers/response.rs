//! The JSON response of a document, byte by byte: made by the gateway from a document, and by the warmer ahead of time
//! (L4). Both make it here, so both make the same.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_128;

use crate::entry::{self, EncodeError};
use crate::model::{DataVersion, Day, Query};

/// Media type of a JSON response.
pub const JSON: &str = "application/json";
/// Bodies below this are not compressed: headers weigh more.
pub const GZIP_FROM: usize = 860;

/// What the envelope says beside `data`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
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

impl Meta {
    /// Of a question answered from data of a version.
    #[must_use]
    pub fn new(query: &Query, version: DataVersion) -> Self {
        Self {
            stores: query.stores.len() as u64,
            from: query.range.map(|range| range.from),
            to: query.range.map(|range| range.to),
            as_of: query.as_of,
            data_version: version.to_string(),
        }
    }
}

/// The JSON body: the envelope around a document's `data`.
///
/// # Errors
/// If the meta cannot be written as JSON; none of ours.
pub fn json_body(data: &str, meta: &Meta) -> Result<String, EncodeError> {
    Ok(format!("{{\"data\":{data},\"meta\":{}}}", entry::json(meta)?))
}

/// The strong entity tag of a representation; gzip is one of its own.
#[must_use]
pub fn entity_tag(question: &str, rules: u64, data_version: &str, media_type: &str, gzip: bool) -> String {
    let rules = format!("{rules:x}");
    let gzip = if gzip { "true" } else { "false" };
    let identity = [question, &rules, data_version, media_type, gzip].join("\n");
    let hash = xxh3_128(identity.as_bytes());
    // In halves: several times as fast as the whole.
    #[allow(clippy::cast_possible_truncation, reason = "the lower half")]
    let (upper, lower) = ((hash >> 64) as u64, hash as u64);
    format!("\"{upper:016x}{lower:016x}\"")
}

/// A JSON body as it is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadyBody {
    /// The bytes.
    pub bytes: Vec<u8>,
    /// Whether they are gzip: from [`GZIP_FROM`] bytes on.
    pub gzip: bool,
}

impl ReadyBody {
    /// Of a body.
    ///
    /// # Errors
    /// If it cannot be compressed.
    pub fn new(body: String) -> std::io::Result<Self> {
        if body.len() < GZIP_FROM {
            return Ok(Self { bytes: body.into_bytes(), gzip: false });
        }
        Ok(Self { bytes: entry::gzip(body.as_bytes())?, gzip: true })
    }
}
