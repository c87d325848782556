//! The payload of L1: the order lines of one store and day as named columns.

use serde::de::{Deserializer, MapAccess, Visitor};
use serde::ser::{SerializeMap, Serializer};
use serde::{Deserialize, Serialize};

use crate::model::{ABSENT, Column, Kind, Lines, TextColumn};

/// Order lines as a MessagePack map: column name → list of values. Absent values are nil, `ordered_at` counts
/// microseconds since 1970-01-01 in store-local time, money and distance are micro-units.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OrderBlock(pub Lines);

/// Text columns in which an empty text means absent, and is shown as null.
const NULLABLE: [Column; 4] = [Column::StoreName, Column::City, Column::StoreCode, Column::Barcode];

struct Nullable<'a>(&'a TextColumn);

impl Serialize for Nullable<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let values = (0..self.0.len()).map(|row| Some(self.0.get(row)).filter(|text| !text.is_empty()));
        serializer.collect_seq(values)
    }
}

struct Known<'a>(&'a [i64]);

impl Serialize for Known<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter().map(|value| Some(*value).filter(|value| *value != ABSENT)))
    }
}

impl Serialize for OrderBlock {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let lines = &self.0;
        let mut map = serializer.serialize_map(Some(Column::ALL.len()))?;
        for column in Column::ALL {
            map.serialize_key(column.name())?;
            match column.kind() {
                Kind::Text if NULLABLE.contains(&column) => {
                    map.serialize_value(&Nullable(&lines.texts[column.slot()]))?;
                }
                Kind::Text => map.serialize_value(&lines.texts[column.slot()])?,
                Kind::Time => map.serialize_value(&lines.ordered_at)?,
                Kind::Decimal => map.serialize_value(&Known(&lines.decimals[column.slot()]))?,
                Kind::Integer if column == Column::Quantity => map.serialize_value(&lines.quantity)?,
                Kind::Integer => map.serialize_value(&Known(&lines.stock))?,
            }
        }
        map.end()
    }
}

impl<'de> Deserialize<'de> for OrderBlock {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct BlockVisitor;
        impl<'de> Visitor<'de> for BlockVisitor {
            type Value = OrderBlock;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a map of columns")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<OrderBlock, A::Error> {
                let mut lines = Lines::default();
                while let Some(name) = map.next_key::<&str>()? {
                    let column = Column::from_name(name)
                        .ok_or_else(|| serde::de::Error::custom(format!("no column {name:?}")))?;
                    read_column(&mut lines, column, &mut map)?;
                }
                if is_whole(&lines) {
                    Ok(OrderBlock(lines))
                } else {
                    Err(serde::de::Error::custom("unequal columns"))
                }
            }
        }
        deserializer.deserialize_map(BlockVisitor)
    }
}

fn read_column<'de, A: MapAccess<'de>>(
    lines: &mut Lines,
    column: Column,
    map: &mut A,
) -> Result<(), A::Error> {
    let known = |values: Vec<Option<i64>>| values.into_iter().map(|value| value.unwrap_or(ABSENT)).collect();
    match column.kind() {
        Kind::Text => {
            let texts: Vec<Option<&str>> = map.next_value()?;
            lines.texts[column.slot()] = texts.into_iter().map(Option::unwrap_or_default).collect();
        }
        Kind::Time => lines.ordered_at = map.next_value()?,
        Kind::Decimal => lines.decimals[column.slot()] = known(map.next_value()?),
        Kind::Integer if column == Column::Quantity => lines.quantity = map.next_value()?,
        Kind::Integer => lines.stock = known(map.next_value()?),
    }
    Ok(())
}

fn is_whole(lines: &Lines) -> bool {
    let rows = lines.len();
    lines.texts.iter().all(|column| column.len() == rows)
        && lines.decimals.iter().all(|column| column.len() == rows)
        && lines.quantity.len() == rows
        && lines.stock.len() == rows
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "tests")]
mod tests {
    use super::*;
    use crate::model::{Line, LocalTime};

    #[test]
    fn blocks_survive() {
        let mut line = Line { ordered_at: LocalTime(5), quantity: -1, stock: ABSENT, ..Line::default() };
        line.texts[Column::OrderId.slot()] = "7".into();
        line.decimals[Column::DistanceM.slot()] = ABSENT;
        let mut lines = Lines::default();
        lines.push(&line);
        line.texts[Column::Barcode.slot()] = "690".into();
        line.stock = 0;
        lines.push(&line);
        let block = OrderBlock(lines);
        let bytes = crate::entry::canonical_bytes(&block).unwrap();
        assert_eq!(rmp_serde::from_slice::<OrderBlock>(&bytes).unwrap(), block);
    }
}
