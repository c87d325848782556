//! Who may ask the gateway, for which stores, and how often.

use std::collections::BTreeSet;
use std::fmt;

use http::Uri;
use serde::Serialize;

use super::checker::Checker;
use super::raw::{self, Names};

/// Longest name of a token.
const MAX_NAME_BYTES: usize = 64;
/// Most tokens, and most stores of one list: bounds memory and start-up at settings that no shop has.
const MAX_TOKENS: usize = 10_000;
const MAX_LISTED: usize = 10_000;
const MAX_RATE: f64 = 1e6;
const MAX_BURST: u32 = 1_000_000;
/// What a token may ask for without a limit of its own. A page of a dashboard asks some 20 questions at once, and a token
/// may stand for the server of a dashboard with 200 users; a client that runs in a circle asks for thousands a second.
const DEFAULT_RATE: f64 = 500.0;
const DEFAULT_BURST: u32 = 1_000;

/// Settings of access.
#[derive(Clone, Debug, PartialEq)]
pub struct AccessSettings {
    /// Who may ask. Without any, everybody may ask for everything.
    pub tokens: Vec<TokenSettings>,
    /// Requests per second of a token without a rate of its own; 0 = no limit.
    pub rate: f64,
    /// Requests that a token without a burst of its own may make at once.
    pub burst: u32,
    /// Requests per second of one address that brings no valid token; 0 = no limit.
    pub address_rate: f64,
    /// Requests that such an address may make at once.
    pub address_burst: u32,
    /// Addresses whose requests are counted at the same time.
    pub addresses: usize,
    /// Web sites whose pages may ask.
    pub cors_origins: Vec<String>,
    /// Whether to listen beyond loopback without any token.
    pub insecure: bool,
}

/// One token.
#[derive(Clone, Debug, PartialEq)]
pub struct TokenSettings {
    /// For people.
    pub name: String,
    /// SHA-256 of the token.
    pub sha256: [u8; 32],
    /// Which stores it may see.
    pub stores: StoreScope,
    /// What it may do.
    pub role: Role,
    /// Requests per second; 0 = no limit.
    pub rate: f64,
    /// Requests that it may make at once.
    pub burst: u32,
}

/// Which stores a caller may see.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoreScope {
    /// All, those to come included.
    All,
    /// These.
    Listed(BTreeSet<String>),
}

/// What a caller may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Ask for documents of his stores, and have these refreshed.
    Reader,
    /// Ask for everything, have everything refreshed, and see how the service is.
    Operator,
}

impl Role {
    /// Its text in settings.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Reader => "reader",
            Self::Operator => "operator",
        }
    }
}

impl TokenSettings {
    /// Checks a token that is to be written into a settings file.
    ///
    /// # Errors
    /// All that does not fit, as for a file.
    pub fn new(
        name: &str,
        sha256: [u8; 32],
        stores: StoreScope,
        role: Role,
    ) -> Result<Self, super::SettingsError> {
        let mut checker = Checker::default();
        check_name(name, "name", &mut checker);
        check_scope(&stores, role, "stores", &mut checker);
        if checker.problems.is_empty() {
            let name = name.to_owned();
            return Ok(Self { name, sha256, stores, role, rate: DEFAULT_RATE, burst: DEFAULT_BURST });
        }
        Err(super::SettingsError { problems: checker.problems })
    }

    /// SHA-256 as it is written in settings.
    #[must_use]
    pub fn sha256_text(&self) -> String {
        hexadecimal(&self.sha256)
    }
}

impl fmt::Display for TokenSettings {
    /// As it is written in a settings file; rate and burst are left to the defaults.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = |text: &str| toml::Value::from(text).to_string();
        writeln!(f, "[[access.tokens]]\nname = {}\nsha256 = \"{}\"", text(&self.name), self.sha256_text())?;
        match &self.stores {
            StoreScope::All => writeln!(f, "stores = \"*\"")?,
            StoreScope::Listed(stores) => {
                let stores: Vec<String> = stores.iter().map(|store| text(store)).collect();
                writeln!(f, "stores = [{}]", stores.join(", "))?;
            }
        }
        writeln!(f, "role = \"{}\"", self.role.as_str())
    }
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn digest(text: &str) -> Option<[u8; 32]> {
    let mut digest = [0; 32];
    if text.len() != 64 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    for (at, byte) in digest.iter_mut().enumerate() {
        *byte = u8::from_str_radix(text.get(2 * at..2 * at + 2)?, 16).ok()?;
    }
    Some(digest)
}

fn check_name(name: &str, key: &str, checker: &mut Checker) {
    if name.is_empty() || name.len() > MAX_NAME_BYTES || name.chars().any(char::is_control) {
        let what = format!("{name:?} must have 1 to {MAX_NAME_BYTES} bytes and no control characters");
        checker.problem(key, what);
    }
}

fn check_scope(scope: &StoreScope, role: Role, key: &str, checker: &mut Checker) {
    let StoreScope::Listed(stores) = scope else { return };
    if role == Role::Operator {
        checker.problem(key, "an operator sees all stores: write \"*\", or make it a reader".to_owned());
    }
    // A star among others would be a store of that name, which nobody means.
    if stores.is_empty() || stores.len() > MAX_LISTED || stores.contains("") || stores.contains("*") {
        let what =
            format!("must name 1 to {MAX_LISTED} stores by their ids; \"*\", without a list, stands for all");
        checker.problem(key, what);
    }
}

pub(super) fn check(access: raw::Access, checker: &mut Checker) -> AccessSettings {
    let rate = |checker: &mut Checker, key: &str, value, default| {
        checker.number(key, value, default, (0.0, MAX_RATE))
    };
    let burst = |checker: &mut Checker, key: &str, value, default| {
        checker.number(key, value, default, (1, MAX_BURST))
    };
    let each = (
        rate(checker, "access.rate", access.rate, DEFAULT_RATE),
        burst(checker, "access.burst", access.burst, DEFAULT_BURST),
    );
    let tokens = check_tokens(access.tokens.unwrap_or_default(), each, checker);
    let cors_origins = access.cors_origins.unwrap_or_default();
    for origin in cors_origins.iter().filter(|origin| !is_origin(origin)) {
        let what = format!(
            "{origin:?} is no origin; write scheme, host and port as browsers send them, such as \"https://dash.example.com\""
        );
        checker.problem("access.cors_origins", what);
    }
    AccessSettings {
        tokens,
        rate: each.0,
        burst: each.1,
        address_rate: rate(checker, "access.address_rate", access.address_rate, 0.0),
        address_burst: burst(checker, "access.address_burst", access.address_burst, 100),
        addresses: checker.number("access.addresses", access.addresses, 10_000, (1, 1_000_000)),
        cors_origins,
        insecure: access.insecure.unwrap_or(false),
    }
}

fn check_tokens(raw: Vec<raw::Token>, each: (f64, u32), checker: &mut Checker) -> Vec<TokenSettings> {
    if raw.len() > MAX_TOKENS {
        let what = format!("{} tokens are more than {MAX_TOKENS}; give groups of users one", raw.len());
        checker.problem("access.tokens", what);
        return Vec::new();
    }
    let (mut names, mut hashes) = (BTreeSet::new(), BTreeSet::new());
    let mut tokens = Vec::with_capacity(raw.len());
    for (at, token) in raw.into_iter().enumerate() {
        let token = check_token(token, at, each, checker);
        if !names.insert(token.name.clone()) {
            let what = format!("{:?} is the name of another token, too; names tell them apart", token.name);
            checker.problem(&format!("access.tokens[{at}].name"), what);
        }
        if !hashes.insert(token.sha256) {
            let what = "another token has the same; make one with: gateway token new".to_owned();
            checker.problem(&format!("access.tokens[{at}].sha256"), what);
        }
        tokens.push(token);
    }
    tokens
}

fn check_token(
    token: raw::Token,
    at: usize,
    (rate, burst): (f64, u32),
    checker: &mut Checker,
) -> TokenSettings {
    let key = |name: &str| format!("access.tokens[{at}].{name}");
    let name = token.name.unwrap_or_default();
    check_name(&name, &key("name"), checker);
    let sha256 = token.sha256.as_deref().and_then(digest).unwrap_or_else(|| {
        // What stands there may be the token itself: it is not repeated.
        let what =
            "must be the SHA-256 of the token, 64 hexadecimal digits; make both with: gateway token new";
        checker.problem(&key("sha256"), what.to_owned());
        // Each unlike the others, so that none is also told as a repeat.
        let mut unlike = [0; 32];
        unlike.iter_mut().zip(at.to_be_bytes()).for_each(|(place, byte)| *place = byte);
        unlike
    });
    let roles = [("reader", Role::Reader), ("operator", Role::Operator)];
    let role = checker.choice(&key("role"), token.role, &roles, Role::Reader);
    let stores = match token.stores {
        Some(Names::One(all)) if all == "*" => StoreScope::All,
        None if role == Role::Operator => StoreScope::All,
        Some(Names::Several(stores)) => StoreScope::Listed(stores.into_iter().collect()),
        Some(Names::One(_)) | None => {
            let what = "must be a list of store ids, such as [\"1001\", \"1002\"], or \"*\" for all";
            checker.problem(&key("stores"), what.to_owned());
            StoreScope::All
        }
    };
    check_scope(&stores, role, &key("stores"), checker);
    let rate = checker.number(&key("rate"), token.rate, rate, (0.0, MAX_RATE));
    let burst = checker.number(&key("burst"), token.burst, burst, (1, MAX_BURST));
    TokenSettings { name, sha256, stores, role, rate, burst }
}

/// Whether a text is an origin as browsers send it: without a path, in small letters. Not `*`: without tokens every web
/// site could read what this machine's browser can reach.
fn is_origin(text: &str) -> bool {
    let Ok(uri) = text.parse::<Uri>() else { return false };
    let (Some(scheme @ ("http" | "https")), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
        return false;
    };
    !authority.as_str().contains('@') && text == format!("{scheme}://{authority}").to_ascii_lowercase()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic, clippy::float_cmp, reason = "tests")]
mod tests {
    use super::super::check::tests::settings;
    use super::*;

    const HASH: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

    fn places(text: &str) -> Vec<String> {
        let mut places: Vec<String> =
            settings(text).unwrap_err().problems.into_iter().map(|problem| problem.place).collect();
        places.sort_unstable();
        places
    }

    #[test]
    fn tokens_are_read() {
        let text = format!(
            "[access]\nrate = 7\nburst = 9\n[[access.tokens]]\nname = \"a\"\nsha256 = \"{HASH}\"\nstores = [\"2\", \"1\", \"2\"]\n\
             [[access.tokens]]\nname = \"b\"\nsha256 = \"{}\"\nrole = \"operator\"\nrate = 0\nburst = 1\n",
            HASH.replace('b', "C")
        );
        let access = settings(&text).unwrap().access;
        let [a, b] = &access.tokens[..] else { panic!("{access:?}") };
        assert_eq!(a.stores, StoreScope::Listed(["1".to_owned(), "2".to_owned()].into()));
        assert_eq!((a.role, a.rate, a.burst), (Role::Reader, 7.0, 9));
        assert_eq!((&b.stores, b.role, b.rate, b.burst), (&StoreScope::All, Role::Operator, 0.0, 1));
        assert_eq!((a.sha256[0], b.sha256[0], a.sha256_text().as_str()), (0xba, 0xca, HASH));
        assert!(settings("").unwrap().access.tokens.is_empty());
    }

    #[test]
    fn every_fault_is_told() {
        let text = format!(
            "[access]\nrate = -1\nburst = 0\naddress_rate = nan\naddress_burst = 0\naddresses = 0\n\
             cors_origins = [\"*\", \"https://a.b\"]\n[[access.tokens]]\nname = \"\"\nsha256 = \"secret\"\nstores = \"1001\"\n\
             [[access.tokens]]\nname = \"b\"\nsha256 = \"{HASH}\"\nrole = \"operator\"\nstores = [\"1\"]\nrate = 2e6\nburst = 0\n\
             [[access.tokens]]\nname = \"b\"\nsha256 = \"{HASH}\"\nrole = \"admin\"\nstores = []\n[[access.tokens]]\n"
        );
        let of_tokens = [
            "[0].name",
            "[0].sha256",
            "[0].stores",
            "[1].burst",
            "[1].rate",
            "[1].stores",
            "[2].name",
            "[2].role",
            "[2].sha256",
            "[2].stores",
            "[3].name",
            "[3].sha256",
            "[3].stores",
        ];
        // The fourth has no name, as the first.
        let mut expected: Vec<String> =
            of_tokens.iter().chain(&["[3].name"]).map(|key| format!("access.tokens{key}")).collect();
        let others = ["address_burst", "address_rate", "addresses", "burst", "cors_origins", "rate"];
        expected.extend(others.map(|key| format!("access.{key}")));
        expected.sort_unstable();
        assert_eq!(places(&text), expected);
        assert!(!settings(&text).unwrap_err().to_string().contains("secret"));
    }

    #[test]
    fn origins_are_as_browsers_send_them() {
        for origin in ["https://dash.example.com", "http://localhost:3000", "http://[::1]:3000"] {
            assert!(is_origin(origin), "{origin}");
        }
        for other in [
            "*",
            "null",
            "",
            "dash.example.com",
            "https://a/",
            "https://A",
            "https://u@a",
            "ftp://a",
            "https://",
        ] {
            assert!(!is_origin(other), "{other}");
        }
    }

    #[test]
    fn a_token_is_written_as_it_is_read() {
        let stores = StoreScope::Listed(["门店:1".to_owned(), "a\"b".to_owned()].into());
        let token = TokenSettings::new("the \"board\"", digest(HASH).unwrap(), stores, Role::Reader).unwrap();
        assert_eq!(settings(&token.to_string()).unwrap().access.tokens, [token]);
        let all = TokenSettings::new("all", digest(HASH).unwrap(), StoreScope::All, Role::Operator).unwrap();
        assert_eq!(settings(&all.to_string()).unwrap().access.tokens, [all]);
        let star = StoreScope::Listed(["*".to_owned()].into());
        assert!(TokenSettings::new("x", [0; 32], star, Role::Reader).is_err());
        assert!(TokenSettings::new("", [0; 32], StoreScope::Listed([].into()), Role::Operator).is_err());
    }
}
