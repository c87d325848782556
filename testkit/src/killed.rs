//! A program that a test started, and that does not outlive it.

use std::process::Child;
use std::time::Duration;

use crate::wait::wait_until;

const PATIENCE: Duration = Duration::from_secs(60);

/// Killed when dropped.
#[derive(Debug)]
pub struct KilledOnDrop(pub Child);

impl KilledOnDrop {
    /// Waits until it ends; its exit code, if it was not a signal that ended it.
    ///
    /// # Panics
    /// If it still runs after a minute.
    pub async fn ended(&mut self) -> Option<i32> {
        let mut status = None;
        wait_until("the end of the program", PATIENCE, async || {
            status = self.0.try_wait().unwrap();
            status.is_some()
        })
        .await;
        status.unwrap().code()
    }
}

impl Drop for KilledOnDrop {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
