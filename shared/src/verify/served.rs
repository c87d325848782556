//! Checks of gateways by asking them as a dashboard does.

use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use http::header::{AUTHORIZATION, DATE, HeaderValue};
use http::{Request, StatusCode};
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;

use super::Report;
use super::host::Clock;
use crate::runtime::now_ms;
use crate::tls;

/// Header in which a request is named; gateways put it into their access log.
const REQUEST_ID: &str = "x-request-id";
/// Longest wait for an answer.
const LIMIT: Duration = Duration::from_secs(10);
/// Largest answer that is read.
const MAX_BODY: usize = 16 << 20;
/// What is kept ready of all stores, whatever is asked for.
const WARMED: &str = "/v1/metrics/overview";
/// Where answers come from that were ready, or made of what was.
const READY: [&str; 5] = ["near", "l4", "l3", "l3-compose", "l2-compose"];

const CHECKS: [&str; 2] = ["gateway.ready", "gateway.warm"];

/// Gateways to be asked, and as whom.
#[derive(Clone, Debug, Default)]
pub struct Asking {
    /// Addresses, such as `http://127.0.0.1:8080`.
    pub urls: Vec<String>,
    /// Bearer token.
    pub token: Option<String>,
    /// Authority of https gateways; without it, those of the system.
    pub ca: Option<PathBuf>,
}

/// A gateway that answered.
#[derive(Clone, Debug)]
pub struct Asked {
    /// Its address.
    pub url: String,
    /// The request id of the question that it was asked, as it must be in its access log; `None` if it gave no answer to that.
    pub request_id: Option<String>,
    /// Its clock.
    pub clock: Option<Clock>,
}

/// A gateway's answer.
struct Answer {
    status: StatusCode,
    /// The rung that had it, without what follows it.
    rung: String,
    stale: bool,
    clock: Option<Clock>,
    body: Bytes,
}

/// Asks all gateways; gives those that answer.
pub async fn check(report: &mut Report, asking: &Asking) -> Vec<Asked> {
    let name = "gateway.reachable";
    if asking.urls.is_empty() {
        report.skip(&[name], "no gateway was named (--gateway URL)");
        report.skip(&CHECKS, "no gateway was named (--gateway URL)");
        return Vec::new();
    }
    let mut asked = Vec::new();
    for (number, url) in asking.urls.iter().enumerate() {
        let base = url.trim_end_matches('/');
        let client = match Asker::new(base, asking) {
            Ok(client) => client,
            Err(what) => {
                report.fail(name, format!("{base}: {what}"), "write http://HOST:PORT or https://HOST:PORT");
                report.skip(&CHECKS, "gateway.reachable failed");
                continue;
            }
        };
        match client.get("/readyz", None).await {
            Ok(answer) => {
                report.pass(name, base);
                ready(report, base, &answer);
                // One that no other question has.
                let id = format!("verify-{}-{}-{number}", std::process::id(), now_ms());
                let has_answered = warm(report, base, &client, &id).await;
                let request_id = has_answered.then_some(id);
                asked.push(Asked { url: base.to_owned(), request_id, clock: answer.clock });
            }
            Err(what) => {
                report.fail(
                    name,
                    format!("{base}: {what}"),
                    "start the gateway, or correct the address; see its log",
                );
                report.skip(&CHECKS, "gateway.reachable failed");
            }
        }
    }
    asked
}

fn ready(report: &mut Report, base: &str, answer: &Answer) {
    let text = String::from_utf8_lossy(&answer.body);
    let told = text.trim().replace('\n', "; ");
    let name = "gateway.ready";
    if answer.status != StatusCode::OK {
        report.fail(name, format!("{base}: {told}"), "see what the gateway's log says of it");
    } else if told != "ready" {
        report.warn(name, format!("{base}: {told}"), "see that both servers answer the gateway's users");
    } else {
        report.pass(name, format!("{base}: {told}"));
    }
}

/// Asks for what must be ready; whether there was any answer.
async fn warm(report: &mut Report, base: &str, client: &Asker, request_id: &str) -> bool {
    match client.get(WARMED, Some(request_id)).await {
        Ok(answer) => {
            judge_warmth(report, base, &answer, request_id);
            true
        }
        Err(what) => {
            report.fail("gateway.warm", format!("{base}{WARMED}: {what}"), "see the gateway's log");
            false
        }
    }
}

fn judge_warmth(report: &mut Report, base: &str, answer: &Answer, request_id: &str) {
    let name = "gateway.warm";
    let seen = format!("{base}{WARMED}: {} from {}", answer.status.as_u16(), answer.rung);
    match answer.status {
        StatusCode::OK => {}
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
            return report.fail(
                name,
                seen,
                "give a token that the gateway knows: --token-file FILE or HOTSHELF_TOKEN",
            );
        }
        _ => return report.fail(name, seen, format!("see the gateway's log for the request {request_id}")),
    }
    if !READY.contains(&answer.rung.as_str()) {
        report.fail(
            name,
            seen,
            "nothing was ready: see that the warmer has written (warmer status), and that warmer and gateway have the same \
             redis.url, redis.prefix and [rules]",
        );
    } else if answer.stale {
        report.warn(
            name,
            format!("{seen}; stale"),
            "the warmer has not confirmed the data for a while: warmer status",
        );
    } else {
        report.pass(name, seen);
    }
}

/// A client of one gateway.
struct Asker {
    client: Client<HttpsConnector<HttpConnector>, Empty<Bytes>>,
    base: String,
    token: Option<HeaderValue>,
}

impl Asker {
    fn new(base: &str, asking: &Asking) -> Result<Self, String> {
        let uri: http::Uri = base.parse().map_err(|error| format!("this is no address: {error}"))?;
        let https = match (uri.scheme_str(), uri.host()) {
            (Some("http"), Some(_)) => false,
            (Some("https"), Some(_)) => true,
            _ => return Err("this is no address".to_owned()),
        };
        let connector =
            tls::connector(https, asking.ca.as_deref(), false, LIMIT).map_err(|error| error.what)?;
        let token = asking.token.as_ref().map(|token| HeaderValue::from_str(&format!("Bearer {token}")));
        let mut token =
            token.transpose().map_err(|_| "the token has characters that no header can carry".to_owned())?;
        if let Some(token) = &mut token {
            token.set_sensitive(true);
        }
        Ok(Self {
            client: Client::builder(TokioExecutor::new()).build(connector),
            base: base.to_owned(),
            token,
        })
    }

    async fn get(&self, path: &str, request_id: Option<&str>) -> Result<Answer, String> {
        let mut request = Request::get(format!("{}{path}", self.base));
        if let Some(id) = request_id {
            request = request.header(REQUEST_ID, id);
        }
        if let Some(token) = &self.token {
            request = request.header(AUTHORIZATION, token);
        }
        let request = request.body(Empty::new()).map_err(|error| error.to_string())?;
        let exchange = async {
            let response = self.client.request(request).await.map_err(|error| causes(&error))?;
            let now = now_ms();
            let (head, body) = response.into_parts();
            let body =
                Limited::new(body, MAX_BODY).collect().await.map_err(|error| causes(error.as_ref()))?;
            let text = |name: &str| head.headers.get(name).and_then(|value| value.to_str().ok());
            let x_cache = text("x-cache").unwrap_or("nowhere");
            let date = text(DATE.as_str()).and_then(|date| chrono::DateTime::parse_from_rfc2822(date).ok());
            Ok(Answer {
                status: head.status,
                rung: x_cache.split(';').next().unwrap_or_default().trim().to_owned(),
                stale: x_cache.contains("stale"),
                // It tells whole seconds: on average half of one has passed.
                clock: date.map(|date| Clock {
                    of: "gateway",
                    theirs: date.timestamp_millis() + 500,
                    ours: now,
                }),
                body: body.to_bytes(),
            })
        };
        tokio::time::timeout(LIMIT, exchange)
            .await
            .unwrap_or_else(|_| Err(format!("no answer within {} s", LIMIT.as_secs())))
    }
}

/// An error with those behind it.
fn causes(error: &(dyn std::error::Error + 'static)) -> String {
    if let Some((what, _)) = tls::explain("https", error) {
        return what;
    }
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
