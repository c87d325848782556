//! What a route came to, before the layers finish it.

use std::sync::Arc;

use http::Response;
use shared::access_log::Outcome;

use crate::access_log::Details;
use crate::represent::Represented;
use crate::service::ResponseBody;

/// A response, and what counters and log are to know of it.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) response: Response<ResponseBody>,
    /// Where it came from, and whether it is past its soft expiry.
    pub(crate) outcome: Outcome,
    pub(crate) stale: bool,
    /// The answer that it is.
    pub(crate) answer: Option<Arc<Represented>>,
    /// Whether it goes to somebody who may not see all stores.
    pub(crate) to_list: bool,
}

impl Reply {
    /// What the question came to, if it was one.
    pub(crate) fn details(&self) -> Option<&Details> {
        self.answer.as_ref().map(|answer| &*answer.details)
    }
}

impl From<Response<ResponseBody>> for Reply {
    fn from(response: Response<ResponseBody>) -> Self {
        Self { response, outcome: Outcome::None, stale: false, answer: None, to_list: false }
    }
}
