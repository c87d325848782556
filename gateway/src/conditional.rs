//! Conditional requests (RFC 9110, section 13): whether the client has the answer already.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::HeaderMap;
use http::header::{IF_MODIFIED_SINCE, IF_NONE_MATCH};

/// Which of `tags` the client has: one that it names, or the first if its copy is no older than `last_modified`
/// (milliseconds since 1970). Tags win: where any is named, times do not count.
pub(crate) fn known<'a>(headers: &HeaderMap, tags: &'a [String], last_modified: i64) -> Option<&'a String> {
    if !headers.contains_key(IF_NONE_MATCH) {
        return tags.first().filter(|_| is_unmodified(headers, last_modified));
    }
    let named: Vec<&str> =
        headers.get_all(IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok()).collect();
    tags.iter().find(|tag| named.iter().flat_map(|value| value.split(',')).any(|named| matches(named, tag)))
}

/// Weakly: `W/` does not count.
fn matches(named: &str, tag: &str) -> bool {
    let named = named.trim();
    named == "*" || named.strip_prefix("W/").unwrap_or(named) == tag
}

fn is_unmodified(headers: &HeaderMap, last_modified: i64) -> bool {
    let mut values = headers.get_all(IF_MODIFIED_SINCE).iter();
    // Only one date is a date; what is none, or lies in the future, counts as absent.
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

    fn is_known(headers: &[(http::HeaderName, &str)], last_modified: i64) -> Option<String> {
        let headers = headers.iter().map(|(name, value)| (name.clone(), value.parse().unwrap())).collect();
        known(&headers, &["\"gzip\"".to_owned(), "\"plain\"".to_owned()], last_modified).cloned()
    }

    #[test]
    fn tags_come_in_lists_weak_or_all() {
        let tag = |value: &str| is_known(&[(IF_NONE_MATCH, value)], 0);
        for value in ["\"plain\"", "W/\"plain\"", "\"x\" , \"plain\"", "\"x\",W/\"plain\""] {
            assert_eq!(tag(value).as_deref(), Some("\"plain\""), "{value}");
        }
        assert_eq!(tag("*").as_deref(), Some("\"gzip\""));
        for value in ["\"x\"", "plain", "\"*\"", "", "w/\"plain\"", "\"plain"] {
            assert_eq!(tag(value), None, "{value}");
        }
        let mut headers = HeaderMap::new();
        for value in ["\"x\"", "\"gzip\""] {
            headers.append(IF_NONE_MATCH, value.parse().unwrap());
        }
        assert!(known(&headers, &["\"gzip\"".to_owned()], 0).is_some());
    }

    #[test]
    fn times_count_to_the_second_and_only_without_tags() {
        const DATE: &str = "Sun, 06 Nov 1994 08:49:37 GMT";
        let at = 784_111_777_000;
        let since =
            |date: &str, last_modified| is_known(&[(IF_MODIFIED_SINCE, date)], last_modified).is_some();
        assert!(since(DATE, at) && since(DATE, at + 999) && since(DATE, at - 5000));
        assert!(!since(DATE, at + 1000));
        // The other forms of dates, and none.
        assert!(since("Sunday, 06-Nov-94 08:49:37 GMT", at) && since("Sun Nov  6 08:49:37 1994", at));
        for other in ["", "yesterday", "784111777"] {
            assert!(!since(other, at), "{other}");
        }
        let both = |tag: &str| is_known(&[(IF_NONE_MATCH, tag), (IF_MODIFIED_SINCE, DATE)], at).is_some();
        assert!(!both("\"x\"") && both("\"plain\""));
    }
}
