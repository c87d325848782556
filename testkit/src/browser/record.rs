//! What a page did: what went wrong in it, and what it asked for.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::Mutex;

use serde_json::Value;

use super::cdp::lock;

/// What kind of fault a page has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FaultKind {
    /// `console.error` or a failed `console.assert`.
    Error,
    /// `console.warn`.
    Warning,
    /// An exception that nobody caught, or a promise that nobody waited for.
    Exception,
    /// A request that failed, or whose answer has a status of 400 or more.
    Load,
    /// A breach of the Content-Security-Policy, of Trusted Types too.
    Policy,
    /// Whatever else the browser itself warns of.
    Browser,
}

/// Something wrong with a page, as its console would show it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Which kind.
    pub kind: FaultKind,
    /// What the console says.
    pub text: String,
    /// The address of what it is about: the script, or what was asked for; may be empty.
    pub url: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.kind, self.text)?;
        if self.url.is_empty() { Ok(()) } else { write!(f, " ({})", self.url) }
    }
}

/// A request of a page. Redirects are requests of their own.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Request {
    /// Where to.
    pub url: String,
    /// `GET`, …
    pub method: String,
    /// What for, as the DevTools name it: `Document`, `Script`, `Stylesheet`, `Image`, `Fetch`, …
    pub kind: String,
    /// Of the answer, if one came.
    pub status: Option<u16>,
    /// Bytes that came over the network, as they were encoded, with the headers.
    pub bytes: u64,
    /// Whether the answer came from the browser's cache.
    pub from_cache: bool,
    /// Whether the answer is complete; a stream never is.
    pub finished: bool,
    /// Why it failed, such as `net::ERR_NAME_NOT_RESOLVED`, or who did not allow it, such as `csp`.
    pub failure: Option<String>,
}

/// What is recorded of one page.
#[derive(Debug, Default)]
pub(super) struct Record {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    faults: Vec<Fault>,
    requests: Vec<Request>,
    /// Which of the requests has this number in this session.
    open: HashMap<(String, String), usize>,
    /// Documents that were loaded with everything they refer to: how many in the page itself, and which anywhere.
    loads: u64,
    loaded: HashSet<String>,
    /// Names of files that are being downloaded, by number, and of those that are complete.
    downloading: HashMap<String, String>,
    downloaded: HashSet<String>,
}

impl Record {
    pub(super) fn faults(&self) -> Vec<Fault> {
        lock(&self.state).faults.clone()
    }

    pub(super) fn requests(&self) -> Vec<Request> {
        lock(&self.state).requests.clone()
    }

    pub(super) fn has_loaded(&self, loader: &str) -> bool {
        lock(&self.state).loaded.contains(loader)
    }

    pub(super) fn has_downloaded(&self, name: &str) -> bool {
        lock(&self.state).downloaded.contains(name)
    }

    pub(super) fn loads(&self) -> u64 {
        lock(&self.state).loads
    }

    pub(super) fn forget(&self) {
        let mut state = lock(&self.state);
        state.faults.clear();
        state.requests.clear();
        state.open.clear();
    }

    /// Takes what the browser tells in a session.
    pub(super) fn hear(&self, session: &str, method: &str, params: &Value) {
        let mut state = lock(&self.state);
        match method {
            "Page.loadEventFired" => state.loads += 1,
            "Page.lifecycleEvent" if params["name"] == "load" => {
                state.loaded.insert(text(&params["loaderId"]));
            }
            "Page.downloadWillBegin" => {
                state.downloading.insert(text(&params["guid"]), text(&params["suggestedFilename"]));
            }
            "Page.downloadProgress" if params["state"] == "completed" => {
                let name = state.downloading.remove(&text(&params["guid"]));
                state.downloaded.extend(name);
            }
            "Runtime.consoleAPICalled" => state.faults.extend(said(params)),
            "Runtime.exceptionThrown" => state.faults.push(thrown(&params["exceptionDetails"])),
            "Log.entryAdded" => state.faults.extend(logged(&params["entry"])),
            "Audits.issueAdded" => state.faults.extend(breach(&params["issue"])),
            _ => state.hear_network(session, method, params),
        }
    }
}

impl State {
    fn hear_network(&mut self, session: &str, method: &str, params: &Value) {
        let Some(id) = params["requestId"].as_str() else { return };
        let number = (session.to_owned(), id.to_owned());
        if method == "Network.requestWillBeSent" {
            let redirect = &params["redirectResponse"];
            if redirect.is_object()
                && let Some(before) = self.request(&number)
            {
                before.answered(redirect);
                before.finished = true;
                before.bytes = whole(&redirect["encodedDataLength"]);
            }
            let (request, kind) = (&params["request"], &params["type"]);
            self.open.insert(number, self.requests.len());
            self.requests.push(Request {
                url: text(&request["url"]),
                method: text(&request["method"]),
                kind: text(kind),
                ..Request::default()
            });
            return;
        }
        let Some(request) = self.request(&number) else { return };
        match method {
            "Network.requestServedFromCache" => request.from_cache = true,
            "Network.responseReceived" => {
                request.answered(&params["response"]);
                request.bytes += whole(&params["response"]["encodedDataLength"]);
            }
            "Network.dataReceived" => request.bytes += whole(&params["encodedDataLength"]),
            "Network.loadingFinished" => {
                request.finished = true;
                request.bytes = whole(&params["encodedDataLength"]);
            }
            "Network.loadingFailed" => {
                let blocked = text(&params["blockedReason"]);
                request.failure = Some(if blocked.is_empty() { text(&params["errorText"]) } else { blocked });
            }
            _ => {}
        }
    }

    fn request(&mut self, number: &(String, String)) -> Option<&mut Request> {
        self.requests.get_mut(*self.open.get(number)?)
    }
}

impl Request {
    fn answered(&mut self, response: &Value) {
        self.status = response["status"].as_u64().and_then(|status| u16::try_from(status).ok());
        self.from_cache |= response["fromDiskCache"] == true || response["fromPrefetchCache"] == true;
    }
}

fn said(params: &Value) -> Option<Fault> {
    let kind = match params["type"].as_str()? {
        "error" | "assert" => FaultKind::Error,
        "warning" => FaultKind::Warning,
        _ => return None,
    };
    let arguments = params["args"].as_array().into_iter().flatten();
    let words: Vec<String> = arguments
        .map(|argument| match (&argument["value"], &argument["description"]) {
            (Value::String(word), _) | (Value::Null, Value::String(word)) => word.clone(),
            (value, _) => value.to_string(),
        })
        .collect();
    let url = text(&params["stackTrace"]["callFrames"][0]["url"]);
    Some(Fault { kind, text: words.join(" "), url })
}

fn thrown(details: &Value) -> Fault {
    let description = text(&details["exception"]["description"]);
    let words = [text(&details["text"]), description];
    Fault { kind: FaultKind::Exception, text: words.join(" ").trim().to_owned(), url: text(&details["url"]) }
}

fn logged(entry: &Value) -> Option<Fault> {
    if !matches!(entry["level"].as_str()?, "error" | "warning") {
        return None;
    }
    let kind = match entry["source"].as_str()? {
        "network" => FaultKind::Load,
        "security" => FaultKind::Policy,
        _ => FaultKind::Browser,
    };
    Some(Fault { kind, text: text(&entry["text"]), url: text(&entry["url"]) })
}

/// A breach of the Content-Security-Policy; other issues are no faults.
fn breach(issue: &Value) -> Option<Fault> {
    let details = &issue["details"]["contentSecurityPolicyIssueDetails"];
    let directive = details["violatedDirective"].as_str()?;
    let violation = text(&details["contentSecurityPolicyViolationType"]);
    Some(Fault {
        kind: FaultKind::Policy,
        text: format!("{violation} against {directive}"),
        url: text(&details["blockedURL"]),
    })
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// A number that JavaScript may write with a fraction.
fn whole(value: &Value) -> u64 {
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "bytes of one answer")]
    value.as_f64().map_or(0, |number| number.max(0.0) as u64)
}
