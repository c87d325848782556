//! Stored bytes as what they are, damaged or of other rules included: for operators who look into the cache.

use std::io::Read as _;

use serde::de::DeserializeOwned;

use super::answers::PLAN;
use super::cells::{cell_question, partial_question};
use super::{Levels, StoredAnswer};
use crate::cells::{DayCell, ProductCell};
use crate::diagnosis::Partial;
use crate::entry::{self, Damage, EntryKind, Expected, Look, OrderBlock};
use crate::keys::{DIRECTORY_SUMMARY, Place};
use crate::model::{Day, Lines, StoreInfo};

/// What an entry holds, decoded.
#[derive(Clone, Debug)]
pub enum Content {
    /// L1.
    Orders(Box<Lines>),
    /// L2 (a).
    DayCell(DayCell),
    /// L2 (b).
    ProductCell(ProductCell),
    /// L3 (a).
    Partial(Box<Partial>),
    /// L3 (b).
    Answer(StoredAnswer),
    /// L4: the JSON body as it is sent, inflated.
    Response(String),
    /// The warmer's plan, which only the warmer reads.
    Plan,
    /// A store of the directory.
    Store(StoreInfo),
    /// The number of stores of the directory.
    Stores(u64),
}

/// An entry that was looked at.
#[derive(Clone, Debug)]
pub struct Inspected {
    /// What it says of itself.
    pub look: Look,
    /// Why readers take it for a miss, if they do.
    pub damage: Option<Damage>,
    /// What it holds, where that can be decoded.
    pub content: Option<Content>,
}

impl Levels {
    /// Looks at the bytes stored at a key (and field, if it is a hash). Slow: it decodes the whole entry.
    ///
    /// # Errors
    /// If they have no header to be read.
    pub fn inspect(
        &self,
        key: &str,
        place: &Place,
        field: Option<&str>,
        bytes: &[u8],
    ) -> Result<Inspected, Damage> {
        let look = entry::look(bytes)?;
        let misplaced = !self.belongs(key, place, field, &look);
        let other_rules = look.header.rules != self.rules();
        let mut damage = look
            .damage
            .or(misplaced.then_some(Damage::OtherQuestion))
            .or(other_rules.then_some(Damage::OtherRules));
        let mut content = None;
        if look.damage.is_none() {
            match self.content(&look, bytes) {
                Ok(decoded) => content = Some(decoded),
                Err(failure) => damage = damage.or(Some(failure)),
            }
        }
        Ok(Inspected { look, damage, content })
    }

    /// Whether an entry is of the kind and question that are looked for at this place.
    fn belongs(&self, key: &str, place: &Place, field: Option<&str>, look: &Look) -> bool {
        let question = &look.header.question;
        let day = || field.and_then(|field| field.parse::<Day>().ok());
        let wanted = match place {
            Place::Orders { store_id, day } => {
                Some((EntryKind::Orders, cell_question("orders", store_id, *day)))
            }
            Place::DayCells(store_id) => {
                day().map(|day| (EntryKind::DayCell, cell_question("cells", store_id, day)))
            }
            Place::ProductCells(store_id) => {
                day().map(|day| (EntryKind::ProductCell, cell_question("products", store_id, day)))
            }
            Place::Partial { store_id, range } => {
                Some((EntryKind::Partial, partial_question(store_id, *range)))
            }
            Place::Directory => field.map(|field| (EntryKind::Store, directory_question(field))),
            // The key holds a hash of the question.
            Place::Answer => {
                return look.kind == Some(EntryKind::Answer) && self.keys().is_of_question(key, question);
            }
            Place::Hot => {
                return look.kind == Some(EntryKind::Hot) && self.keys().is_of_question(key, question);
            }
            Place::Plan => Some((EntryKind::Plan, PLAN.to_owned())),
            _ => None,
        };
        wanted.is_some_and(|(kind, wanted)| look.kind == Some(kind) && *question == wanted)
    }

    /// Decodes an entry as what it says it is, under whatever rules it was made.
    fn content(&self, look: &Look, bytes: &[u8]) -> Result<Content, Damage> {
        match look.kind.ok_or(Damage::Malformed)? {
            EntryKind::Orders => {
                self.as_found::<OrderBlock>(look, bytes).map(|block| Content::Orders(Box::new(block.0)))
            }
            EntryKind::DayCell => {
                let cell = self.as_found::<DayCell>(look, bytes)?;
                if cell.is_sound() { Ok(Content::DayCell(cell)) } else { Err(Damage::Malformed) }
            }
            EntryKind::ProductCell => {
                let cell = self.as_found::<ProductCell>(look, bytes)?;
                if cell.is_sound() { Ok(Content::ProductCell(cell)) } else { Err(Damage::Malformed) }
            }
            EntryKind::Partial => self.as_found(look, bytes).map(Box::new).map(Content::Partial),
            EntryKind::Answer => self.as_found(look, bytes).map(Content::Answer),
            EntryKind::Hot => self.response(look, bytes).map(Content::Response),
            EntryKind::Plan => Ok(Content::Plan),
            EntryKind::Store if look.header.question == directory_question(DIRECTORY_SUMMARY) => {
                self.as_found(look, bytes).map(Content::Stores)
            }
            EntryKind::Store => self.as_found(look, bytes).map(Content::Store),
        }
    }

    fn response(&self, look: &Look, bytes: &[u8]) -> Result<String, Damage> {
        let (_, at, gzip) = entry::decode_body(bytes, &self.expected_of(look)?)?;
        let body = bytes.get(at..).unwrap_or_default();
        let mut plain = Vec::new();
        if gzip {
            entry::gunzip(body, self.max_inflated).read_to_end(&mut plain).map_err(|_| Damage::Malformed)?;
        } else {
            plain.extend_from_slice(body);
        }
        String::from_utf8(plain).map_err(|_| Damage::Malformed)
    }

    fn as_found<T: DeserializeOwned>(&self, look: &Look, bytes: &[u8]) -> Result<T, Damage> {
        entry::decode(bytes, &self.expected_of(look)?).map(|(_, value)| value)
    }

    /// What an entry says it is, under whatever rules it was made.
    fn expected_of<'a>(&self, look: &'a Look) -> Result<Expected<'a>, Damage> {
        Ok(Expected {
            kind: look.kind.ok_or(Damage::Malformed)?,
            question: &look.header.question,
            rules: look.header.rules,
            max_inflated: self.max_inflated,
        })
    }
}

/// The question of a field of the directory.
pub(super) fn directory_question(field: &str) -> String {
    if field == DIRECTORY_SUMMARY { "directory".to_owned() } else { format!("store {field}") }
}
