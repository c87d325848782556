//! The socket of a service manager, on which services tell that they are ready, hang or stop (`sd_notify(3)`).

use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::net::UnixDatagram;

const PATIENCE: Duration = Duration::from_secs(60);

/// Hears what a process tells that has its path in `NOTIFY_SOCKET`.
pub struct NotifySocket {
    socket: UnixDatagram,
    path: PathBuf,
}

impl NotifySocket {
    /// A socket in this folder. To be called within a tokio runtime.
    ///
    /// # Panics
    /// If it cannot be made.
    #[must_use]
    pub fn new(folder: &Path) -> Self {
        let path = folder.join("notify");
        Self { socket: UnixDatagram::bind(&path).unwrap(), path }
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The next message that holds `what`.
    ///
    /// # Panics
    /// If none comes within a minute.
    pub async fn hears(&self, what: &str) -> String {
        self.hears_until(what).await.pop().unwrap()
    }

    /// Messages up to one that holds `what`.
    ///
    /// # Panics
    /// If none comes within a minute.
    pub async fn hears_until(&self, what: &str) -> Vec<String> {
        let mut messages = Vec::new();
        let hear = async {
            loop {
                let mut buffer = [0; 4096];
                let length = self.socket.recv(&mut buffer).await.unwrap();
                messages.push(String::from_utf8(buffer[..length].to_vec()).unwrap());
                if messages.last().unwrap().contains(what) {
                    return;
                }
            }
        };
        let heard = tokio::time::timeout(PATIENCE, hear).await;
        assert!(heard.is_ok(), "the manager never heard {what:?}, only {messages:?}");
        messages
    }
}
