//! The signals that end a daemon.

/// Exit code after a second signal, as shells give it for SIGINT.
const EXIT_AT_ONCE: i32 = 130;

/// Completes on the first SIGTERM or SIGINT (Ctrl-C on Windows), with its name. A second signal ends the process at
/// once, whatever is in flight.
///
/// # Errors
/// If the signals cannot be listened to.
pub async fn requested() -> std::io::Result<&'static str> {
    let mut signals = Signals::listen()?;
    let first = signals.next().await;
    watch_for_second(signals);
    Ok(first)
}

#[allow(
    clippy::disallowed_methods,
    reason = "asked twice: waits for nothing and nobody, not even destructors"
)]
fn watch_for_second(mut signals: Signals) {
    tokio::spawn(async move {
        let second = signals.next().await;
        tracing::warn!(signal = second, "second signal, ending at once");
        std::process::exit(EXIT_AT_ONCE)
    });
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

#[cfg(not(unix))]
struct Signals {
    interrupt: tokio::signal::windows::CtrlC,
}

#[cfg(not(unix))]
impl Signals {
    fn listen() -> std::io::Result<Self> {
        Ok(Self { interrupt: tokio::signal::windows::ctrl_c()? })
    }

    async fn next(&mut self) -> &'static str {
        self.interrupt.recv().await;
        "Ctrl-C"
    }
}
