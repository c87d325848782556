//! What entries hold, as JSON for people: names instead of numbers, money in units.

use serde_json::{Map, Value, json};
use shared::answers::orders::day_lines;
use shared::cache::levels::Content;
use shared::cells::{DayCell, ProductCell, Sums};
use shared::entry;
use shared::model::{ABSENT, Amount, ChannelFilter, LocalTime, StoreInfo, TextColumn, money};

/// A decoded entry as JSON. Slow for order lines of a whole day.
#[must_use]
pub fn json(content: &Content) -> Value {
    match content {
        Content::Orders(lines) => {
            let lines = day_lines(lines, &ChannelFilter::All, None, usize::MAX);
            Value::Array(lines.into_iter().map(|(_, line)| parsed(entry::json(&line).ok())).collect())
        }
        Content::DayCell(cell) => day_cell(cell),
        Content::ProductCell(cell) => product_cell(cell),
        Content::Partial(partial) => parsed(entry::json(partial).ok()),
        Content::Answer(answer) => parsed(Some(answer.json.clone())),
        Content::Response(body) => parsed(Some(body.clone())),
        Content::Plan => json!("shown by warmer plan and warmer explain"),
        Content::Store(store) => of_store(store),
        Content::Stores(count) => json!({ "stores": count }),
    }
}

/// A note on the units of what [`json()`] gives.
#[must_use]
pub fn units(content: &Content) -> Option<&'static str> {
    match content {
        Content::Partial(_) => Some("as stored: money counts millionths"),
        _ => None,
    }
}

fn parsed(text: Option<String>) -> Value {
    text.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or(Value::Null)
}

/// Exact, in units.
fn amount(amount: Amount) -> Value {
    let mut text = String::new();
    // Writing into a String does not fail.
    let _ = money::write_decimal(&mut text, amount.0, 6);
    text.parse::<serde_json::Number>().map_or(Value::Null, Value::Number)
}

fn day_cell(cell: &DayCell) -> Value {
    let keys = &cell.active.keys;
    let channels = cell.channels.iter().enumerate().map(|(at, (channel, of))| {
        let mut row = Map::new();
        row.insert("channel".to_owned(), json!(channel));
        row.extend(sums(of));
        let active = cell.active.by_channel.get(at).map_or(0, Vec::len);
        row.insert("active_products".to_owned(), json!(active));
        Value::Object(row)
    });
    json!({
        "lines": cell.lines,
        "channels": channels.collect::<Vec<_>>(),
        "active_products": (0..keys.len()).map(|at| keys.get(at)).collect::<Vec<_>>(),
    })
}

fn sums(sums: &Sums) -> Map<String, Value> {
    // Destructured, so that a new sum is shown too.
    let Sums {
        orders,
        filtered_orders,
        units,
        sales,
        profit,
        gmv,
        marketing_cost,
        delivery_cost,
        net_delivery_cost,
        platform_fee,
        rebate,
        product_cost,
        consumable_cost,
        loss_orders,
        loss_amount,
        high_delivery_orders,
        high_delivery_extra,
        high_delivery_distance,
    } = sums;
    [
        ("orders", json!(orders)),
        ("filtered_orders", json!(filtered_orders)),
        ("units", json!(units)),
        ("sales", amount(*sales)),
        ("profit", amount(*profit)),
        ("gmv", amount(*gmv)),
        ("marketing_cost", amount(*marketing_cost)),
        ("delivery_cost", amount(*delivery_cost)),
        ("net_delivery_cost", amount(*net_delivery_cost)),
        ("platform_fee", amount(*platform_fee)),
        ("rebate", amount(*rebate)),
        ("product_cost", amount(*product_cost)),
        ("consumable_cost", amount(*consumable_cost)),
        ("loss_orders", json!(loss_orders)),
        ("loss_amount", amount(*loss_amount)),
        ("high_delivery_orders", json!(high_delivery_orders)),
        ("high_delivery_extra", amount(*high_delivery_extra)),
        ("high_delivery_distance", json!(high_delivery_distance)),
    ]
    .into_iter()
    .map(|(name, value)| (name.to_owned(), value))
    .collect()
}

/// The numbers of a row were checked when the cell was decoded.
fn product_cell(cell: &ProductCell) -> Value {
    let text = |texts: &TextColumn, at: u32| texts.get(at as usize).to_owned();
    let rows = cell.rows.iter().map(|row| {
        json!({
            "product": text(&cell.keys, row.key),
            "name": text(&cell.names, row.name),
            "category": text(&cell.categories, row.category),
            "channel": text(&cell.channels, row.channel),
            "active": row.active,
            "quantity": row.quantity,
            "sales": amount(row.sales),
            "gross_profit": amount(row.gross_profit),
            "cost": amount(row.cost),
            "latest": LocalTime(row.latest).to_string(),
            "stock": (row.stock != ABSENT).then_some(row.stock),
            "below_cost": row.below_cost,
            "severe": row.severe,
            "below_cost_loss": amount(row.below_cost_loss),
        })
    });
    json!({ "lines": cell.lines, "rows": rows.collect::<Vec<_>>() })
}

fn of_store(store: &StoreInfo) -> Value {
    let StoreInfo { store_id, name, city, lines, days } = store;
    let runs = days.runs().iter().map(|run| json!({ "from": run.from, "to": run.to }));
    json!({
        "store_id": store_id,
        "name": name,
        "city": city,
        "lines": lines,
        "days": runs.collect::<Vec<_>>(),
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn money_is_exact_and_in_units() {
        assert_eq!(amount(Amount(12_345_678)).to_string(), "12.345678");
        assert_eq!(amount(Amount(-1_000_000)).to_string(), "-1");
        assert_eq!(amount(Amount(i128::MAX)).to_string(), "170141183460469231731687303715884.105727");
    }

    #[test]
    fn stores_show_their_days_as_runs() {
        let store = StoreInfo {
            store_id: "1".to_owned(),
            name: "One".to_owned(),
            city: None,
            lines: 3,
            days: ["2026-03-01", "2026-03-02", "2026-03-05"].iter().map(|day| day.parse().unwrap()).collect(),
        };
        let days = of_store(&store)["days"].clone();
        assert_eq!(
            days,
            json!([{"from": "2026-03-01", "to": "2026-03-02"}, {"from": "2026-03-05", "to": "2026-03-05"}])
        );
    }
}
