//! The settings of the rules: changing one changes every result, so their fingerprint goes into every stored entry.

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

use super::money::{MICRO, Money};

/// Settings of the rules that make results of lines, shared by warmer and gateway.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rules {
    /// Channels that charge a platform fee: an order of one of them without a fee is not valid.
    pub fee_channels: Vec<String>,
    /// Values of `category1` that are consumables (bags, boxes), not merchandise.
    pub consumable_categories: Vec<String>,
    /// A line without category and cost is a notice, not merchandise, up to this price per unit.
    pub notice_price: Money,
    /// An order is high-delivery when its net delivery cost is above this amount.
    pub high_delivery: Money,
}

impl Default for Rules {
    fn default() -> Self {
        let texts = |names: &[&str]| names.iter().map(ToString::to_string).collect();
        Self {
            fee_channels: texts(&[
                "饿了么",
                "京东到家",
                "美团共橙",
                "美团闪购",
                "抖音",
                "抖音直播",
                "淘鲜达",
                "京东秒送",
                "美团咖啡店",
                "饿了么咖啡店",
            ]),
            consumable_categories: texts(&["耗材"]),
            notice_price: Money(MICRO / 100),
            high_delivery: Money(6 * MICRO),
        }
    }
}

impl Rules {
    /// A hash of the settings, equal for equal settings whatever the order of the lists.
    #[must_use]
    pub fn fingerprint(&self) -> u64 {
        let sorted = |names: &[String]| {
            let mut names = names.to_vec();
            names.sort();
            names.dedup();
            names
        };
        let canonical = (
            sorted(&self.fee_channels),
            sorted(&self.consumable_categories),
            self.notice_price,
            self.high_delivery,
        );
        xxh3_64(format!("{canonical:?}").as_bytes())
    }

    /// Whether orders of this channel are valid only with a platform fee.
    #[must_use]
    pub fn charges_fee(&self, channel: &str) -> bool {
        self.fee_channels.iter().any(|name| name == channel)
    }

    /// Whether this `category1` is a consumable one.
    #[must_use]
    pub fn is_consumable(&self, category1: &str) -> bool {
        self.consumable_categories.iter().any(|name| name == category1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fingerprint_follows_the_settings_not_their_order() {
        let rules = Rules::default();
        let mut turned = rules.clone();
        turned.fee_channels.reverse();
        assert_eq!(rules.fingerprint(), turned.fingerprint());
        turned.high_delivery = Money(7 * MICRO);
        assert_ne!(rules.fingerprint(), turned.fingerprint());
    }
}
