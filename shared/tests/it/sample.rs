//! A few order lines of some stores and days, the same in every run.

use shared::model::{ABSENT, Column, Day, Line, Lines, LocalTime};

pub(crate) const FIRST_DAY: &str = "2026-02-20";

/// The day `after` days behind [`FIRST_DAY`].
pub(crate) fn day(after: i32) -> Day {
    FIRST_DAY.parse::<Day>().unwrap().plus(after)
}

pub(crate) fn set_text(line: &mut Line, column: Column, text: &str) {
    text.clone_into(&mut line.texts[column.slot()]);
}

/// Line `n` of an order. `mix` varies every value.
pub(crate) fn line(store: &str, day: Day, order: u32, n: u32, mix: u32) -> Line {
    let seconds = i64::from(mix % 86_000);
    let mut line = Line {
        ordered_at: LocalTime(LocalTime::midnight(day).0 + seconds * 1_000_000 + i64::from(mix % 7)),
        quantity: i32::try_from(mix % 5).unwrap() - 1,
        stock: if mix.is_multiple_of(3) { ABSENT } else { i64::from(mix % 11) },
        ..Line::default()
    };
    for (at, value) in line.decimals.iter_mut().enumerate() {
        *value = i64::from(mix.rotate_left(u32::try_from(at).unwrap()) % 30_000) * 1_237 - 4_000_000;
    }
    if mix.is_multiple_of(4) {
        line.decimals[Column::DistanceM.slot()] = ABSENT;
    }
    let product = mix % 6;
    set_text(&mut line, Column::StoreId, store);
    set_text(&mut line, Column::OrderId, &format!("o{order}"));
    set_text(&mut line, Column::ProductName, &format!("商品 \"{product}\"/{n}"));
    set_text(&mut line, Column::Channel, ["", "美团闪购", "饿了么", "自营"][(order % 4) as usize]);
    set_text(&mut line, Column::Category1, ["水果", "耗材", "", "酒水"][(product % 4) as usize]);
    if mix.is_multiple_of(2) {
        set_text(&mut line, Column::StoreName, &format!("{store} 店"));
        set_text(&mut line, Column::City, "上海");
        set_text(&mut line, Column::StoreCode, &format!("c{product}"));
    }
    line
}

/// `orders` orders a day of each store, of one to three lines each.
pub(crate) fn lines(stores: &[&str], days: i32, orders: u32) -> Lines {
    let mut lines = Lines::default();
    let mut mix = 2_463_534_242u32;
    for store in stores {
        for after in 0..days {
            for order in 0..orders {
                for n in 0..=order % 3 {
                    // Marsaglia's xorshift.
                    mix ^= mix << 13;
                    mix ^= mix >> 17;
                    mix ^= mix << 5;
                    lines.push(&line(store, day(after), order, n, mix));
                }
            }
        }
    }
    lines
}
