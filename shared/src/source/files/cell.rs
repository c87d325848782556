//! One raw value of a file, before a column makes something of it.

use std::borrow::Cow;

use super::numbers;
use super::times;
use crate::model::money::{NumberFault, write_decimal};
use crate::model::{Day, LocalTime, Money};

/// A raw value. Whole numbers are decimals of scale 0.
#[derive(Clone, Debug, PartialEq)]
pub enum Cell<'a> {
    /// Nothing.
    Empty,
    /// A text as the file has it, also a number or time that is written as one.
    Text(Cow<'a, str>),
    /// A binary number of 64 bits.
    Float(f64),
    /// A binary number of 32 bits.
    Single(f32),
    /// The number `unscaled` × 10^-`scale`.
    Decimal {
        /// Its digits.
        unscaled: i128,
        /// How many of them are decimals; negative for zeros before the point.
        scale: i32,
    },
    /// A store-local time.
    Time(LocalTime),
}

impl Cell<'_> {
    /// A text.
    #[must_use]
    pub fn text(text: &str) -> Cell<'_> {
        Cell::Text(Cow::Borrowed(text))
    }

    /// Whether the next heading of the column is looked at instead.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        match self {
            Self::Empty => true,
            Self::Text(text) => text.trim().is_empty(),
            Self::Float(value) => value.is_nan(),
            Self::Single(value) => value.is_nan(),
            Self::Decimal { .. } | Self::Time(_) => false,
        }
    }

    /// Appends what a text column makes of it: text without blanks around, a number as its shortest decimal text.
    ///
    /// # Errors
    /// For a number that is infinite.
    pub fn write_text(&self, out: &mut String) -> Result<(), NumberFault> {
        use std::fmt::Write as _;
        // Writing to a string cannot fail.
        let _ = match self {
            Self::Empty => Ok(()),
            Self::Text(text) => {
                out.push_str(text.trim());
                Ok(())
            }
            Self::Float(value) if value.is_nan() => Ok(()),
            Self::Single(value) if value.is_nan() => Ok(()),
            Self::Float(value) if value.is_infinite() => return Err(NumberFault::BadNumber),
            Self::Single(value) if value.is_infinite() => return Err(NumberFault::BadNumber),
            // Adding zero turns -0 into 0.
            Self::Float(value) => write!(out, "{}", value + 0.0),
            Self::Single(value) => write!(out, "{}", value + 0.0),
            Self::Decimal { unscaled, scale } => match u32::try_from(*scale) {
                Ok(places) if places <= 38 => write_decimal(out, *unscaled, places),
                _ => match 10i128.checked_pow(scale.unsigned_abs()).and_then(|f| unscaled.checked_mul(f)) {
                    Some(whole) if *scale < 0 => write!(out, "{whole}"),
                    _ if *unscaled == 0 => write!(out, "0"),
                    _ => write!(out, "{unscaled}e{}", -i64::from(*scale)),
                },
            },
            Self::Time(time) => write!(out, "{time}"),
        };
        Ok(())
    }

    /// The value as the file has it, for a rejected row.
    #[must_use]
    pub fn raw(&self) -> String {
        let mut out = String::new();
        match (self.write_text(&mut out), self) {
            (Err(_), Self::Float(value)) => value.to_string(),
            (Err(_), Self::Single(value)) => value.to_string(),
            _ => out,
        }
    }

    /// What a money column makes of it; `None` if absent.
    ///
    /// # Errors
    /// What keeps it from being an amount of micro-units.
    pub fn money(&self) -> Result<Option<Money>, NumberFault> {
        match self {
            Self::Empty => Ok(None),
            Self::Text(text) => numbers::money(text),
            Self::Float(value) => Money::from_f64(*value),
            Self::Single(value) => Money::from_f32(*value),
            Self::Decimal { unscaled, scale } => Money::from_decimal(*unscaled, *scale).map(Some),
            Self::Time(_) => Err(NumberFault::BadNumber),
        }
    }

    /// What a column of whole numbers makes of it; `None` if absent.
    ///
    /// # Errors
    /// What keeps it from being a whole number of 32 bits.
    pub fn integer(&self) -> Result<Option<i32>, NumberFault> {
        let wide = match self {
            Self::Empty => None,
            Self::Text(text) => numbers::integer(text)?,
            Self::Float(value) => numbers::whole(*value)?,
            Self::Single(value) => numbers::whole(shortest(*value))?,
            Self::Decimal { unscaled, scale: 0 } => {
                Some(i64::try_from(*unscaled).map_err(|_| NumberFault::Overflow)?)
            }
            Self::Decimal { .. } => numbers::integer(&self.raw())?,
            Self::Time(_) => return Err(NumberFault::BadNumber),
        };
        wide.map(|value| i32::try_from(value).map_err(|_| NumberFault::Overflow)).transpose()
    }

    /// What the time column makes of it; `None` if it is not a time of the years 1970–2199.
    #[must_use]
    pub fn time(&self) -> Option<LocalTime> {
        match self {
            Self::Text(text) => times::parse(text),
            Self::Time(time) => (Day::MIN..=Day::MAX).contains(&time.day()).then_some(*time),
            _ => None,
        }
    }
}

/// The number that the shortest decimal text of a binary number of 32 bits says, which is what it stands for in every
/// column. Beyond 2^24 that is not always the number itself.
fn shortest(value: f32) -> f64 {
    value.to_string().parse().unwrap_or_else(|_| f64::from(value))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn text(cell: &Cell<'_>) -> String {
        let mut out = String::new();
        cell.write_text(&mut out).unwrap();
        out
    }

    #[test]
    fn a_number_in_a_text_column_is_its_shortest_decimal_text() {
        assert_eq!(text(&Cell::Float(6_901_234_567_890.0)), "6901234567890");
        assert_eq!(text(&Cell::Float(0.1)), "0.1");
        assert_eq!(text(&Cell::Float(-0.0)), "0");
        assert_eq!(text(&Cell::Float(1e22)), "10000000000000000000000");
        assert_eq!(text(&Cell::Single(0.1)), "0.1");
        assert_eq!(text(&Cell::Float(f64::NAN)), "");
        assert_eq!(text(&Cell::Decimal { unscaled: 12_300, scale: 3 }), "12.3");
        assert_eq!(text(&Cell::Decimal { unscaled: 12, scale: -2 }), "1200");
        assert_eq!(text(&Cell::Decimal { unscaled: 12, scale: i32::MIN }), "12e2147483648");
        let zero = Cell::Decimal { unscaled: 0, scale: -130 };
        assert_eq!(
            (text(&zero).as_str(), zero.money(), zero.integer()),
            ("0", Ok(Some(Money(0))), Ok(Some(0)))
        );
        assert_eq!(text(&Cell::text("\u{3000}薯片 \u{a0}")), "薯片");
        assert_eq!(Cell::Float(f64::INFINITY).write_text(&mut String::new()), Err(NumberFault::BadNumber));
        assert_eq!(Cell::Float(f64::NEG_INFINITY).raw(), "-inf");
    }

    #[test]
    fn a_single_stands_for_the_same_number_in_every_column() {
        let single = Cell::Single(53_564_728.0);
        assert_eq!(text(&single), "53564730");
        assert_eq!(single.integer(), Ok(Some(53_564_730)));
        assert_eq!(single.money(), Ok(Some(Money(53_564_730_000_000))));
    }

    #[test]
    fn whole_numbers_are_whole_and_fit_32_bits() {
        assert_eq!(Cell::Float(2.0).integer(), Ok(Some(2)));
        assert_eq!(Cell::Float(1.5).integer(), Err(NumberFault::NotInteger));
        assert_eq!(Cell::Float(3e9).integer(), Err(NumberFault::Overflow));
        assert_eq!(Cell::Float(f64::NAN).integer(), Ok(None));
        assert_eq!(Cell::Single(f32::NAN).integer(), Ok(None));
        assert_eq!(Cell::Single(f32::INFINITY).integer(), Err(NumberFault::BadNumber));
        assert_eq!(Cell::Single(0.1).integer(), Err(NumberFault::NotInteger));
        assert_eq!(Cell::Float(f64::INFINITY).integer(), Err(NumberFault::BadNumber));
        assert_eq!(Cell::Decimal { unscaled: 200, scale: 2 }.integer(), Ok(Some(2)));
        assert_eq!(Cell::Decimal { unscaled: 250, scale: 2 }.integer(), Err(NumberFault::NotInteger));
        assert_eq!(Cell::text("2147483648").integer(), Err(NumberFault::Overflow));
        assert_eq!(Cell::text("-2147483648").integer(), Ok(Some(i32::MIN)));
    }
}
