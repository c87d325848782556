//! The ways in which a question can be asked. All must come to the same answer.

use std::fmt;

use clap::ValueEnum;
use serde::Serialize;

/// Version of HTTP.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, ValueEnum)]
pub enum Http {
    /// HTTP/1.1.
    #[default]
    #[serde(rename = "1.1")]
    #[value(name = "1.1")]
    One,
    /// HTTP/2: over TLS by ALPN, else with prior knowledge.
    #[serde(rename = "2")]
    #[value(name = "2")]
    Two,
}

/// How a body is encoded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum Encoding {
    /// As it is.
    #[default]
    Plain,
    /// gzip.
    Gzip,
}

/// How a document is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, ValueEnum)]
pub enum Format {
    /// JSON.
    #[default]
    #[serde(rename = "json")]
    Json,
    /// MessagePack.
    #[serde(rename = "msgpack")]
    #[value(name = "msgpack")]
    MessagePack,
}

/// One way of asking.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Way {
    /// Version of HTTP.
    pub http: Http,
    /// Encoding of bodies that are worth it.
    pub encoding: Encoding,
    /// Format of documents.
    pub format: Format,
}

impl Http {
    /// Its number.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::One => "1.1",
            Self::Two => "2",
        }
    }

    pub(crate) const fn version(self) -> http::Version {
        match self {
            Self::One => http::Version::HTTP_11,
            Self::Two => http::Version::HTTP_2,
        }
    }
}

impl Encoding {
    /// Its name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Gzip => "gzip",
        }
    }

    /// As `Accept-Encoding` names it.
    pub(crate) const fn coding(self) -> &'static str {
        match self {
            Self::Plain => "identity",
            Self::Gzip => "gzip",
        }
    }
}

impl Format {
    /// Its name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::MessagePack => "msgpack",
        }
    }

    pub(crate) const fn media_type(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::MessagePack => "application/msgpack",
        }
    }
}

impl Way {
    /// Every way that is left open: of what is not given, each value.
    #[must_use]
    pub fn every(http: Option<Http>, encoding: Option<Encoding>, format: Option<Format>) -> Vec<Self> {
        let mut ways = Vec::new();
        for http in open(http) {
            for format in open(format) {
                ways.extend(open(encoding).into_iter().map(|encoding| Self { http, encoding, format }));
            }
        }
        ways
    }
}

/// The value that is given, else all.
fn open<T: ValueEnum + Copy>(given: Option<T>) -> Vec<T> {
    given.map_or_else(|| T::value_variants().to_vec(), |given| vec![given])
}

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HTTP/{} {} {}", self.http.as_str(), self.format.as_str(), self.encoding.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_given_is_open() {
        let texts = |ways: Vec<Way>| ways.iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(
            texts(Way::every(Some(Http::Two), None, None)),
            ["HTTP/2 json plain", "HTTP/2 json gzip", "HTTP/2 msgpack plain", "HTTP/2 msgpack gzip"]
        );
        let all = Way::every(None, None, None);
        assert_eq!((all.len(), all[0]), (8, Way::default()));
        let one = Way { http: Http::One, encoding: Encoding::Gzip, format: Format::MessagePack };
        assert_eq!(Way::every(Some(one.http), Some(one.encoding), Some(one.format)), [one]);
    }

    #[test]
    fn the_report_names_ways_as_the_command_line_does() {
        for way in Way::every(None, None, None) {
            let json = serde_json::json!({
                "http": way.http.as_str(), "encoding": way.encoding.as_str(), "format": way.format.as_str()
            });
            assert_eq!(serde_json::to_value(way).ok(), Some(json));
        }
    }
}
