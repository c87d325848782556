//! Whether answers are right, while they are asked for under load: they have the form of their kind, their data never
//! go back, and documents of one data version are the same from every gateway.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::Value;
use shared::model::Day;
use xxhash_rust::xxh3::xxh3_128;

use super::scenario::{Ask, OTHER, REFRESH};
use crate::client::Answer;
use crate::compare::{Differences, Numbers};
use crate::envelope;
use crate::way::Way;

/// Bodies, paths and documents that are remembered, each; of further ones only the form is checked.
const REMEMBERED: usize = 100_000;

/// Checks answers of all who ask.
#[derive(Debug)]
pub struct Verifier {
    way: Way,
    state: Mutex<State>,
}

/// What there is one document of: path, data version and last data day, which moves without the data of a range that was
/// named.
type Identity = (Arc<str>, Arc<str>, Option<Day>);

#[derive(Debug, Default)]
struct State {
    /// By the hash of a body as it came: what it says. Most answers come again and again; each is read once.
    bodies: HashMap<(u128, &'static str), Facts>,
    /// By gateway and path: the newest day that an answer had.
    newest: HashMap<(usize, Arc<str>), Day>,
    /// The hash of each document, and whose it was.
    documents: HashMap<Identity, (u128, usize)>,
}

/// What a body says.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Facts {
    as_of: Option<Day>,
    data_version: Arc<str>,
    /// Hash of the document before compression.
    document: u128,
}

/// What is wrong with an answer: its kind, and in full.
pub type Wrong = (&'static str, String);

/// What `data` has, by kind of question.
fn fields(kind: &str) -> &'static [&'static str] {
    match kind {
        "stores" => &["stores"],
        "overview" => &["current", "previous", "change"],
        "trend" => &["buckets"],
        "channels" => &["channels"],
        "store_table" => &["stores", "summary"],
        "products" => &["products"],
        "diagnosis" => &["as_of", "urgent", "watch", "highlights"],
        "orders" => &["lines", "next"],
        _ => &[],
    }
}

impl Verifier {
    /// Of answers to what is asked in this way.
    #[must_use]
    pub fn new(way: Way) -> Self {
        Self { way, state: Mutex::default() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Each entry is right by itself, whoever panicked between two of them.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The newest day that this gateway had in answers to the same: no answer to what is asked from now on may be older.
    #[must_use]
    pub fn newest(&self, gateway: usize, ask: &Ask) -> Option<Day> {
        self.state().newest.get(&(gateway, Arc::clone(&ask.path))).copied()
    }

    /// Checks a successful answer to what was asked when `newest` was known.
    ///
    /// # Errors
    /// What is wrong with it.
    pub async fn check(
        &self,
        gateway: usize,
        ask: &Ask,
        answer: &Answer,
        newest: Option<Day>,
    ) -> Result<(), Wrong> {
        if matches!(ask.kind, OTHER | REFRESH) {
            return Ok(());
        }
        let body = xxh3_128(&answer.body);
        let known = self.state().bodies.get(&(body, ask.kind)).cloned();
        let facts = match known {
            Some(facts) => facts,
            None => {
                let facts = self.read(ask.kind, answer).await.map_err(|told| ("wrong form", told))?;
                let mut state = self.state();
                if state.bodies.len() < REMEMBERED {
                    state.bodies.insert((body, ask.kind), facts.clone());
                }
                facts
            }
        };
        let mut state = self.state();
        if let (Some(newest), Some(as_of)) = (newest, facts.as_of)
            && as_of < newest
        {
            return Err((
                "as_of went back",
                format!("as_of is {as_of}, and was {newest} before this was asked"),
            ));
        }
        if let Some(as_of) = facts.as_of {
            let room = state.newest.len() < REMEMBERED;
            let key = (gateway, Arc::clone(&ask.path));
            match state.newest.get_mut(&key) {
                Some(newest) => *newest = as_of.max(*newest),
                None if room => drop(state.newest.insert(key, as_of)),
                None => {}
            }
        }
        let key = (Arc::clone(&ask.path), Arc::clone(&facts.data_version), facts.as_of);
        match state.documents.get(&key) {
            Some((document, _)) if *document == facts.document => Ok(()),
            Some((_, other)) => Err((
                "documents differ",
                format!(
                    "data version {} is another document than one of gateway {}",
                    facts.data_version,
                    other + 1
                ),
            )),
            None => {
                if state.documents.len() < REMEMBERED {
                    state.documents.insert(key, (facts.document, gateway));
                }
                Ok(())
            }
        }
    }

    /// What a body says. In a thread of its own: long documents would hold up those who ask.
    async fn read(&self, kind: &'static str, answer: &Answer) -> Result<Facts, String> {
        let (answer, way) = (answer.clone(), self.way);
        let reading = tokio::task::spawn_blocking(move || read(kind, &answer, way)).await;
        reading.map_err(|error| format!("the body could not be read: {error}"))?
    }
}

/// What a body says, if it has the form of its kind.
fn read(kind: &str, answer: &Answer, way: Way) -> Result<Facts, String> {
    let mut differences = Differences::new(3, Numbers::Exact);
    let envelope = envelope::read(answer, way, &mut differences)?;
    if let Some(difference) = differences.kept.first() {
        return Err(difference.to_string());
    }
    let part = |name: &str| envelope.get(name).and_then(Value::as_object);
    let data = part("data").ok_or("the body has no object `data`")?;
    if let Some(missing) = fields(kind).iter().find(|field| !data.contains_key(**field)) {
        return Err(format!("`data` has no field `{missing}`"));
    }
    let meta = part("meta").ok_or("the body has no object `meta`")?;
    let data_version = meta.get("data_version").and_then(Value::as_str);
    let as_of = match meta.get("as_of") {
        None | Some(Value::Null) => None,
        Some(day) => {
            let day = day.as_str().and_then(|day| day.parse().ok());
            Some(day.ok_or("`as_of` is no day")?)
        }
    };
    let plain = answer.plain().map_err(|error| error.to_string())?;
    let data_version = data_version.ok_or("`meta` has no text `data_version`")?.into();
    Ok(Facts { as_of, data_version, document: xxh3_128(&plain) })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use crate::way::Encoding;
    use bytes::Bytes;
    use http::{StatusCode, Version};

    fn answer(data: &str, as_of: &str, version: &str, gzip: bool) -> Answer {
        let body = format!(r#"{{"data":{data},"meta":{{"as_of":"{as_of}","data_version":"{version}"}}}}"#);
        let body = if gzip { shared::entry::gzip(body.as_bytes()).unwrap() } else { body.into_bytes() };
        Answer {
            status: StatusCode::OK,
            version: Version::HTTP_11,
            x_cache: None,
            content_type: Some("application/json".to_owned()),
            encoding: gzip.then(|| "gzip".to_owned()),
            body: Bytes::from(body),
            span: None,
        }
    }

    fn verifier() -> Verifier {
        Verifier::new(Way { encoding: Encoding::Gzip, ..Way::default() })
    }

    #[tokio::test]
    async fn data_never_go_back() {
        let (verifier, ask) = (verifier(), Ask::new("/v1/metrics/trend"));
        let of = |day: &str| answer(r#"{"buckets":[]}"#, day, day, false);
        let (first, second) = (of("2026-03-07"), of("2026-03-08"));
        let early = verifier.newest(0, &ask);
        assert_eq!(verifier.check(0, &ask, &second, early).await, Ok(()));
        // It was asked before the newer one was there, or of another gateway.
        assert_eq!(verifier.check(0, &ask, &first, early).await, Ok(()));
        assert_eq!(verifier.check(1, &ask, &first, verifier.newest(1, &ask)).await, Ok(()));
        let wrong = verifier.check(0, &ask, &first, verifier.newest(0, &ask)).await.unwrap_err();
        assert_eq!(wrong.0, "as_of went back", "{wrong:?}");
    }

    #[tokio::test]
    async fn one_data_version_is_one_document_from_every_gateway() {
        let (verifier, ask) = (verifier(), Ask::new("/v1/metrics/trend?stores=1"));
        let check = async |gateway, ask: &Ask, data, version, gzip| {
            verifier.check(gateway, ask, &answer(data, "2026-03-07", version, gzip), None).await
        };
        let data = r#"{"buckets":[1]}"#;
        assert_eq!(check(0, &ask, data, "7", false).await, Ok(()));
        assert_eq!(check(1, &ask, data, "7", true).await, Ok(()));
        assert_eq!(check(1, &ask, r#"{"buckets":[2]}"#, "8", true).await, Ok(()));
        assert_eq!(
            check(0, &Ask::new("/v1/metrics/trend?stores=2"), r#"{"buckets":[2]}"#, "7", false).await,
            Ok(())
        );
        // A new day began, which the range does not have: same data, and another last day beside them.
        let next_day = answer(data, "2026-03-08", "7", false);
        assert_eq!(verifier.check(0, &ask, &next_day, None).await, Ok(()));
        let (kind, told) = check(1, &ask, r#"{"buckets":[2]}"#, "7", false).await.unwrap_err();
        assert_eq!((kind, told.contains("gateway 1")), ("documents differ", true), "{told}");
    }

    #[tokio::test]
    async fn the_form_is_that_of_the_kind() {
        let told = async |path: &str, answer: &Answer| {
            verifier().check(0, &Ask::new(path), answer, None).await.map_err(|(_, told)| told).unwrap_err()
        };
        let trend = answer(r#"{"buckets":[]}"#, "2026-03-07", "7", false);
        assert!(told("/v1/stores", &trend).await.contains("no field `stores`"));
        assert!(told("/v1/metrics/trend", &answer("[]", "2026-03-07", "7", false)).await.contains("`data`"));
        assert!(
            told("/v1/metrics/trend", &answer(r#"{"buckets":[]}"#, "x", "7", false)).await.contains("as_of")
        );
        let html = Answer { content_type: Some("text/html".to_owned()), ..trend.clone() };
        assert!(told("/v1/metrics/trend", &html).await.contains("text/html"));
        let cut = Answer { body: trend.body.slice(..20), ..trend.clone() };
        assert!(told("/v1/metrics/trend", &cut).await.contains("not JSON"));
        // What is no question has no form.
        assert_eq!(verifier().check(0, &Ask::new("/livez"), &cut, None).await, Ok(()));
    }
}
