//! Who asks, what he may see, and how often: decided from the request's head alone, before anything is looked up.
//!
//! - [`token`]: bearer tokens and their table; `caller`: what somebody may see.
//! - [`rate`]: limits of requests per token and address.

mod caller;
pub mod rate;
pub mod token;

use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use http::{HeaderMap, HeaderValue, Method, Request};
use shared::access_log::token_id;
use shared::config::AccessSettings;

pub use caller::Caller;
use caller::Views;
use rate::Limiter;
use token::{Presented, Token, Tokens};

use crate::page;
use crate::problem::Problem;

/// Paths that everybody may ask, as often as he likes, and that are not logged: what watches the service has no token, the
/// description says how to bring one, and the page asks for it.
#[must_use]
pub fn is_free(path: &str) -> bool {
    matches!(path, "/livez" | "/readyz" | "/openapi.json") || page::is_at(path)
}

/// Who may ask, for what, and how often. Cheap to clone. The default is open to everybody.
#[derive(Clone, Debug, Default)]
pub struct Access {
    inner: Arc<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    tokens: Tokens,
    limiter: Limiter,
    views: Views,
    origins: Vec<HeaderValue>,
    /// Whether clients come by TLS only.
    tls: bool,
    counts: Arc<Counters>,
    /// Numbers of scopes that tokens of before had; theirs are never given again.
    past_scopes: u64,
}

#[derive(Debug, Default)]
struct Counters {
    unauthorized: AtomicU64,
    forbidden: AtomicU64,
    limited: AtomicU64,
}

/// Requests that were refused.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Refused {
    /// 401: no valid token.
    pub unauthorized: u64,
    /// 403: another's store.
    pub forbidden: u64,
    /// 429: over the limit of requests.
    pub limited: u64,
}

/// Who somebody says to be, by his token.
#[derive(Debug)]
pub struct Identity<'a> {
    presented: Presented<'a>,
    token: Option<&'a Token>,
    id: Option<Cow<'a, str>>,
}

impl Identity<'_> {
    /// The id of the token that was brought, valid or not, as the access log has it.
    #[must_use]
    pub fn id(&self) -> Option<&str> {
        self.id.as_deref()
    }
}

impl Access {
    /// As the settings say; `tls` if clients come by TLS only, so that browsers may be told so.
    #[must_use]
    pub fn new(settings: &AccessSettings, tls: bool) -> Self {
        Self::with(settings, tls, Arc::default(), 0)
    }

    /// The one that comes after it: what was refused is counted on, and nobody has a scope that somebody had before, since
    /// what is kept by a scope would be another's. Limits of requests begin anew.
    #[must_use]
    pub fn replaced(&self, settings: &AccessSettings) -> Self {
        let Inner { tokens, tls, counts, past_scopes, .. } = &*self.inner;
        Self::with(settings, *tls, Arc::clone(counts), past_scopes.saturating_add(tokens.count()))
    }

    fn with(settings: &AccessSettings, tls: bool, counts: Arc<Counters>, past_scopes: u64) -> Self {
        let origins = settings.cors_origins.iter().filter_map(|origin| HeaderValue::from_str(origin).ok());
        let inner = Inner {
            tokens: Tokens::new(&settings.tokens),
            limiter: Limiter::new(settings),
            views: Views::default(),
            origins: origins.collect(),
            tls,
            counts,
            past_scopes,
        };
        Self { inner: Arc::new(inner) }
    }

    /// Whether there are tokens; without any everybody may ask for everything.
    #[must_use]
    pub fn has_tokens(&self) -> bool {
        !self.inner.tokens.is_empty()
    }

    /// Requests refused since the start.
    #[must_use]
    pub fn refused(&self) -> Refused {
        let count = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let Counters { unauthorized, forbidden, limited } = &*self.inner.counts;
        Refused { unauthorized: count(unauthorized), forbidden: count(forbidden), limited: count(limited) }
    }

    /// Who these headers say asks. The one place where a token is hashed.
    #[must_use]
    pub fn identify<'a>(&'a self, headers: &'a HeaderMap) -> Identity<'a> {
        let presented = Presented::of(headers);
        let Presented::Token(text) = presented else { return Identity { presented, token: None, id: None } };
        let token = self.inner.tokens.find(text);
        let id = token.map_or_else(|| Cow::Owned(token_id(text)), |token| Cow::Borrowed(token.id()));
        Identity { presented, token, id: Some(id) }
    }

    /// Who asks; `None` for what everybody may ask: health, the description, and OPTIONS, which browsers send without a
    /// token. `address` is that of the peer; without one (a Unix socket) all peers count as one.
    ///
    /// # Errors
    /// 401 if there are tokens and none of them was brought; 429 if too much is asked.
    pub fn admit<'a, B>(
        &'a self,
        request: &Request<B>,
        identity: &Identity<'a>,
        address: Option<IpAddr>,
    ) -> Result<Option<Caller<'a>>, Problem> {
        if is_free(request.uri().path()) || *request.method() == Method::OPTIONS {
            return Ok(None);
        }
        let inner = &*self.inner;
        let (token, refusal) = match (inner.tokens.is_empty(), identity.presented, identity.token) {
            (true, ..) => (None, None),
            (false, _, Some(token)) => (Some(token), None),
            (false, Presented::Nothing, None) => (None, Some(Problem::no_token())),
            (false, ..) => (None, Some(Problem::unknown_token())),
        };
        let limit = match token {
            Some(token) => inner.limiter.token(token.place()),
            None => inner.limiter.address(address),
        };
        if let Err(wait) = limit {
            inner.counts.limited.fetch_add(1, Ordering::Relaxed);
            return Err(Problem::too_often(rate::seconds(wait)));
        }
        if let Some(refusal) = refusal {
            inner.counts.unauthorized.fetch_add(1, Ordering::Relaxed);
            return Err(refusal);
        }
        Ok(Some(Caller::new(self, token)))
    }

    /// The origin, if pages of it may ask.
    pub(crate) fn allowed_origin<'a>(&self, origin: Option<&'a HeaderValue>) -> Option<&'a HeaderValue> {
        origin.filter(|origin| self.inner.origins.contains(origin))
    }

    /// Whether pages of any origin may ask.
    pub(crate) fn has_origins(&self) -> bool {
        !self.inner.origins.is_empty()
    }

    /// Whether clients come by TLS only.
    pub(crate) fn is_tls(&self) -> bool {
        self.inner.tls
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use http::header::AUTHORIZATION;
    use shared::config::{Role, StoreScope, TokenSettings};

    #[test]
    fn callers_who_see_the_same_have_one_scope() {
        let list = |store: &str| StoreScope::Listed([store.to_owned()].into());
        let token = |name: &str, stores, role| {
            TokenSettings::new(name, token::hash(name.as_bytes()), stores, role).unwrap()
        };
        let mut settings = shared::config::Settings::load(&[], &|_| None).unwrap().access;
        settings.tokens = vec![
            token("a", list("1"), Role::Reader),
            token("b", list("2"), Role::Reader),
            token("all", StoreScope::All, Role::Reader),
            token("operator", StoreScope::All, Role::Operator),
        ];
        let access = Access::new(&settings, false);
        let request = |token: &str| {
            Request::get("/v1/stores").header(AUTHORIZATION, format!("Bearer {token}")).body(()).unwrap()
        };
        let of = |token: &str| {
            let request = request(token);
            let identity = access.identify(request.headers());
            let caller = access.admit(&request, &identity, None).unwrap().unwrap();
            (caller.scope(), caller.is_operator(), caller.list().is_some())
        };
        assert_eq!(["a", "b"].map(of), [(1, false, true), (2, false, true)]);
        assert_eq!(["all", "operator"].map(of), [(0, false, false), (0, true, false)]);
        // Nobody gets a scope that was another's.
        settings.tokens.truncate(2);
        settings.tokens.swap(0, 1);
        let next = access.replaced(&settings);
        let later = |access: &Access, token: &str| {
            let request = request(token);
            let identity = access.identify(request.headers());
            access.admit(&request, &identity, None).unwrap().unwrap().scope()
        };
        let unknown = request("c");
        let refused = access.admit(&unknown, &access.identify(unknown.headers()), None);
        assert_eq!(refused.unwrap_err().status, 401);
        assert_eq!((later(&next, "b"), later(&next, "a")), (5, 6));
        assert_eq!(
            (later(&next.replaced(&settings), "b"), access.refused(), next.refused().unauthorized),
            (7, next.refused(), 1)
        );
        let (open, request) = (Access::default(), request("c"));
        let unknown = access.identify(request.headers());
        assert_eq!(access.admit(&request, &unknown, None).unwrap_err().status, 401);
        assert_eq!(unknown.id(), Some(token_id(b"c").as_str()));
        let anybody = open.admit(&request, &open.identify(request.headers()), None).unwrap().unwrap();
        assert_eq!((anybody.scope(), anybody.is_operator()), (0, true));
    }
}
