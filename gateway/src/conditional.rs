//! Conditional requests (RFC 9110, section 13): whether the client has the answer already.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::header::{IF_MODIFIED_SINCE, IF_NONE_MATCH};
use http::{HeaderMap, HeaderValue};

/// Which of `tags` the client names: it has that representation. Compared weakly: `W/` does not count.
pub(crate) fn named<'a>(headers: &HeaderMap, tags: &'a [HeaderValue]) -> Option<&'a HeaderValue> {
    if !headers.contains_key(IF_NONE_MATCH) {
        return None;
    }
    let named: Vec<&str> = named_tags(headers).collect();
    tags.iter().find(|tag| named.iter().any(|named| named.strip_prefix("W/").unwrap_or(named) == *tag))
}

/// Whether the client has the representation that it would get, without naming its tag: it says that it has any (`*`), or
/// its copy is no older than `last_modified` (milliseconds since 1970). Tags win: where any is named, times do not count.
pub(crate) fn is_current(headers: &HeaderMap, last_modified: i64) -> bool {
    if headers.contains_key(IF_NONE_MATCH) {
        return named_tags(headers).any(|named| named == "*");
    }
    is_unmodified(headers, last_modified)
}

fn named_tags(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    let values = headers.get_all(IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).map(str::trim)
}

fn is_unmodified(headers: &HeaderMap, last_modified: i64) -> bool {
    let mut values = headers.get_all(IF_MODIFIED_SINCE).iter();
    // Only one date is a date; what is none counts as absent.
    let (Some(value), None) = (values.next(), values.next()) else { return false };
    let since = value.to_str().ok().and_then(|text| httpdate::parse_http_date(text).ok());
    since.is_some_and(|since| whole_seconds(last_modified) <= since)
}

/// A time as `Last-Modified` says it: its fraction is cut off.
pub(crate) fn whole_seconds(milliseconds: i64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(u64::try_from(milliseconds / 1000).unwrap_or(0))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    const TAGS: [&str; 2] = ["\"gzip\"", "\"plain\""];

    fn headers(pairs: &[(http::HeaderName, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(name, value.parse().unwrap());
        }
        headers
    }

    #[test]
    fn tags_come_in_lists_weak_or_all() {
        let tags = TAGS.map(HeaderValue::from_static);
        let tag = |values: &[&str]| {
            let headers = headers(&values.iter().map(|value| (IF_NONE_MATCH, *value)).collect::<Vec<_>>());
            (named(&headers, &tags).map(|tag| tag.to_str().unwrap().to_owned()), is_current(&headers, 0))
        };
        for value in ["\"plain\"", "W/\"plain\"", "\"x\" , \"plain\"", "\"x\",W/\"plain\""] {
            assert_eq!(tag(&[value]), (Some("\"plain\"".to_owned()), false), "{value}");
        }
        assert_eq!(tag(&["\"x\"", "\"gzip\""]).0.as_deref(), Some("\"gzip\""));
        for value in ["\"x\"", "plain", "\"*\"", "", "w/\"plain\"", "\"plain"] {
            assert_eq!(tag(&[value]), (None, false), "{value}");
        }
        assert_eq!(tag(&["*"]), (None, true));
        assert_eq!(tag(&[]), (None, false));
    }

    #[test]
    fn times_count_to_the_second_and_only_without_tags() {
        const DATE: &str = "Sun, 06 Nov 1994 08:49:37 GMT";
        let at = 784_111_777_000;
        let since = |date: &str, modified| is_current(&headers(&[(IF_MODIFIED_SINCE, date)]), modified);
        assert!(since(DATE, at) && since(DATE, at + 999) && since(DATE, at - 5000));
        assert!(!since(DATE, at + 1000));
        // The other forms of dates, and none.
        assert!(since("Sunday, 06-Nov-94 08:49:37 GMT", at) && since("Sun Nov  6 08:49:37 1994", at));
        for other in ["", "yesterday", "784111777"] {
            assert!(!since(other, at), "{other}");
        }
        let twice = headers(&[(IF_MODIFIED_SINCE, DATE), (IF_MODIFIED_SINCE, DATE)]);
        assert!(!is_current(&twice, at));
        let with_tag = |tag| is_current(&headers(&[(IF_NONE_MATCH, tag), (IF_MODIFIED_SINCE, DATE)]), at);
        assert!(!with_tag("\"x\"") && with_tag("*"));
    }
}
