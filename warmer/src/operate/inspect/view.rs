//! A key that was looked at, as text and as JSON.

use serde_json::{Value, json};
use shared::cache::levels::{Inspected, Paused};
use shared::cache::{KeyType, Ttl};
use shared::entry::{Damage, EntryKind, Look};
use shared::keys::Place;

use super::{Found, Holds, Inspection};
use crate::operate::pause::describe;
use crate::operate::words::{ago, bytes, facts, iso, lasting, number, size, table};
use crate::operate::{Writer, content};

/// Bytes of something unknown that are shown.
const SHOWN_BYTES: usize = 200;

/// How a key is shown.
#[derive(Clone, Copy, Debug)]
pub struct Shown<'a> {
    /// Now, milliseconds since 1970.
    pub now: i64,
    /// Fingerprint of the rules of these settings.
    pub rules: u64,
    /// Expiries of these settings.
    pub ttl: &'a Ttl,
    /// Lines of the content; `None` = all.
    pub head: Option<usize>,
}

impl Inspection {
    /// For people.
    #[must_use]
    pub fn text(&self, shown: &Shown<'_>) -> String {
        let mut rows = vec![("key", self.key.clone())];
        rows.extend(self.field.as_ref().map(|field| ("field", field.clone())));
        let what = self.place.as_ref().map_or("none of Hotshelf's keys", |place| place.describe());
        rows.push(("what", what.to_owned()));
        rows.extend(self.place.as_ref().and_then(Place::store_id).map(|store| ("store", store.to_owned())));
        let goes = self.facts.ttl.map_or_else(|| "stays".to_owned(), |ttl| format!("in {}", lasting(ttl)));
        rows.push(("hard expiry", goes));
        let memory = self.facts.memory.map_or_else(|| "this user may not ask".to_owned(), bytes);
        rows.push(("memory", if self.field.is_some() { format!("{memory}, all fields") } else { memory }));
        let body = self.body(shown, &mut rows);
        let body = if body.is_empty() { body } else { format!("\n\n{body}") };
        format!("{}{body}", facts(rows))
    }

    fn body(&self, shown: &Shown<'_>, rows: &mut Vec<(&'static str, String)>) -> String {
        match &self.holds {
            Holds::Entry(found) => {
                rows.extend(found.rows(shown));
                found.entry.as_ref().map_or_else(|_| String::new(), |entry| content_text(entry, shown.head))
            }
            Holds::Fields(fields) => {
                rows.push(("fields", fields.len().to_string()));
                rows.push(("stored", bytes(fields.iter().map(|(_, found)| found.stored).sum())));
                rows.extend(fields.first().map(|(_, found)| found.confirmed_row(shown)));
                fields_table(fields, shown)
            }
            Holds::Counter(changes) => {
                rows.push(("changes", changes.clone()));
                String::new()
            }
            Holds::Confirmed(at) => {
                rows.push(("confirmed", format!("{} ({})", iso(*at), ago(*at, shown.now))));
                String::new()
            }
            Holds::Owner(writer, owner) => {
                rows.push(("owner", owner.clone()));
                rows.push(("writer", who_writes(writer.as_ref(), owner)));
                String::new()
            }
            Holds::Paused(paused) => {
                let words = match paused {
                    Paused::Yes(pause) => format!("paused {}", describe(pause, shown.now)),
                    Paused::Unexplained(text) => format!("paused; {text:?} does not say by whom"),
                    Paused::No => "resumed this moment".to_owned(),
                };
                rows.push(("state", words));
                String::new()
            }
            Holds::Requests(requests, all) => {
                rows.push(("waiting", number(*all, "request", "requests")));
                let words = |request: &Result<_, String>| match request {
                    Ok(request) => crate::operate::OperatorRequest::describe(request),
                    Err(text) => format!("not understood: {text:?}"),
                };
                requests.iter().map(words).collect::<Vec<_>>().join("\n")
            }
            Holds::Status(status) => head(&pretty(status), shown.head),
            Holds::Unknown(value) => {
                rows.push(("value", unknown(self.facts.key_type, value.len())));
                let text = String::from_utf8_lossy(value.get(..SHOWN_BYTES).unwrap_or(value)).into_owned();
                text.escape_debug().to_string()
            }
        }
    }

    /// For scripts: all of it.
    #[must_use]
    pub fn json(&self, shown: &Shown<'_>) -> Value {
        let mut all = json!({
            "key": self.key,
            "field": self.field,
            "what": self.place.as_ref().map(Place::describe),
            "store": self.place.as_ref().and_then(Place::store_id),
            "ttl_ms": self.facts.ttl.map(|ttl| u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX)),
            "memory_bytes": self.facts.memory,
        });
        let (name, value) = match &self.holds {
            Holds::Entry(found) => ("entry", found.json(shown, true)),
            Holds::Fields(fields) => {
                let of = |(field, found): &(String, Found)| {
                    let mut row = json!({ "field": field });
                    merge(&mut row, found.json(shown, false));
                    row
                };
                ("fields", Value::Array(fields.iter().map(of).collect()))
            }
            Holds::Counter(changes) => ("changes", json!(changes.parse::<u64>().ok())),
            Holds::Confirmed(at) => ("confirmed_at", json!(iso(*at))),
            Holds::Owner(writer, owner) => ("owner", json!({ "owner": owner, "writer": writer })),
            Holds::Paused(paused) => (
                "pause",
                match paused {
                    Paused::Yes(pause) => json!(pause),
                    Paused::Unexplained(text) => json!({ "text": text }),
                    Paused::No => Value::Null,
                },
            ),
            Holds::Requests(requests, all) => {
                let of = |request: &Result<_, String>| match request {
                    Ok(request) => json!(request),
                    Err(text) => json!(text),
                };
                let first: Vec<Value> = requests.iter().map(of).collect();
                ("requests", json!({ "waiting": all, "first": first }))
            }
            Holds::Status(status) => ("status", status.clone()),
            Holds::Unknown(value) => ("text", json!(String::from_utf8_lossy(value))),
        };
        merge(&mut all, json!({ name: value }));
        all
    }
}

fn who_writes(writer: Option<&Writer>, owner: &str) -> String {
    match writer {
        None => "nobody has the lease now".to_owned(),
        Some(writer) if writer.owner == owner => "it has the lease now".to_owned(),
        Some(writer) => format!("{} has the lease now", writer.owner),
    }
}

fn unknown(key_type: KeyType, length: usize) -> String {
    match key_type {
        KeyType::String => format!("{}, not an entry", bytes(length as u64)),
        KeyType::Hash => "a hash, which Hotshelf has not here".to_owned(),
        KeyType::List => "a list, which Hotshelf has not here".to_owned(),
        KeyType::Other => "of a type that Hotshelf does not use".to_owned(),
    }
}

fn merge(into: &mut Value, from: Value) {
    if let (Value::Object(into), Value::Object(from)) = (into, from) {
        into.extend(from);
    }
}

/// The state of an entry, as readers take it.
fn state(damage: Option<Damage>) -> String {
    damage.map_or_else(|| "sound".to_owned(), |damage| format!("a miss: {damage}"))
}

fn kind(look: &Look) -> &'static str {
    match look.kind {
        Some(EntryKind::Orders) => "L1 orders",
        Some(EntryKind::DayCell) => "L2 day cell",
        Some(EntryKind::ProductCell) => "L2 product cell",
        Some(EntryKind::Partial) => "L3 partial",
        Some(EntryKind::Answer) => "L3 answer",
        Some(EntryKind::Hot) => "L4 ready response",
        Some(EntryKind::Plan) => "plan of the warmer",
        Some(EntryKind::Store) => "store of the directory",
        None => "of no known kind",
    }
}

fn ratio(look: &Look, stored: u64) -> f64 {
    #[allow(clippy::cast_precision_loss, reason = "a ratio for people")]
    let ratio = look.inflated as f64 / (stored.max(1)) as f64;
    (ratio * 100.0).round() / 100.0
}

/// From when on it is stale: its own time, or later if its data were confirmed since.
fn soft_expiry(look: &Look, confirmed: Option<i64>, ttl: &Ttl) -> i64 {
    let lasts = look.kind.map_or(0, |kind| i64::try_from(ttl.soft(kind).as_millis()).unwrap_or(i64::MAX));
    confirmed.map_or(i64::MIN, |at| at.saturating_add(lasts)).max(look.header.soft_expiry)
}

impl Found {
    fn rows(&self, shown: &Shown<'_>) -> Vec<(&'static str, String)> {
        let Inspected { look, damage, .. } = match &self.entry {
            Ok(entry) => entry,
            Err(damage) => {
                return vec![("state", state(Some(*damage))), ("stored", bytes(self.stored))];
            }
        };
        let header = &look.header;
        let whose = if header.rules == shown.rules {
            "those of these settings"
        } else {
            "OTHER than these settings'"
        };
        let soft = soft_expiry(look, self.confirmed, shown.ttl);
        let stale = if soft <= shown.now { "stale" } else { "fresh" };
        vec![
            ("state", state(*damage)),
            ("kind", kind(look).to_owned()),
            ("question", header.question.clone()),
            ("computed", format!("{} ({})", iso(header.computed_at), ago(header.computed_at, shown.now))),
            self.confirmed_row(shown),
            ("soft expiry", format!("{} ({}): {stale}", iso(soft), ago(soft, shown.now))),
            ("as of", header.as_of.map_or_else(|| "no data day".to_owned(), |day| day.to_string())),
            ("data version", header.data_version.to_string()),
            ("rules", format!("{:016x}, {whose}", header.rules)),
            ("stored", bytes(self.stored)),
            ("inflated", format!("{}, {:.2} times", bytes(look.inflated), ratio(look, self.stored))),
        ]
    }

    fn confirmed_row(&self, shown: &Shown<'_>) -> (&'static str, String) {
        let words = |at| format!("{} ({})", iso(at), ago(at, shown.now));
        ("confirmed", self.confirmed.map_or_else(|| "not since it was computed".to_owned(), words))
    }

    fn json(&self, shown: &Shown<'_>, with_content: bool) -> Value {
        let entry = match &self.entry {
            Ok(entry) => entry,
            Err(damage) => return json!({ "damage": damage.as_str(), "stored_bytes": self.stored }),
        };
        let Inspected { look, damage, content } = entry;
        let header = &look.header;
        let mut all = json!({
            "damage": damage.map(Damage::as_str),
            "kind": kind(look),
            "question": header.question,
            "computed_at": iso(header.computed_at),
            "confirmed_at": self.confirmed.map(iso),
            "soft_expiry": iso(soft_expiry(look, self.confirmed, shown.ttl)),
            "as_of": header.as_of,
            "data_version": header.data_version.to_string(),
            "rules": format!("{:016x}", header.rules),
            "rules_of_settings": header.rules == shown.rules,
            "stored_bytes": self.stored,
            "inflated_bytes": look.inflated,
            "ratio": ratio(look, self.stored),
        });
        if with_content {
            merge(&mut all, json!({ "content": content.as_ref().map(content::json) }));
        }
        all
    }
}

fn fields_table(fields: &[(String, Found)], shown: &Shown<'_>) -> String {
    let row = |(field, found): &(String, Found)| {
        let field = if field.is_empty() { "(count)".to_owned() } else { field.clone() };
        match &found.entry {
            Err(damage) => {
                [field, state(Some(*damage)), String::new(), size(found.stored), String::new(), String::new()]
            }
            Ok(entry) => [
                field,
                state(entry.damage),
                ago(entry.look.header.computed_at, shown.now),
                size(found.stored),
                size(entry.look.inflated),
                entry.content.as_ref().map(in_short).unwrap_or_default(),
            ],
        }
    };
    table(
        ["field", "state", "computed", "stored", "inflated", "holds"],
        2..5,
        fields.iter().map(row).collect(),
    )
}

/// The content of a field in a few words.
fn in_short(content: &shared::cache::levels::Content) -> String {
    use shared::cache::levels::Content;
    match content {
        Content::DayCell(cell) if cell.is_empty() => "no lines".to_owned(),
        Content::DayCell(cell) => number(cell.lines, "line", "lines"),
        Content::ProductCell(cell) if cell.lines == 0 => "no lines".to_owned(),
        Content::ProductCell(cell) => number(cell.keys.len() as u64, "product", "products"),
        Content::Store(store) => {
            let until = store.days.last().map(|day| format!(" until {day}")).unwrap_or_default();
            format!("{}, {}{until}", store.name, number(store.lines, "line", "lines"))
        }
        Content::Stores(stores) => number(*stores, "store", "stores"),
        Content::Orders(_)
        | Content::Partial(_)
        | Content::Answer(_)
        | Content::Response(_)
        | Content::Plan => String::new(),
    }
}

fn content_text(entry: &Inspected, lines: Option<usize>) -> String {
    let Some(content) = &entry.content else { return String::new() };
    let note = content::units(content).map(|units| format!("({units})\n")).unwrap_or_default();
    format!("{note}{}", head(&pretty(&content::json(content)), lines))
}

fn pretty(value: &Value) -> String {
    serde_json::to_string_pretty(value).unwrap_or_default()
}

/// The first lines, and how many are left out.
fn head(text: &str, lines: Option<usize>) -> String {
    let all = text.lines().count();
    match lines {
        Some(lines) if all > lines => {
            let first: Vec<&str> = text.lines().take(lines).collect();
            let left = number((all - lines) as u64, "line", "lines");
            format!("{}\n… and {left} more: --full shows all, --head N as many as you like", first.join("\n"))
        }
        _ => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_content_is_cut_by_lines() {
        assert_eq!(head("a\nb\nc", Some(3)), "a\nb\nc");
        let cut = head("a\nb\nc", Some(2));
        assert!(cut.starts_with("a\nb\n… and 1 line more"), "{cut}");
        assert_eq!(head("a\nb\nc", None), "a\nb\nc");
    }
}
