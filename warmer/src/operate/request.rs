//! What operators ask of the warmer that runs, through a list in Redis: one JSON object each.

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use shared::cache::Write;
use shared::entry::{self, EncodeError};
use shared::keys::Keys;

/// Stores that one request names; further ones are cut off when it is read.
pub const MOST_STORES: usize = 1_000;
/// Requests that wait in Redis; the newest stay.
pub const MOST_WAITING: usize = 1_000;

/// A request of an operator.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "request", rename_all = "snake_case")]
pub enum OperatorRequest {
    /// Read these stores again, whole, before scheduled work.
    Refresh {
        /// Ids.
        stores: Vec<String>,
    },
    /// Begin a cycle now.
    Cycle,
    /// Entries were removed: look what is still there, and make the rest again.
    LookAgain,
}

impl OperatorRequest {
    /// From what was stored.
    ///
    /// # Errors
    /// If it is not a request of this version.
    pub fn parse(text: &str) -> serde_json::Result<Self> {
        let mut request = serde_json::from_str(text)?;
        if let Self::Refresh { stores } = &mut request {
            stores.truncate(MOST_STORES);
        }
        Ok(request)
    }

    /// As a write.
    ///
    /// # Errors
    /// If it cannot be written as JSON; none can.
    pub fn write(&self, keys: &Keys) -> Result<Write, EncodeError> {
        let value = Bytes::from(entry::json(self)?);
        Ok(Write::Push { key: keys.requests(), value, limit: MOST_WAITING })
    }

    /// For people.
    #[must_use]
    pub fn describe(&self) -> String {
        match self {
            Self::Refresh { stores } if stores.len() == 1 => format!("read store {} again", stores.join("")),
            Self::Refresh { stores } => format!("read {} stores again", stores.len()),
            Self::Cycle => "begin a cycle".to_owned(),
            Self::LookAgain => "look what is still there".to_owned(),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn the_form_is_pinned() {
        let refresh = OperatorRequest::Refresh { stores: vec!["a,b".to_owned(), "c \"d\"".to_owned()] };
        for (request, text) in [
            (refresh, r#"{"request":"refresh","stores":["a,b","c \"d\""]}"#),
            (OperatorRequest::Cycle, r#"{"request":"cycle"}"#),
            (OperatorRequest::LookAgain, r#"{"request":"look_again"}"#),
        ] {
            assert_eq!(OperatorRequest::parse(text).unwrap(), request);
            let Write::Push { value, limit, .. } = request.write(&Keys::default()).unwrap() else {
                panic!("not pushed")
            };
            assert_eq!((value.as_ref(), limit), (text.as_bytes(), 1_000));
        }
        assert!(OperatorRequest::parse("refresh a,b").is_err());
    }

    #[test]
    fn a_request_is_bounded() {
        let stores = (0..MOST_STORES + 5).map(|n| n.to_string()).collect();
        let text = serde_json::to_string(&OperatorRequest::Refresh { stores }).unwrap();
        let OperatorRequest::Refresh { stores } = OperatorRequest::parse(&text).unwrap() else {
            panic!("another request")
        };
        assert_eq!(stores.len(), MOST_STORES);
    }
}
