//! What makes a daemon read its settings again: a signal, or a request of what manages it.

use tokio::sync::Notify;

/// How it is asked for, for the log.
#[cfg(unix)]
pub const RELOAD: &str = "SIGHUP";
/// How it is asked for, for the log.
#[cfg(not(unix))]
pub const RELOAD: &str = "paramchange";

/// Of this process.
static REQUESTED: Notify = Notify::const_new();

/// Asks this process to read its settings again, as the signal does.
pub fn request() {
    REQUESTED.notify_one();
}

/// SIGHUP and [`request`]; only the latter where there is no such signal.
#[derive(Debug)]
pub struct ReloadSignal {
    #[cfg(unix)]
    hangup: tokio::signal::unix::Signal,
}

impl ReloadSignal {
    /// Listens from now on: without it, the signal would end the process.
    ///
    /// # Errors
    /// If the signal cannot be listened to.
    pub fn listen() -> std::io::Result<Self> {
        Ok(Self {
            #[cfg(unix)]
            hangup: tokio::signal::unix::signal(tokio::signal::unix::SignalKind::hangup())?,
        })
    }

    /// Completes when it was asked for. Requests that come while nobody waits are one.
    pub async fn next(&mut self) {
        tokio::select! {
            () = self.hangup() => {}
            () = REQUESTED.notified() => {}
        }
    }

    #[cfg(unix)]
    async fn hangup(&mut self) {
        if self.hangup.recv().await.is_none() {
            std::future::pending::<()>().await;
        }
    }

    #[cfg(not(unix))]
    async fn hangup(&mut self) {
        std::future::pending::<()>().await;
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[tokio::test]
    async fn requests_that_nobody_waited_for_are_one() {
        let mut signal = ReloadSignal::listen().unwrap();
        request();
        request();
        signal.next().await;
        let mut again = std::pin::pin!(signal.next());
        let nothing = std::future::poll_fn(|context| std::task::Poll::Ready(again.as_mut().poll(context)));
        assert!(nothing.await.is_pending());
        request();
        again.await;
    }
}
