//! How amounts and rates are written: exact decimals in JSON, float 64 in MessagePack.

use std::borrow::Cow;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::model::money::{div_half_even, write_decimal};
use crate::model::{Amount, Money};

/// A decimal number in units of 10^−`PLACES`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Decimal<const PLACES: u32>(pub i128);

/// An amount or a rate with 2 decimals.
pub type Decimal2 = Decimal<2>;
/// A rate of the diagnosis, with 1 decimal.
pub type Decimal1 = Decimal<1>;
/// A value of an order line, with up to 6 decimals.
pub type Decimal6 = Decimal<6>;

impl From<Amount> for Decimal2 {
    /// Rounded half-to-even.
    fn from(amount: Amount) -> Self {
        Self(div_half_even(amount.0, 10_000))
    }
}

impl From<Money> for Decimal6 {
    fn from(value: Money) -> Self {
        Self(i128::from(value.0))
    }
}

impl<const PLACES: u32> Decimal<PLACES> {
    #[allow(clippy::cast_precision_loss, reason = "MessagePack carries amounts as float 64")]
    fn as_f64(self) -> f64 {
        self.0 as f64 / 10f64.powi(PLACES.cast_signed())
    }
}

impl<const PLACES: u32> JsonSchema for Decimal<PLACES> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        format!("Decimal{PLACES}").into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        // No multipleOf: in binary floating point 0.07 is no multiple of 0.01.
        json_schema!({ "type": "number" })
    }
}

impl<const PLACES: u32> std::fmt::Display for Decimal<PLACES> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write_decimal(f, self.0, PLACES)
    }
}

impl<const PLACES: u32> FromStr for Decimal<PLACES> {
    type Err = crate::model::money::NumberFault;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (negative, digits) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        let bad = Self::Err::BadNumber;
        if whole.is_empty() || fraction.len() > PLACES as usize {
            return Err(bad);
        }
        let padded = format!("{whole}{fraction:0<width$}", width = PLACES as usize);
        if !padded.bytes().all(|b| b.is_ascii_digit()) {
            return Err(bad);
        }
        let value: i128 = padded.parse().map_err(|_| Self::Err::Overflow)?;
        Ok(Self(if negative { -value } else { value }))
    }
}

impl<const PLACES: u32> Serialize for Decimal<PLACES> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if !serializer.is_human_readable() {
            return serializer.serialize_f64(self.as_f64());
        }
        let scale = 10i128.pow(PLACES);
        if let (Ok(whole), 0) = (i64::try_from(self.0 / scale), self.0 % scale) {
            return serializer.serialize_i64(whole);
        }
        // Up to 15 digits the shortest text of the float is the decimal itself; tiny ones would get an exponent.
        if self.0.abs() < 1_000_000_000_000_000 && self.0.abs() * 1000 > scale {
            return serializer.serialize_f64(self.as_f64());
        }
        serde_json::Number::from_string_unchecked(self.to_string()).serialize(serializer)
    }
}

impl<'de, const PLACES: u32> Deserialize<'de> for Decimal<PLACES> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let number = serde_json::Number::deserialize(deserializer)?;
        number.as_str().parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "tests")]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn writes_the_shortest_form() {
        for (units, text) in [
            (669_938, "6699.38"),
            (3000, "30"),
            (-1, "-0.01"),
            (0, "0"),
            (-3010, "-30.1"),
            (i128::from(i64::MAX), "92233720368547758.07"),
        ] {
            assert_eq!(serde_json::to_string(&Decimal::<2>(units)).unwrap(), text);
        }
        assert_eq!(serde_json::to_string(&Decimal::<6>(1)).unwrap(), "0.000001");
        assert_eq!(serde_json::to_string(&Decimal::<6>(-18_774_000)).unwrap(), "-18.774");
    }

    proptest! {
        #[test]
        fn json_is_exact(units in any::<i64>(), shift in 0u32..63) {
            let value = Decimal::<6>(i128::from(units >> shift));
            let json = serde_json::to_string(&value).unwrap();
            prop_assert_eq!(&json, &value.to_string());
            prop_assert_eq!(serde_json::from_str::<Decimal<6>>(&json).unwrap(), value);
            let packed = rmp_serde::to_vec(&value).unwrap();
            prop_assert_eq!(packed[0], 0xcb);
        }
    }
}
