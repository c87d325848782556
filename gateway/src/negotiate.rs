//! Which representation a client wants.

use http::HeaderMap;
use http::header::{ACCEPT, ACCEPT_ENCODING};
use shared::answers::response::JSON;

/// A representation of a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Format {
    Json,
    MessagePack,
    Csv,
}

impl Format {
    pub(crate) const fn content_type(self) -> &'static str {
        match self {
            Self::Json => JSON,
            Self::MessagePack => "application/msgpack",
            Self::Csv => "text/csv; charset=utf-8",
        }
    }

    const fn media_type(self) -> (&'static str, &'static str) {
        match self {
            Self::Json => ("application", "json"),
            Self::MessagePack => ("application", "msgpack"),
            Self::Csv => ("text", "csv"),
        }
    }
}

/// Quality of an element of a list header, in thousandths; malformed ones count as 0.
fn quality(parameters: &str) -> u32 {
    let value = parameters
        .split(';')
        .map(str::trim)
        .find_map(|parameter| parameter.strip_prefix("q=").or_else(|| parameter.strip_prefix("Q=")));
    let Some(value) = value else { return 1000 };
    match value.parse::<f32>() {
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and 1000")]
        Ok(q) if (0.0..=1.0).contains(&q) => (q * 1000.0).round() as u32,
        _ => 0,
    }
}

/// How specific a media range is for a format: 3 exact, 2 its type, 1 anything.
fn specificity(range: &str, format: Format) -> Option<u32> {
    let (kind, subtype) = range.trim().split_once('/')?;
    let (own_kind, own_subtype) = format.media_type();
    if kind.eq_ignore_ascii_case(own_kind) && subtype.eq_ignore_ascii_case(own_subtype) {
        Some(3)
    } else if kind.eq_ignore_ascii_case(own_kind) && subtype == "*" {
        Some(2)
    } else if (kind, subtype) == ("*", "*") {
        Some(1)
    } else {
        None
    }
}

/// The offered format that `Accept` likes best; ties go to the first offered. `None`: 406.
pub(crate) fn format(headers: &HeaderMap, offered: &[Format]) -> Option<Format> {
    let values: Vec<&str> = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok()).collect();
    if values.iter().all(|value| value.trim().is_empty()) {
        return offered.first().copied();
    }
    let wanted = |format: Format| {
        let matches = values.iter().flat_map(|value| value.split(',')).filter_map(|element| {
            let (range, parameters) = element.split_once(';').unwrap_or((element, ""));
            specificity(range, format).map(|specific| (specific, quality(parameters)))
        });
        matches.max().map_or(0, |(_, quality)| quality)
    };
    let best = offered.iter().copied().map(wanted).max().filter(|best| *best > 0)?;
    offered.iter().copied().find(|format| wanted(*format) == best)
}

/// Whether the client takes gzip.
pub(crate) fn takes_gzip(headers: &HeaderMap) -> bool {
    let values = headers.get_all(ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
    let mut any = None;
    for element in values.flat_map(|value| value.split(',')) {
        let (coding, parameters) = element.split_once(';').unwrap_or((element, ""));
        match coding.trim() {
            coding if coding.eq_ignore_ascii_case("gzip") || coding.eq_ignore_ascii_case("x-gzip") => {
                return quality(parameters) > 0;
            }
            "*" => any = Some(quality(parameters) > 0),
            _ => {}
        }
    }
    any.unwrap_or(false)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    const ALL: [Format; 3] = [Format::Json, Format::MessagePack, Format::Csv];

    fn headers(name: http::HeaderName, value: &str) -> HeaderMap {
        HeaderMap::from_iter([(name, value.parse().unwrap())])
    }

    #[test]
    fn chooses_a_format() {
        let choose = |value: &str| format(&headers(ACCEPT, value), &ALL);
        assert_eq!(format(&HeaderMap::new(), &ALL), Some(Format::Json));
        assert_eq!(choose("*/*"), Some(Format::Json));
        assert_eq!(choose("text/html, */*;q=0.8"), Some(Format::Json));
        assert_eq!(choose("application/msgpack"), Some(Format::MessagePack));
        assert_eq!(choose("text/csv, application/json;q=0.5"), Some(Format::Csv));
        assert_eq!(choose("application/*;q=0.2, application/json;q=0"), Some(Format::MessagePack));
        assert_eq!(choose("image/png"), None);
        assert_eq!(choose("garbage"), None);
    }

    #[test]
    fn gzip_only_when_wanted() {
        let takes = |value: &str| takes_gzip(&headers(ACCEPT_ENCODING, value));
        assert!(takes("gzip, deflate, br"));
        assert!(takes("br;q=1.0, *;q=0.1"));
        assert!(!takes("gzip;q=0, *"));
        assert!(!takes("identity"));
        assert!(!takes_gzip(&HeaderMap::new()));
    }
}
