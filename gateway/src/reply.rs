//! What a route came to, before the layers finish it.

use http::Response;
use shared::access_log::Outcome;
use shared::access_log::request_line::WrittenQuestion;

use crate::body::ResponseBody;

/// A response, and what counters and log are to know of it.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) response: Response<ResponseBody>,
    /// Where it came from, and whether it is past its soft expiry.
    pub(crate) outcome: Outcome,
    pub(crate) stale: bool,
    /// What was asked, as the access log has it, if it was a question that could be understood.
    pub(crate) question: Option<WrittenQuestion>,
}

impl From<Response<ResponseBody>> for Reply {
    fn from(response: Response<ResponseBody>) -> Self {
        Self { response, outcome: Outcome::None, stale: false, question: None }
    }
}
