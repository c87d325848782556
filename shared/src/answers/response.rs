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

/// The strong entity tag of a representation; gzip is one of its own. The last data day is in the body and moves without
/// the data of a range that the question names, so it is part of it.
#[must_use]
pub fn entity_tag(question: &str, rules: u64, meta: &Meta, media_type: &str, gzip: bool) -> String {
    let version = &meta.data_version;
    let mut identity = String::with_capacity(question.len() + version.len() + media_type.len() + 48);
    identity.push_str(question);
    // A String takes all that is written.
    let _ = write!(identity, "\n{rules:x}\n");
    if let Some(day) = meta.as_of {
        let _ = writeln!(identity, "{day}");
    }
    identity.extend([version.as_str(), "\n", media_type, "\n", if gzip { "true" } else { "false" }]);
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
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn tags_stay_what_they_were() {
        let meta = |as_of: Option<&str>| Meta {
            stores: 1,
            from: None,
            to: None,
            as_of: as_of.map(|day| day.parse().unwrap()),
            data_version: "ab".to_owned(),
        };
        let tag = |as_of| entity_tag("q", 31, &meta(as_of), "application/json", true);
        // Clients keep them over an update. xxh3-128 of "q\n1f\nab\napplication/json\ntrue", such as by python3-xxhash.
        assert_eq!(tag(None), "\"9a32c6f523f31192596ec52c046d4d23\"");
        // The body has another last day, though the data are the same.
        assert_ne!(tag(Some("2026-03-07")), tag(Some("2026-03-08")));
        assert_eq!(tag(Some("2026-03-07")), "\"1b76103eab1f549df32d1343fa62b0a9\"");
    }
}
