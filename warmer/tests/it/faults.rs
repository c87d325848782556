//! Servers that fail while the daemon runs.
