//! Documents that are lists as CSV tables: UTF-8 with BOM, so that spreadsheets open Chinese; one row per item,
//! headings = field names, nested ones joined by a dot, lists left out.

use serde::Serialize;
use serde_json::Value;
use shared::answers::documents::{ChannelRow, OrderLine, ProductEntry, StoreRow, TrendBucket};
use shared::model::Document;

/// The list of a document that becomes the table, with an empty item whose fields give the headings.
#[derive(Debug)]
pub(crate) struct Table {
    list: &'static str,
    sample: fn() -> Value,
}

fn sample<T: Serialize + Default>() -> Value {
    serde_json::to_value(T::default()).unwrap_or_default()
}

/// The table of a document, if it has one.
pub(crate) fn table(document: Document) -> Option<Table> {
    Some(match document {
        Document::Trend(_) => Table { list: "buckets", sample: sample::<TrendBucket> },
        Document::Channels => Table { list: "channels", sample: sample::<ChannelRow> },
        Document::StoreTable(..) => Table { list: "stores", sample: sample::<StoreRow> },
        Document::Products(..) => Table { list: "products", sample: sample::<ProductEntry> },
        Document::Stores | Document::Overview | Document::Diagnosis => return None,
    })
}

/// The table of a page of order lines.
pub(crate) fn order_table() -> Table {
    Table { list: "lines", sample: sample::<OrderLine> }
}

impl Table {
    /// `data` (JSON text) as CSV.
    pub(crate) fn write(&self, data: &str) -> Option<Vec<u8>> {
        let data: Value = serde_json::from_str(data).ok()?;
        let items = data.get(self.list)?.as_array()?;
        let mut headings = Vec::new();
        flatten("", &(self.sample)(), &mut |name, _| headings.push(name.to_owned()));
        let mut out = vec![0xef, 0xbb, 0xbf];
        let mut writer = csv::Writer::from_writer(&mut out);
        writer.write_record(&headings).ok()?;
        for item in items {
            let mut row = Vec::with_capacity(headings.len());
            flatten("", item, &mut |_, value| row.push(cell(value)));
            writer.write_record(&row).ok()?;
        }
        writer.flush().ok()?;
        drop(writer);
        Some(out)
    }
}

fn flatten(prefix: &str, value: &Value, each: &mut impl FnMut(&str, &Value)) {
    let Value::Object(fields) = value else { return };
    for (name, value) in fields {
        let name = if prefix.is_empty() { name.clone() } else { format!("{prefix}.{name}") };
        match value {
            Value::Object(_) => flatten(&name, value, each),
            Value::Array(_) => {}
            _ => each(&name, value),
        }
    }
}

fn cell(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}
