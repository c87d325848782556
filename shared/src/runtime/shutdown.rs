//! What ends a daemon: signals, and requests of what manages it.

use std::sync::{Mutex, PoisonError};

use tokio::sync::Notify;

/// Exit code after a second signal, as shells give it for SIGINT.
const EXIT_AT_ONCE: i32 = 130;

/// Of this process.
static REQUESTS: Requests = Requests::new();

/// Asks this process to stop as a signal would; `by` is who asks, for the log. What asked twice asked twice: it ends at
/// once.
pub fn request(by: &'static str) {
    REQUESTS.ask(by);
}

/// Completes on the first SIGTERM or SIGINT (on Windows: Ctrl-C, Ctrl-Break, or its console is closed) or [`request`],
/// with its name. A second one ends the process at once, whatever is in flight.
///
/// # Errors
/// If the signals cannot be listened to.
pub async fn requested() -> std::io::Result<&'static str> {
    let mut signals = Signals::listen()?;
    let first = next(&mut signals).await;
    watch_for_second(signals);
    Ok(first)
}

async fn next(signals: &mut Signals) -> &'static str {
    tokio::select! {
        signal = signals.next() => signal,
        by = REQUESTS.next() => by,
    }
}

#[allow(
    clippy::disallowed_methods,
    reason = "asked twice: waits for nothing and nobody, not even destructors"
)]
fn watch_for_second(mut signals: Signals) {
    tokio::spawn(async move {
        let second = next(&mut signals).await;
        tracing::warn!(signal = second, "second signal, ending at once");
        super::logging::finish();
        std::process::exit(EXIT_AT_ONCE)
    });
}

/// Requests that wait to be heard: one that comes while nobody listens is heard by who listens next.
struct Requests {
    by: Mutex<&'static str>,
    asked: Notify,
}

impl Requests {
    const fn new() -> Self {
        Self { by: Mutex::new(""), asked: Notify::const_new() }
    }

    fn ask(&self, by: &'static str) {
        *self.by.lock().unwrap_or_else(PoisonError::into_inner) = by;
        self.asked.notify_one();
    }

    async fn next(&self) -> &'static str {
        self.asked.notified().await;
        *self.by.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(unix)]
struct Signals {
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    fn listen() -> std::io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}

/// Logoff and shutdown are for services: those are told by their manager, and live on when somebody logs off.
#[cfg(not(unix))]
struct Signals {
    interrupt: tokio::signal::windows::CtrlC,
    break_key: tokio::signal::windows::CtrlBreak,
    close: tokio::signal::windows::CtrlClose,
}

#[cfg(not(unix))]
impl Signals {
    fn listen() -> std::io::Result<Self> {
        use tokio::signal::windows::{ctrl_break, ctrl_c, ctrl_close};
        Ok(Self { interrupt: ctrl_c()?, break_key: ctrl_break()?, close: ctrl_close()? })
    }

    async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.interrupt.recv() => "Ctrl-C",
            _ = self.break_key.recv() => "Ctrl-Break",
            _ = self.close.recv() => "closing of the console",
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_request_is_heard_also_by_who_listens_later() {
        let requests = Requests::new();
        requests.ask("stop control");
        assert_eq!(requests.next().await, "stop control");
        let (heard, ()) = tokio::join!(requests.next(), async { requests.ask("shutdown control") });
        assert_eq!(heard, "shutdown control");
        let mut third = std::pin::pin!(requests.next());
        let nothing = std::future::poll_fn(|context| std::task::Poll::Ready(third.as_mut().poll(context)));
        assert!(nothing.await.is_pending(), "each is heard once");
    }

    /// The only test of this program that asks for its end.
    #[tokio::test]
    async fn a_daemon_hears_requests_as_signals() {
        let mut stop = std::pin::pin!(requested());
        let nothing = std::future::poll_fn(|context| std::task::Poll::Ready(stop.as_mut().poll(context)));
        assert!(nothing.await.is_pending());
        request("stop control");
        assert_eq!(stop.await.unwrap(), "stop control");
    }
}
