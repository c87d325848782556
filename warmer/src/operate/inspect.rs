//! `warmer inspect`: what lies at a key, decoded.

mod view;

use shared::cache::levels::Paused;
use shared::cache::{KeyFacts, KeyType, Levels, Read};
use shared::entry::Damage;
use shared::keys::{Place, Slot};
use shared::model::Query;

use super::{Desk, OperateError, OperatorRequest, Writer, stores};
pub use view::Shown;

/// Near keys that are named for one that is not there.
const NEAR: usize = 5;
/// Keys among which near ones are looked for.
const LOOKED_AT: usize = 20_000;
/// Requests that are shown.
const REQUESTS: usize = 100;

/// Why a key cannot be shown.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// It is not under the prefix.
    #[error(
        "{key:?} does not begin with {prefix:?}, the prefix of these settings (redis.prefix); give a key that does{}",
        near_by(near)
    )]
    Foreign {
        /// The key.
        key: String,
        /// The prefix.
        prefix: String,
        /// Keys that may be meant.
        near: Vec<String>,
    },
    /// It is not there.
    #[error("there is no key {key:?}{}", near_by(near))]
    Absent {
        /// The key.
        key: String,
        /// Keys of the same store or kind.
        near: Vec<String>,
    },
    /// The hash has no such field.
    #[error("{key:?} has no field {field:?}{}", near_by(near))]
    NoField {
        /// The key.
        key: String,
        /// The field.
        field: String,
        /// Fields that may be meant.
        near: Vec<String>,
    },
    /// `--field` of what has none.
    #[error("{key:?} has no fields; leave out --field")]
    NoFields {
        /// The key.
        key: String,
    },
}

fn near_by(near: &[String]) -> String {
    if near.is_empty() { String::new() } else { format!("; near it: {}", near.join(", ")) }
}

/// A key that was looked at.
#[derive(Clone, Debug)]
pub struct Inspection {
    /// The key.
    pub key: String,
    /// The field, if one was asked for.
    pub field: Option<String>,
    /// What lies there; `None` for a key that no version of Hotshelf made.
    pub place: Option<Place>,
    /// What Redis says of it.
    pub facts: KeyFacts,
    /// What it holds.
    pub holds: Holds,
}

/// What a key holds.
#[derive(Clone, Debug)]
pub enum Holds {
    /// One entry.
    Entry(Box<Found>),
    /// Entries by field.
    Fields(Vec<(String, Found)>),
    /// How often something changed.
    Counter(String),
    /// When data were confirmed, milliseconds since 1970.
    Confirmed(i64),
    /// Who may write.
    Owner(Option<Writer>, String),
    /// Whether warming is paused.
    Paused(Paused),
    /// The first requests that wait, and how many do.
    Requests(Vec<Result<OperatorRequest, String>>, u64),
    /// JSON of a warmer.
    Status(serde_json::Value),
    /// Bytes that are nothing of ours.
    Unknown(Vec<u8>),
}

/// An entry that was found.
#[derive(Clone, Debug)]
pub struct Found {
    /// Bytes as stored.
    pub stored: u64,
    /// What it is, or why that cannot be said.
    pub entry: Result<shared::cache::levels::Inspected, Damage>,
    /// When the data of all its stores were last confirmed, milliseconds since 1970.
    pub confirmed: Option<i64>,
}

/// Looks at a key.
///
/// # Errors
/// If it is not there (near ones are named), or Redis does not answer.
pub async fn inspect(desk: &Desk, key: &str, field: Option<&str>) -> Result<Inspection, OperateError> {
    let keys = desk.levels.keys();
    if !key.starts_with(keys.prefix()) {
        return Err(foreign(desk, key).await?.into());
    }
    let Some(facts) = desk.redis.key_facts(key).await? else {
        let near = near_keys(desk, key).await?;
        return Err(KeyError::Absent { key: key.to_owned(), near }.into());
    };
    let place = keys.place(key);
    if field.is_some() && facts.key_type != KeyType::Hash {
        return Err(KeyError::NoFields { key: key.to_owned() }.into());
    }
    let holds = match (&place, facts.key_type) {
        (_, KeyType::Hash) => fields(desk, key, place.as_ref(), field).await?,
        (Some(Place::Requests), KeyType::List) => requests(desk, key).await?,
        (_, KeyType::String) => value(desk, key, place.as_ref()).await?,
        (_, KeyType::List | KeyType::Other) => Holds::Unknown(Vec::new()),
    };
    Ok(Inspection { key: key.to_owned(), field: field.map(str::to_owned), place, facts, holds })
}

async fn value(desk: &Desk, key: &str, place: Option<&Place>) -> Result<Holds, OperateError> {
    let Some(bytes) = desk.bytes(key).await? else {
        return Err(KeyError::Absent { key: key.to_owned(), near: Vec::new() }.into());
    };
    let text = || String::from_utf8_lossy(&bytes).into_owned();
    Ok(match place {
        Some(Place::StoreVersion(_) | Place::FleetVersion | Place::AnswerVersion) => Holds::Counter(text()),
        Some(Place::StoreFresh(_) | Place::FleetFresh) => match text().parse() {
            Ok(at) => Holds::Confirmed(at),
            Err(_) => Holds::Unknown(bytes.to_vec()),
        },
        Some(Place::Lease | Place::Fence) => Holds::Owner(desk.writer().await?, text()),
        Some(Place::Paused) => {
            Holds::Paused(desk.levels.read_paused().await.ok_or(OperateError::Unavailable)?)
        }
        Some(Place::Status(_)) => match serde_json::from_slice(&bytes) {
            Ok(status) => Holds::Status(status),
            Err(_) => Holds::Unknown(bytes.to_vec()),
        },
        Some(
            place @ (Place::Orders { .. } | Place::Partial { .. } | Place::Answer | Place::Hot | Place::Plan),
        ) => Holds::Entry(Box::new(found(desk, key, place, None, &bytes).await)),
        _ => Holds::Unknown(bytes.to_vec()),
    })
}

async fn fields(
    desk: &Desk,
    key: &str,
    place: Option<&Place>,
    field: Option<&str>,
) -> Result<Holds, OperateError> {
    let Some(place) = place else { return Ok(Holds::Unknown(Vec::new())) };
    if let Some(field) = field {
        let slot = Slot { key: key.to_owned(), field: Some(field.to_owned()) };
        let read = desk.levels.cache().read(&[slot], shared::cache::Patience::Bulk).await.pop();
        return match read {
            Some(Read::Hit(bytes)) => {
                Ok(Holds::Entry(Box::new(found(desk, key, place, Some(field), &bytes).await)))
            }
            Some(Read::Miss) | None => {
                let there = desk.redis.field_names(key).await?;
                let near = stores::nearest(field, there.iter().map(String::as_str), NEAR);
                let near = near.into_iter().map(str::to_owned).collect();
                Err(KeyError::NoField { key: key.to_owned(), field: field.to_owned(), near }.into())
            }
            Some(Read::Unavailable) => Err(OperateError::Unavailable),
        };
    }
    let mut all = match desk.levels.cache().read_hash(key).await {
        Read::Hit(fields) => fields,
        Read::Miss => Vec::new(),
        Read::Unavailable => return Err(OperateError::Unavailable),
    };
    all.sort_unstable_by(|a, b| a.0.cmp(&b.0));
    let confirmed = confirmed(&desk.levels, place, None).await;
    let (levels, key, place) = (desk.levels.clone(), key.to_owned(), place.clone());
    // Every cell is inflated and decoded.
    let decoded = tokio::task::spawn_blocking(move || {
        let of = |(field, bytes): (String, bytes::Bytes)| {
            let entry = levels.inspect(&key, &place, Some(&field), &bytes);
            (field, Found { stored: bytes.len() as u64, entry, confirmed })
        };
        all.into_iter().map(of).collect::<Vec<_>>()
    });
    decoded.await.map(Holds::Fields).map_err(|_| OperateError::Unavailable)
}

async fn found(desk: &Desk, key: &str, place: &Place, field: Option<&str>, bytes: &bytes::Bytes) -> Found {
    let entry = desk.levels.inspect(key, place, field, bytes);
    let question = entry.as_ref().ok().map(|entry| entry.look.header.question.clone());
    let confirmed = confirmed(&desk.levels, place, question.as_deref()).await;
    Found { stored: bytes.len() as u64, entry, confirmed }
}

/// When the data of all stores of an entry were last confirmed, if that is known of all.
async fn confirmed(levels: &Levels, place: &Place, question: Option<&str>) -> Option<i64> {
    let stores = match (place, question) {
        (Place::Directory, _) => return levels.read_fleet_fresh().await,
        (Place::Answer, Some(question)) => Query::stores_of(question)?,
        (place, _) => vec![place.store_id()?.to_owned()],
    };
    levels.read_fresh(&stores).await.into_iter().collect::<Option<Vec<i64>>>()?.into_iter().min()
}

async fn requests(desk: &Desk, key: &str) -> Result<Holds, OperateError> {
    let (texts, all) = desk.redis.list_head(key, REQUESTS).await?;
    let parse = |text: String| OperatorRequest::parse(&text).map_err(|_| text);
    Ok(Holds::Requests(texts.into_iter().map(parse).collect(), all))
}

async fn foreign(desk: &Desk, key: &str) -> Result<KeyError, OperateError> {
    let prefix = desk.levels.keys().prefix().to_owned();
    // Often only the prefix was left out.
    let whole = format!("{prefix}{key}");
    let near = match desk.redis.key_facts(&whole).await? {
        Some(_) => vec![whole],
        None => near_keys(desk, &whole).await?,
    };
    Ok(KeyError::Foreign { key: key.to_owned(), prefix, near })
}

/// The keys that are most like one that is not there: of the same store and kind, else of the same kind, else any.
async fn near_keys(desk: &Desk, key: &str) -> Result<Vec<String>, OperateError> {
    let prefix = desk.levels.keys().prefix();
    let rest = key.strip_prefix(prefix).unwrap_or_default();
    let kind = rest.split_once(':').map(|(kind, _)| format!("{prefix}{kind}:"));
    let store = rest.split_once('}').map(|(store, _)| format!("{prefix}{store}}}"));
    for begin in [store, kind, Some(prefix.to_owned())].into_iter().flatten() {
        let there = desk.levels.cache().scan(&begin, LOOKED_AT).await?;
        if !there.is_empty() {
            let mut apart: Vec<(usize, String)> =
                there.into_iter().map(|there| (strsim::damerau_levenshtein(key, &there), there)).collect();
            apart.sort_unstable();
            return Ok(apart.into_iter().take(NEAR).map(|(_, key)| key).collect());
        }
    }
    Ok(Vec::new())
}
