//! HTTP to a gateway, in one way of asking: bounded in time and size.

mod wire;

use std::borrow::Cow;
use std::io::Read as _;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, bail};
use bytes::Bytes;
use http::header::{
    ACCEPT, ACCEPT_ENCODING, AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE, HeaderName, HeaderValue,
    RETRY_AFTER,
};
use http::{Method, Request, StatusCode, Uri, Version};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::Value;
use shared::tls;

use crate::way::{Format, Http, Way};

pub use wire::Span;
use wire::{TimedConnector, Wire};

type Connector = TimedConnector<HttpsConnector<HttpConnector>>;

/// Largest answer that is read, as it comes and inflated.
const MAX_BODY: usize = 256 << 20;

/// Where a gateway is, and as whom it is asked.
#[derive(Clone, Debug)]
pub struct GatewaySettings {
    /// `http://host:port` or `https://host:port`, with a path prefix if there is one.
    pub url: String,
    /// Bearer token.
    pub token: Option<String>,
    /// Certificate of the authority that vouches for an https gateway; without it, those of the system.
    pub ca: Option<PathBuf>,
    /// Longest wait for an answer.
    pub timeout: Duration,
}

/// A gateway that is asked in one way.
#[derive(Clone, Debug)]
pub struct Gateway {
    client: Client<Connector, Full<Bytes>>,
    connector: Connector,
    base: String,
    token: Option<HeaderValue>,
    timeout: Duration,
    way: Way,
}

/// An answer, read whole.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Status code.
    pub status: StatusCode,
    /// Version of HTTP in which it came.
    pub version: Version,
    /// Where the gateway says that it found the answer.
    pub x_cache: Option<String>,
    /// Content-Type.
    pub content_type: Option<String>,
    /// Content-Encoding.
    pub encoding: Option<String>,
    /// Body as it came.
    pub body: Bytes,
    /// When it was asked for and came, as its connection saw it; none where that has several requests at a time.
    pub span: Option<Span>,
}

/// A body that cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    /// An encoding that nobody asked for.
    #[error("the body is encoded as {0:?}, for which nobody asked")]
    Encoding(String),
    /// Not gzip, cut short, or of another checksum.
    #[error("the gzip body is damaged: {0}")]
    Gzip(#[from] std::io::Error),
    /// Longer than what is read.
    #[error("the gzip body inflates to more than {MAX_BODY} bytes")]
    TooLarge,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum RequestError {
    /// No connection.
    #[error("cannot connect to {base}: {cause}; is the gateway running, and is this its address?")]
    Unreachable {
        /// The gateway's address.
        base: String,
        /// What went wrong.
        cause: String,
    },
    /// The gateway answers, but there is no TLS with it.
    #[error("no TLS with {base}: {what}; check --url, and give the authority of its certificate with --ca")]
    Tls {
        /// The gateway's address.
        base: String,
        /// What went wrong.
        what: String,
    },
    /// The path is not one that can be sent.
    #[error("the path cannot be sent: {0}; write it percent-encoded")]
    BadPath(String),
    /// The time limit passed.
    #[error("no answer within {0:?}; set a longer --timeout")]
    Timeout(Duration),
    /// The connection broke before an answer began, by HTTP/2: also how a server ends that does not speak it.
    #[error(
        "no answer by HTTP/2: {0}; if it is so at every request, HTTP/2 is not spoken at this address: \
             ask with --http 1.1"
    )]
    Http2(String),
    /// The connection broke, or the answer is too large.
    #[error("the answer broke off: {0}")]
    Broken(String),
}

impl RequestError {
    /// Its kind, of a few.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Unreachable { .. } => "no connection",
            Self::Tls { .. } => "no TLS",
            Self::BadPath(_) => "bad path",
            Self::Timeout(_) => "timeout",
            Self::Http2(_) | Self::Broken(_) => "broken off",
        }
    }

    /// Whether other requests will come no further: nothing was asked.
    #[must_use]
    pub fn is_unreachable(&self) -> bool {
        matches!(self, Self::Unreachable { .. } | Self::Tls { .. })
    }
}

/// An error with those behind it.
fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

/// The connector of a version of HTTP, over TLS for https.
fn connector(https: bool, http: Http, settings: &GatewaySettings) -> anyhow::Result<Connector> {
    if let Some(ca) = &settings.ca {
        // Named as the command line does, where it cannot be used.
        tls::authorities("--ca", ca)?;
    }
    let connector = tls::connector(https, settings.ca.as_deref(), http == Http::Two, settings.timeout)
        .context("give the gateway's authority with --ca FILE")?;
    Ok(TimedConnector::new(connector, http == Http::One))
}

fn client(connector: &Connector, way: Way) -> Client<Connector, Full<Bytes>> {
    Client::builder(TokioExecutor::new()).http2_only(way.http == Http::Two).build(connector.clone())
}

/// A bearer token as a header.
fn bearer(token: &str) -> anyhow::Result<HeaderValue> {
    let mut value = HeaderValue::from_str(&format!("Bearer {token}"))
        .context("the token has characters that no header can carry; write only the token, in one line")?;
    value.set_sensitive(true);
    Ok(value)
}

impl Gateway {
    /// A gateway that will be asked in one way.
    ///
    /// # Errors
    /// When the address, the token or the authority cannot be used.
    pub fn new(settings: &GatewaySettings, way: Way) -> anyhow::Result<Self> {
        let url = &settings.url;
        let uri: Uri = url.parse().with_context(|| {
            format!("{url:?} is not an address; write http://HOST:PORT or https://HOST:PORT")
        })?;
        let https = match (uri.scheme_str(), uri.host()) {
            (Some("http"), Some(_)) => false,
            (Some("https"), Some(_)) => true,
            _ => bail!("{url:?} is not an address; write http://HOST:PORT or https://HOST:PORT"),
        };
        if uri.query().is_some() {
            bail!("{url:?} has a query; write only the address, the requests have their own");
        }
        if !https && settings.ca.is_some() {
            bail!("--ca is for https, and {url:?} is http; write https://HOST:PORT, or leave it out");
        }
        let token = settings.token.as_deref().map(bearer).transpose()?;
        let connector = connector(https, way.http, settings)?;
        let client = client(&connector, way);
        let base = url.trim_end_matches('/').to_owned();
        Ok(Self { client, connector, base, token, timeout: settings.timeout, way })
    }

    /// The same gateway over connections of their own, as another client has them.
    #[must_use]
    pub fn another(&self) -> Self {
        Self { client: client(&self.connector, self.way), ..self.clone() }
    }

    /// The same gateway, asked for documents in another format.
    #[must_use]
    pub fn in_format(&self, format: Format) -> Self {
        Self { way: Way { format, ..self.way }, ..self.clone() }
    }

    /// Its address.
    #[must_use]
    pub fn base(&self) -> &str {
        &self.base
    }

    /// The way in which it is asked.
    #[must_use]
    pub fn way(&self) -> Way {
        self.way
    }

    /// Asks for a path with query; again if it is told that it asks too fast.
    ///
    /// # Errors
    /// When there is no whole answer; a status that is no success is an answer.
    pub async fn get(&self, path: &str) -> Result<Answer, RequestError> {
        self.in_time(self.admitted(self.request(path)?)).await
    }

    /// Asks for a path with query; that it asks too fast is an answer, too.
    ///
    /// # Errors
    /// When there is no whole answer; a status that is no success is an answer.
    pub async fn get_once(&self, path: &str) -> Result<Answer, RequestError> {
        let request = self.request(path)?;
        self.in_time(async { self.exchange(request).await.map(|(answer, _)| answer) }).await
    }

    /// Sends a body of JSON to a path.
    ///
    /// # Errors
    /// When there is no whole answer; a status that is no success is an answer.
    pub async fn post_once(&self, path: &str, body: Bytes) -> Result<Answer, RequestError> {
        let mut request = self.request(path)?;
        *request.method_mut() = Method::POST;
        request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        request.headers_mut().insert(ACCEPT, HeaderValue::from_static("application/json"));
        *request.body_mut() = Full::new(body);
        self.in_time(async { self.exchange(request).await.map(|(answer, _)| answer) }).await
    }

    fn request(&self, path: &str) -> Result<Request<Full<Bytes>>, RequestError> {
        let mut request = Request::get(format!("{}{path}", self.base))
            .header(ACCEPT, self.way.format.media_type())
            .header(ACCEPT_ENCODING, self.way.encoding.coding());
        if let Some(token) = &self.token {
            request = request.header(AUTHORIZATION, token);
        }
        request.body(Full::default()).map_err(|error| RequestError::BadPath(error.to_string()))
    }

    async fn in_time(
        &self,
        answer: impl Future<Output = Result<Answer, RequestError>>,
    ) -> Result<Answer, RequestError> {
        match tokio::time::timeout(self.timeout, answer).await {
            Ok(answer) => answer,
            Err(_) => Err(RequestError::Timeout(self.timeout)),
        }
    }

    /// The answer; who asks faster than the token's rate waits as long as the gateway says, and asks again.
    async fn admitted(&self, request: Request<Full<Bytes>>) -> Result<Answer, RequestError> {
        loop {
            let (answer, retry_after) = self.exchange(request.clone()).await?;
            let wait = retry_after.filter(|_| answer.status == StatusCode::TOO_MANY_REQUESTS);
            let Some(wait) = wait else { return Ok(answer) };
            tokio::time::sleep(wait).await;
        }
    }

    /// One answer, and after which time it says to ask again.
    async fn exchange(
        &self,
        request: Request<Full<Bytes>>,
    ) -> Result<(Answer, Option<Duration>), RequestError> {
        let response = self.client.request(request).await.map_err(|error| {
            let base = || self.base.clone();
            match tls::explain("https", &error) {
                Some((what, _)) => RequestError::Tls { base: base(), what },
                None if error.is_connect() => {
                    RequestError::Unreachable { base: base(), cause: chain(&error) }
                }
                None if self.way.http == Http::Two => RequestError::Http2(chain(&error)),
                None => RequestError::Broken(chain(&error)),
            }
        })?;
        let (head, body) = response.into_parts();
        let body = Limited::new(body, MAX_BODY).collect().await;
        let body = body.map_err(|error| RequestError::Broken(chain(error.as_ref())))?.to_bytes();
        let header = |name: HeaderName| {
            head.headers.get(name).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
        };
        // At least a second: a gateway that says none must not be asked in a circle.
        let retry_after = header(RETRY_AFTER).and_then(|seconds| seconds.parse().ok());
        let retry_after = retry_after.map(|seconds: u32| Duration::from_secs(seconds.max(1).into()));
        let answer = Answer {
            status: head.status,
            version: head.version,
            x_cache: header(HeaderName::from_static("x-cache")),
            content_type: header(CONTENT_TYPE),
            encoding: header(CONTENT_ENCODING),
            body,
            span: head.extensions.get().and_then(Wire::span),
        };
        Ok((answer, retry_after))
    }
}

impl Answer {
    /// The body, inflated if it is gzip.
    ///
    /// # Errors
    /// If it is encoded otherwise, damaged or too long.
    pub fn plain(&self) -> Result<Cow<'_, [u8]>, BodyError> {
        match self.encoding.as_deref() {
            None | Some("identity") => Ok(Cow::Borrowed(&self.body)),
            Some("gzip") => {
                let mut plain = Vec::new();
                // One byte more than allowed shows a body that is too long.
                shared::entry::gunzip(&self.body[..], MAX_BODY as u64 + 1).read_to_end(&mut plain)?;
                if plain.len() > MAX_BODY {
                    return Err(BodyError::TooLarge);
                }
                Ok(Cow::Owned(plain))
            }
            Some(other) => Err(BodyError::Encoding(other.to_owned())),
        }
    }

    /// The media type without its parameters.
    #[must_use]
    pub fn media_type(&self) -> Option<&str> {
        let whole = self.content_type.as_deref()?;
        Some(whole.split_once(';').map_or(whole, |(kind, _)| kind).trim())
    }

    /// What the body of an error says in one line: the problem's title, detail and parameters, else its beginning.
    #[must_use]
    pub fn problem(&self) -> String {
        let field =
            |value: &Value, name: &str| value.get(name).and_then(Value::as_str).map(ToOwned::to_owned);
        let body = self.plain().unwrap_or(Cow::Borrowed(&self.body));
        let Ok(problem) = serde_json::from_slice::<Value>(&body) else {
            return String::from_utf8_lossy(&body).chars().take(200).collect();
        };
        let mut parts: Vec<String> =
            ["title", "detail"].iter().filter_map(|name| field(&problem, name)).collect();
        let errors = problem.get("errors").and_then(Value::as_array);
        for error in errors.into_iter().flatten().take(5) {
            let text = |name| field(error, name).unwrap_or_default();
            parts.push(format!("{}: {}", text("parameter"), text("reason")));
        }
        parts.join("; ")
    }
}
