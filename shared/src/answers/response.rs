//! The JSON response of a document, byte by byte: made by the gateway from a document, and by the warmer ahead of time
//! (L4). Both make it here, so both make the same.

use std::fmt::Write as _;

use data_encoding::HEXLOWER;
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
    let mut identity = String::with_capacity(question.len() + data_version.len() + media_type.len() + 32);
    identity.push_str(question);
    // A String takes all that is written.
    let _ = write!(identity, "\n{rules:x}\n");
    identity.extend([data_version, "\n", media_type, "\n", if gzip { "true" } else { "false" }]);
    let hash = xxh3_128(identity.as_bytes());
    let mut tag = String::with_capacity(2 + 2 * size_of_val(&hash));
    tag.push('"');
    HEXLOWER.encode_append(&hash.to_be_bytes(), &mut tag);
    tag.push('"');
    tag
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_stay_what_they_were() {
        // Clients keep them over an update. xxh3-128 of "q\n1f\nab\napplication/json\ntrue", such as by python3-xxhash.
        assert_eq!(
            entity_tag("q", 31, "ab", "application/json", true),
            "\"9a32c6f523f31192596ec52c046d4d23\""
        );
    }
}
