//! The vocabulary: money, days, order lines, rule settings and questions. Pure.

pub mod column;
pub mod day;
pub mod directory;
pub mod lines;
pub mod money;
pub mod number;
pub mod query;
pub mod relative;
pub mod rules;
pub mod version;

pub use column::{Column, Kind};
pub use day::{Day, DayRange, LocalTime};
pub use directory::{DaySet, Directory, StoreInfo};
pub use lines::{ABSENT, Line, Lines, LinesView, TextColumn, Texts};
pub use money::{Amount, Money};
pub use query::{Ask, AskError, ChannelFilter, Document, Query};
pub use relative::RelativeAsk;
pub use rules::Rules;
pub use version::DataVersion;
