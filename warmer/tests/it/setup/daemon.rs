//! The warmer as these users.
