//! From the bytes of an answer to its document, and whether they came in the way that was asked for.

use rmpv::Value as Packed;
use serde_json::{Map, Number, Value};
use shared::answers::response::GZIP_FROM;

use crate::client::Answer;
use crate::compare::Differences;
use crate::way::{Encoding, Format, Way};

/// Levels of a document; JSON is read to the same depth.
const MAX_DEPTH: usize = 128;

/// Reads the envelope of an answer. What came in another way than asked is a difference; that includes a long body
/// that is not gzip though gzip was asked for.
///
/// # Errors
/// Why there is no envelope, in words.
pub fn read(answer: &Answer, way: Way, differences: &mut Differences) -> Result<Value, String> {
    let text = |version| format!("{version:?}");
    differences.compare_text("HTTP version", Some(&text(way.http.version())), Some(&text(answer.version)));
    differences.compare_text("Content-Type", Some(way.format.media_type()), answer.media_type());
    let body = answer.plain().map_err(|error| error.to_string())?;
    let wanted = match way.encoding {
        Encoding::Gzip if body.len() >= GZIP_FROM => Some("gzip"),
        // Below that, headers weigh more than what is gained: either will do.
        Encoding::Gzip => answer.encoding.as_deref(),
        Encoding::Plain => None,
    };
    differences.compare_text("Content-Encoding", wanted, answer.encoding.as_deref());
    match way.format {
        Format::Json => {
            serde_json::from_slice(&body).map_err(|error| format!("the body is not JSON: {error}"))
        }
        Format::MessagePack => {
            unpack(&body).map_err(|error| format!("the body is not MessagePack of a document: {error}"))
        }
    }
}

/// A document that came as MessagePack, as the JSON that it stands for.
fn unpack(mut bytes: &[u8]) -> Result<Value, String> {
    let packed =
        rmpv::decode::read_value_with_max_depth(&mut bytes, MAX_DEPTH).map_err(|error| error.to_string())?;
    if !bytes.is_empty() {
        return Err(format!("{} bytes follow it", bytes.len()));
    }
    to_json(packed)
}

/// Documents have null, booleans, integers, floats of 64 bits, text, lists and maps with text as keys. Anything else
/// is refused rather than translated: it would hide what a client has to deal with.
fn to_json(packed: Packed) -> Result<Value, String> {
    match packed {
        Packed::Nil => Ok(Value::Null),
        Packed::Boolean(value) => Ok(value.into()),
        Packed::Integer(value) => value
            .as_i64()
            .map(Value::from)
            .or_else(|| value.as_u64().map(Value::from))
            .ok_or_else(|| format!("the integer {value} has no 64 bits")),
        // Its shortest text, which is the decimal that was meant.
        Packed::F64(value) => {
            Number::from_f64(value).map(Value::Number).ok_or_else(|| format!("{value} is no amount"))
        }
        Packed::F32(value) => Err(format!("{value} is a float of 32 bits, too few for an amount")),
        Packed::String(text) => match text.into_str() {
            Some(text) => Ok(text.into()),
            None => Err("a text is not UTF-8".to_owned()),
        },
        Packed::Array(items) => items.into_iter().map(to_json).collect::<Result<_, _>>().map(Value::Array),
        Packed::Map(entries) => {
            let mut map = Map::with_capacity(entries.len());
            for (key, value) in entries {
                let key = match to_json(key)? {
                    Value::String(key) => key,
                    other => return Err(format!("the key {other} is no text")),
                };
                if map.contains_key(&key) {
                    return Err(format!("the key {key:?} comes twice"));
                }
                map.insert(key, to_json(value)?);
            }
            Ok(Value::Object(map))
        }
        Packed::Binary(_) | Packed::Ext(..) => Err("it holds binary data".to_owned()),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use crate::compare::Numbers;
    use crate::way::Http;
    use bytes::Bytes;
    use http::{StatusCode, Version};
    use shared::entry;

    const JSON: Way = Way { http: Http::One, encoding: Encoding::Plain, format: Format::Json };
    const GZIP: Way = Way { encoding: Encoding::Gzip, ..JSON };

    fn answer(body: &[u8], content_type: &str, gzip: bool) -> Answer {
        let body = if gzip { entry::gzip(body).unwrap() } else { body.to_vec() };
        Answer {
            status: StatusCode::OK,
            version: Version::HTTP_11,
            x_cache: None,
            content_type: Some(content_type.to_owned()),
            encoding: gzip.then(|| "gzip".to_owned()),
            body: Bytes::from(body),
            span: None,
        }
    }

    fn told(answer: &Answer, way: Way) -> Result<Vec<String>, String> {
        let mut differences = Differences::new(10, Numbers::Exact);
        read(answer, way, &mut differences)?;
        Ok(differences.kept.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn gzip_must_be_gzip_where_it_is_worth_it() {
        let long = format!("{{\"data\":\"{}\"}}", "x".repeat(GZIP_FROM - 11));
        assert_eq!(long.len(), GZIP_FROM);
        let (long, short) = (long.as_bytes(), &b"{\"data\":1}"[..]);
        let of = |body, gzip| answer(body, "application/json; charset=utf-8", gzip);
        for (body, gzip, way, expected) in [
            (long, true, GZIP, None),
            (long, false, GZIP, Some("Content-Encoding: expected gzip, got nothing")),
            (short, true, GZIP, None),
            (short, false, GZIP, None),
            (long, false, JSON, None),
            (long, true, JSON, Some("Content-Encoding: expected nothing, got gzip")),
        ] {
            let expected: Vec<String> = expected.map(str::to_owned).into_iter().collect();
            assert_eq!(told(&of(body, gzip), way), Ok(expected), "{} {gzip} {way}", body.len());
        }
        let mut cut = of(long, true);
        cut.body = cut.body.slice(..cut.body.len() - 4);
        assert!(told(&cut, GZIP).unwrap_err().contains("gzip"));
        let other = Answer { encoding: Some("br".to_owned()), ..of(long, false) };
        assert!(told(&other, GZIP).unwrap_err().contains("br"));
    }

    #[test]
    fn another_version_and_format_are_differences() {
        let came = answer(b"{}", "text/plain", false);
        assert_eq!(
            told(&came, Way { http: Http::Two, ..JSON }).unwrap(),
            [
                "HTTP version: expected HTTP/2.0, got HTTP/1.1",
                "Content-Type: expected application/json, got text/plain"
            ]
        );
    }

    #[test]
    fn message_pack_is_what_json_says() {
        let packed = [
            &[0x84, 0xa1, b'n', 0xc0, 0xa1, b'c', 0x0c, 0xa1, b'a', 0xcb][..],
            &6699.38f64.to_be_bytes(),
            &[0xa1, b'l', 0x93, 0xc3, 0xa3],
            "店".as_bytes(),
            &[0xd1, 0xff, 0x00],
        ]
        .concat();
        let json: Value =
            serde_json::from_str(r#"{"n":null,"c":12,"a":6699.38,"l":[true,"店",-256]}"#).unwrap();
        assert_eq!(unpack(&packed), Ok(json));
        let nested = [vec![0x91; MAX_DEPTH + 1], vec![0xc0]].concat();
        let infinite = [&[0xcb][..], &f64::INFINITY.to_be_bytes()].concat();
        for (bytes, reason) in [
            (&packed[..packed.len() - 1], ""),
            (&[0x01, 0x02][..], "1 bytes follow"),
            (&[0xca, 0, 0, 0, 0][..], "32 bits"),
            (&infinite[..], "inf"),
            (&[0xc4, 1, 0][..], "binary"),
            (&[0xa1, 0xff][..], "UTF-8"),
            (&[0x81, 0x01, 0x02][..], "no text"),
            (&[0x82, 0xa1, b'x', 0x01, 0xa1, b'x', 0x02][..], "twice"),
            (&nested[..], "depth"),
        ] {
            let told = unpack(bytes).unwrap_err();
            assert!(told.contains(reason), "{bytes:?}: {told}");
        }
    }
}
