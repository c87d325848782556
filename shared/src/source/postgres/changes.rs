//! Which store-days changed: noted by triggers (`config/changes.sql`), or found by comparing fingerprints.

mod dirty;
mod fingerprint;
mod listen;
mod watch;

pub(super) use watch::{Watch, refused};

pub use dirty::DirtyBatch;
pub use fingerprint::{Fingerprint, Fingerprints, changed};
pub use listen::ChangeListener;
pub use watch::CHANGES;
