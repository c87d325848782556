//! A private Redis server.

use std::path::{Path, PathBuf};
use std::time::Duration;

use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

use crate::certificates::{Authority, Certificate};
use crate::process::{Supervised, free_port};

const START_LIMIT: Duration = Duration::from_secs(20);

/// A Redis server of one test: empty, on a free port of 127.0.0.1, without persistence. It ends when dropped.
#[derive(Debug)]
pub struct RedisServer {
    process: Option<Supervised>,
    port: u16,
    args: Vec<String>,
    config: Option<PathBuf>,
    folder: TempDir,
}

impl RedisServer {
    /// Starts one.
    ///
    /// # Panics
    /// When `redis-server` is not installed or does not start.
    pub async fn start() -> Self {
        Self::start_with(&[]).await
    }

    /// Starts one with more arguments for `redis-server`, such as `["--maxmemory", "10mb"]`.
    ///
    /// # Panics
    /// As [`RedisServer::start`].
    pub async fn start_with(args: &[&str]) -> Self {
        Self::start_of(None, args).await
    }

    /// Starts one with a file of settings, which it may write; those of the other functions win over it.
    ///
    /// # Panics
    /// As [`RedisServer::start`].
    pub async fn start_from(config: &Path) -> Self {
        Self::start_of(Some(config), &[]).await
    }

    async fn start_of(config: Option<&Path>, args: &[&str]) -> Self {
        let mut last = String::new();
        // Somebody else may take a free port before the server does.
        for _ in 0..5 {
            let mut server = Self {
                process: None,
                port: free_port(),
                args: args.iter().map(ToString::to_string).collect(),
                config: config.map(Path::to_owned),
                folder: TempDir::with_prefix("hotshelf-redis-").expect("a temp folder"),
            };
            match server.try_start().await {
                Ok(()) => return server,
                Err(failure) => last = failure,
            }
        }
        panic!("redis-server does not start: {last}");
    }

    /// Starts one that speaks TLS at another port as well, with a certificate; `clients` is `yes` if it wants one of
    /// theirs by the same authority, else `no`. Gives that port.
    ///
    /// # Panics
    /// As [`RedisServer::start`].
    pub async fn start_with_tls(
        authority: &Authority,
        own: &Certificate,
        clients: &str,
        args: &[&str],
    ) -> (Self, u16) {
        let port = free_port();
        let [certificate, key, ca] =
            [&own.certificate, &own.key, &authority.file()].map(|path| path.display().to_string());
        let number = port.to_string();
        let mut all = vec!["--tls-port", &number, "--tls-cert-file", &certificate, "--tls-key-file", &key];
        all.extend(["--tls-ca-cert-file", &ca, "--tls-auth-clients", clients]);
        all.extend(args);
        (Self::start_with(&all).await, port)
    }

    /// `redis://127.0.0.1:port/`
    #[must_use]
    pub fn url(&self) -> String {
        format!("redis://{}/", self.address())
    }

    /// `127.0.0.1:port`
    #[must_use]
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// The port, the same after every [`RedisServer::start_again`].
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Kills the server; whoever connects now is refused.
    pub fn stop(&mut self) {
        self.process = None;
    }

    /// Starts the stopped server again on the same port, empty.
    ///
    /// # Panics
    /// As [`RedisServer::start`].
    pub async fn start_again(&mut self) {
        self.stop();
        if let Err(failure) = self.try_start().await {
            panic!("redis-server does not start again on port {}: {failure}", self.port);
        }
    }

    /// Removes everything, as an operator might.
    ///
    /// # Panics
    /// When the server does not answer.
    pub async fn flush_all(&self) {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).await.expect("redis answers");
        stream.write_all(b"FLUSHALL\r\n").await.expect("redis reads");
        let mut answer = [0; 5];
        stream.read_exact(&mut answer).await.expect("redis answers");
        assert_eq!(&answer, b"+OK\r\n", "FLUSHALL");
    }

    /// What the server answers to commands on one connection, the first line of each.
    ///
    /// # Panics
    /// When the server does not answer.
    pub async fn says(&self, commands: &[&str]) -> Vec<String> {
        let stream = TcpStream::connect(("127.0.0.1", self.port)).await.expect("redis answers");
        let mut stream = BufReader::new(stream);
        let mut answers = Vec::new();
        for command in commands {
            stream.write_all(format!("{command}\r\n").as_bytes()).await.expect("redis reads");
            let mut answer = String::new();
            stream.read_line(&mut answer).await.expect("redis answers");
            answers.push(answer.trim_end().to_owned());
        }
        answers
    }

    async fn try_start(&mut self) -> Result<(), String> {
        let program = crate::binary::find("redis-server", "redis-server");
        let folder = self.folder.path();
        // The file comes first, or is none.
        let mut args: Vec<String> = self.config.iter().map(|path| path.display().to_string()).collect();
        let own = ["--port", &self.port.to_string(), "--bind", "127.0.0.1", "--dir"];
        args.extend(own.iter().map(ToString::to_string));
        args.push(folder.display().to_string());
        args.extend(["--save", "", "--appendonly", "no", "--daemonize", "no"].map(str::to_owned));
        args.extend(self.args.iter().cloned());
        let process = Supervised::start(&program, &args, folder, "KILL", None);
        let port = self.port;
        self.process = Some(process.ready(START_LIMIT, async || answers(port).await).await?);
        Ok(())
    }
}

/// Whether a PING gets an answer; a demand for a password is one.
async fn answers(port: u16) -> bool {
    let ping = async {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).await?;
        stream.write_all(b"PING\r\n").await?;
        let mut answer = [0u8; 7];
        stream.read_exact(&mut answer).await?;
        Ok::<_, std::io::Error>(answer.starts_with(b"+PONG") || answer.starts_with(b"-NOAUTH"))
    };
    matches!(tokio::time::timeout(Duration::from_secs(1), ping).await, Ok(Ok(true)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn starts_stops_and_starts_again() {
        let mut server = RedisServer::start().await;
        assert!(answers(server.port()).await);
        server.stop();
        assert!(!answers(server.port()).await);
        server.start_again().await;
        assert!(answers(server.port()).await);
        let (port, folder) = (server.port(), server.folder.path().to_owned());
        drop(server);
        assert!(!answers(port).await && !folder.exists());
    }

    #[tokio::test]
    async fn takes_more_arguments() {
        let server = RedisServer::start_with(&["--requirepass", "secret"]).await;
        assert!(answers(server.port()).await);
    }
}
