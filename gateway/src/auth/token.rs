//! Bearer tokens: how requests bring them, and the table of those that are valid.

use std::collections::HashMap;

use http::HeaderMap;
use http::header::AUTHORIZATION;
use sha2::{Digest as _, Sha256};
use shared::config::{Role, StoreScope, TokenSettings};
use subtle::ConstantTimeEq as _;

/// Longest token that is looked at.
const MAX_TOKEN_BYTES: usize = 4 << 10;
/// Start of every token that is made here, so that scanners for leaked secrets can know one.
pub const PREFIX: &str = "hs_";
/// Random bytes of a token that is made here.
const RANDOM_BYTES: usize = 32;

/// SHA-256 of a token, as the settings hold it.
#[must_use]
pub fn hash(token: &[u8]) -> [u8; 32] {
    Sha256::digest(token).into()
}

/// A new token: nobody can guess it, so its plain hash may lie in a file.
///
/// # Errors
/// If the system gives no random bytes.
pub fn make() -> Result<String, getrandom::Error> {
    let mut random = [0; RANDOM_BYTES];
    getrandom::fill(&mut random)?;
    let digits: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(format!("{PREFIX}{digits}"))
}

/// What a request brings to show who it is from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presented<'a> {
    /// No bearer token.
    Nothing,
    /// Something that is none: several, empty, or too long.
    Malformed,
    /// A bearer token.
    Token(&'a [u8]),
}

impl<'a> Presented<'a> {
    /// From the header `Authorization`.
    #[must_use]
    pub fn of(headers: &'a HeaderMap) -> Self {
        let mut values = headers.get_all(AUTHORIZATION).iter();
        let Some(value) = values.next() else { return Self::Nothing };
        let Some((scheme, token)) = value.as_bytes().split_at_checked("bearer ".len()) else {
            return Self::Nothing;
        };
        if !scheme.eq_ignore_ascii_case(b"bearer ") {
            return Self::Nothing;
        }
        let token = token.trim_ascii();
        let fits = (1..=MAX_TOKEN_BYTES).contains(&token.len()) && values.next().is_none();
        if fits { Self::Token(token) } else { Self::Malformed }
    }
}

/// A valid token.
#[derive(Debug)]
pub struct Token {
    place: usize,
    name: String,
    id: String,
    sha256: [u8; 32],
    stores: StoreScope,
    role: Role,
}

impl Token {
    fn new(place: usize, settings: &TokenSettings) -> Self {
        let mut id = settings.sha256_text();
        // As `shared::access_log::token_id`, which starts from the token itself.
        id.truncate(shared::access_log::TOKEN_ID_DIGITS);
        Self {
            place,
            name: settings.name.clone(),
            id,
            sha256: settings.sha256,
            stores: settings.stores.clone(),
            role: settings.role,
        }
    }

    /// Its place among the tokens of the settings.
    #[must_use]
    pub fn place(&self) -> usize {
        self.place
    }

    /// Its name, for people.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its id in access logs.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Which stores it may see.
    #[must_use]
    pub fn stores(&self) -> &StoreScope {
        &self.stores
    }

    /// What it may do.
    #[must_use]
    pub fn role(&self) -> Role {
        self.role
    }
}

/// All valid tokens, found by their hashes.
#[derive(Debug, Default)]
pub(super) struct Tokens {
    tokens: Vec<Token>,
    /// Places of the tokens whose hash starts so.
    by_start: HashMap<[u8; 8], Vec<usize>>,
}

impl Tokens {
    pub(super) fn new(settings: &[TokenSettings]) -> Self {
        let tokens: Vec<Token> =
            settings.iter().enumerate().map(|(at, token)| Token::new(at, token)).collect();
        let mut by_start: HashMap<[u8; 8], Vec<usize>> = HashMap::new();
        for token in &tokens {
            by_start.entry(start(&token.sha256)).or_default().push(token.place);
        }
        Self { tokens, by_start }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.tokens.is_empty()
    }

    pub(super) fn count(&self) -> u64 {
        u64::try_from(self.tokens.len()).unwrap_or(u64::MAX)
    }

    /// The token, if it is valid. The cost is that of one hash and one look into a table, whichever token it is and however
    /// many there are; hashes that start alike are compared whole, in constant time and without stopping at one that
    /// fits. What remains to be measured is of hashes, not of tokens: nobody can make a token for a wanted hash.
    pub(super) fn find(&self, token: &[u8]) -> Option<&Token> {
        let wanted = hash(token);
        let places = self.by_start.get(&start(&wanted)).map_or(&[][..], Vec::as_slice);
        let alike = places.iter().filter_map(|place| self.tokens.get(*place));
        alike.fold(None, |found, token| if token.sha256.ct_eq(&wanted).into() { Some(token) } else { found })
    }
}

fn start(hash: &[u8; 32]) -> [u8; 8] {
    std::array::from_fn(|at| hash[at])
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn settings(name: &str, sha256: [u8; 32]) -> TokenSettings {
        TokenSettings::new(name, sha256, StoreScope::All, Role::Reader).unwrap()
    }

    #[test]
    fn tokens_are_found_by_their_whole_hash() {
        let mut like_b = hash(b"b");
        like_b[31] ^= 1;
        let tokens = [settings("a", hash(b"a")), settings("like b", like_b), settings("b", hash(b"b"))];
        let tokens = Tokens::new(&tokens);
        let name = |token: &[u8]| tokens.find(token).map(Token::name);
        assert_eq!((name(b"a"), name(b"b"), name(b"c"), name(b"")), (Some("a"), Some("b"), None, None));
        assert_eq!(tokens.find(b"a").unwrap().id(), shared::access_log::token_id(b"a"));
        assert!(Tokens::default().find(b"a").is_none());
    }

    #[test]
    fn headers_bring_one_bearer_token() {
        let of = |values: &[&str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(AUTHORIZATION, value.parse().unwrap());
            }
            match Presented::of(&headers) {
                Presented::Nothing => "nothing".to_owned(),
                Presented::Malformed => "malformed".to_owned(),
                Presented::Token(token) => String::from_utf8(token.to_vec()).unwrap(),
            }
        };
        for value in ["Bearer abc", "bearer  abc ", "BEARER abc"] {
            assert_eq!(of(&[value]), "abc", "{value}");
        }
        for value in ["", "Basic abc", "abc", "Bearer"] {
            assert_eq!(of(&[value]), "nothing", "{value}");
        }
        assert_eq!(of(&[]), "nothing");
        assert_eq!(of(&["Bearer a", "Bearer b"]), "malformed");
        assert_eq!(of(&[&format!("Bearer {}", "x".repeat(5 << 10))]), "malformed");
    }

    #[test]
    fn new_tokens_differ() {
        let (a, b) = (make().unwrap(), make().unwrap());
        assert!(a != b && a.len() == 67 && a.starts_with(PREFIX), "{a}");
    }
}
