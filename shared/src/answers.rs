//! From a question and the cells of its stores to the document that answers it: the one path that warmer and gateway
//! share.

pub mod compose;
pub mod documents;
pub mod number;
pub mod orders;
pub mod query;
mod store_table;
mod top_products;
pub mod version;

pub use compose::{Data, Part, StoreData, Work};
pub use query::{Ask, AskError, Document, Query};
pub use version::DataVersion;
