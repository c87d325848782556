//! What comes over a connection that speaks HTTP/1: what the gateway's look at heads lets pass, as hyper reads it,
//! against a reader that takes only what no two servers read differently.

mod served;
mod strict;

use gateway::server::heads::{Heads, Seen};
use xxhash_rust::xxh3::xxh3_64;

/// Takes what a client sends. What passes is the same however it is cut into reads, and hyper reads the same requests
/// from it; each of them is one for the strict reader, too, with the same head and body; behind a body there is none.
pub fn check(data: &[u8]) {
    let sizes = sizes(data);
    let whole = passed(data, &[data.len().max(1)]);
    for sizes in [&[1][..], &sizes] {
        assert_eq!(passed(data, sizes), whole, "in pieces of {sizes:?}");
    }
    let (bytes, seen) = whole;
    if seen.contains(&Seen::Http2) {
        assert_eq!(bytes, data, "frames are changed");
        return;
    }
    let changed = bytes.iter().zip(data).filter(|(passed, sent)| passed != sent).count();
    assert_eq!(changed, usize::from(seen.contains(&Seen::Refused)));
    let requests = served::requests(&bytes, &[bytes.len().max(1)]);
    assert_eq!(served::requests(&bytes, &sizes), requests, "in pieces of {sizes:?}");
    let mut strict = strict::Reader::new(data);
    for (at, request) in requests.iter().enumerate() {
        match strict.next() {
            Ok(expected) => same(request, expected),
            Err(why) => panic!("{request:?} is a request for hyper, but {why}"),
        }
        assert!(!request.has_body || at + 1 == requests.len(), "a request is read behind a body");
    }
}

/// The same head, and the same body unless hyper refuses the rest of it.
fn same(request: &Request, mut expected: Request) {
    if request.body.is_none() {
        expected.body = None;
    }
    assert_eq!(request, &expected);
}

/// A request, as far as two servers must agree on it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Request {
    method: String,
    /// Path and query, without a fragment; empty where a host is named.
    target: String,
    /// Names in small letters, values without blanks around; in the order of names. Without the length.
    headers: Vec<(String, Vec<u8>)>,
    /// Whether its head announces a body, an empty one included.
    has_body: bool,
    /// `None` if it breaks off.
    body: Option<Vec<u8>>,
}

/// The length may be stated several times; that it is understood shows in the body.
fn without_length(mut headers: Vec<(String, Vec<u8>)>) -> Vec<(String, Vec<u8>)> {
    headers.retain(|(name, _)| name != "content-length");
    headers
}

/// What passes the look at heads, and what it sees, when bytes come in pieces of these sizes, over and over.
fn passed(data: &[u8], sizes: &[usize]) -> (Vec<u8>, Vec<Seen>) {
    let (mut heads, mut seen) = (Heads::new(), Vec::new());
    let mut bytes = data.to_vec();
    let (mut rest, mut sizes) = (bytes.as_mut_slice(), sizes.iter().cycle());
    while !rest.is_empty() {
        let size = sizes.next().map_or(rest.len(), |size| rest.len().min(*size));
        let (piece, behind) = rest.split_at_mut(size);
        match heads.look(piece) {
            Seen::Nothing => {}
            news => seen.push(news),
        }
        rest = behind;
    }
    (bytes, seen)
}

/// Sizes of pieces that depend on the bytes alone, so that an input needs no room for them.
fn sizes(data: &[u8]) -> Vec<usize> {
    let hash = xxh3_64(data).to_le_bytes();
    hash.iter().map(|byte| usize::from(byte >> (byte & 7)) + 1).collect()
}
