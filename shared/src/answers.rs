//! From a question and the cells of its stores to the document that answers it: the one path that warmer and gateway
//! share.

pub mod compose;
pub mod documents;
pub mod orders;
pub mod parameters;
pub mod response;
mod store_table;
mod top_products;

pub use compose::{Data, Part, StoreData, Work};
