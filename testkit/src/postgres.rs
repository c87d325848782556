//! A private PostgreSQL cluster.

use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use tempfile::TempDir;
use tokio::sync::OnceCell;
use tokio_postgres::Client;

use crate::certificates::Certificate;
use crate::process::{Supervised, User, free_port};

const START_LIMIT: Duration = Duration::from_secs(60);

/// Nobody needs a password, except the members of [`PostgresServer::PASSWORD_ROLE`], who over the socket must be who they say.
const HBA: &str = "local all +needs_password peer\n\
    local all all trust\n\
    host all +needs_password 127.0.0.1/32 scram-sha-256\n\
    host all all 127.0.0.1/32 trust\n";

static SHARED: OnceCell<PostgresServer> = OnceCell::const_new();

/// A PostgreSQL server of the tests, on a free port of 127.0.0.1 and a socket in a temp folder, without fsync.
#[derive(Debug)]
pub struct PostgresServer {
    process: Option<Supervised>,
    port: u16,
    folder: TempDir,
    user: Option<User>,
    databases: AtomicU32,
}

impl PostgresServer {
    /// A role whose members must give their password; everybody else is trusted.
    pub const PASSWORD_ROLE: &str = "needs_password";

    /// The one server that all tests of a binary share: every test takes a [`PostgresServer::fresh_database`].
    ///
    /// # Panics
    /// When PostgreSQL is not installed or does not start.
    pub async fn shared() -> &'static Self {
        SHARED.get_or_init(Self::start).await
    }

    /// A server of one's own, for tests that stop it.
    ///
    /// # Panics
    /// As [`PostgresServer::shared`].
    pub async fn start() -> Self {
        let folder = TempDir::with_prefix("hotshelf-pg-").expect("a temp folder");
        let user = unprivileged();
        if let Some(user) = user {
            std::os::unix::fs::chown(folder.path(), Some(user.uid), Some(user.gid))
                .expect("a folder of one's own");
        }
        let path = folder.path().to_owned();
        tokio::task::spawn_blocking(move || init_cluster(&path, user)).await.expect("initdb");
        let mut server = Self { process: None, port: 0, folder, user, databases: AtomicU32::new(0) };
        let mut last = String::new();
        // Somebody else may take a free port before the server does.
        for _ in 0..5 {
            server.port = free_port();
            match server.try_start().await {
                Ok(()) => {
                    let role = format!("CREATE ROLE {} NOLOGIN", Self::PASSWORD_ROLE);
                    server.execute("postgres", &role).await;
                    return server;
                }
                Err(failure) => last = failure,
            }
        }
        panic!("PostgreSQL does not start: {last}");
    }

    /// A new, empty database; its address as the superuser `postgres`.
    ///
    /// # Panics
    /// When the server does not answer.
    pub async fn fresh_database(&self) -> String {
        let name = format!("test_{}", self.databases.fetch_add(1, Ordering::Relaxed));
        self.execute("postgres", &format!("CREATE DATABASE {name}")).await;
        self.url(&name)
    }

    /// A new database after some statements; its address, and a client of it.
    ///
    /// # Panics
    /// When one fails.
    pub async fn database_after(&self, statements: &[&str]) -> (String, Client) {
        let url = self.fresh_database().await;
        let client = postgres_client(&url).await;
        for statements in statements {
            client
                .batch_execute(statements)
                .await
                .unwrap_or_else(|error| panic!("{error:?} in {statements}"));
        }
        (url, client)
    }

    /// The address of a database, as the superuser `postgres`.
    #[must_use]
    pub fn url(&self, database: &str) -> String {
        format!("postgres://postgres@127.0.0.1:{}/{database}", self.port)
    }

    /// The same over the server's socket.
    #[must_use]
    pub fn socket_url(&self, database: &str) -> String {
        let folder = self.folder.path().display().to_string().replace('/', "%2F");
        format!("postgres://postgres@{folder}:{}/{database}", self.port)
    }

    /// The port, the same after every [`PostgresServer::start_again`].
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Runs statements in a database.
    ///
    /// # Panics
    /// When one fails.
    pub async fn execute(&self, database: &str, statements: &str) {
        let client = connect(&self.url(database)).await.expect("a connection");
        client.batch_execute(statements).await.unwrap_or_else(|error| panic!("{error:?} in {statements}"));
    }

    /// Lets the server speak TLS from now on, with this certificate.
    ///
    /// # Panics
    /// When it does not.
    pub async fn enable_tls(&self, own: &Certificate) {
        for (from, to) in [(&own.certificate, "server.crt"), (&own.key, "server.key")] {
            let path = self.folder.path().join("data").join(to);
            std::fs::copy(from, &path).expect("a file of the cluster");
            // The server uses no key that others may read.
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).expect("rights");
            if let Some(user) = self.user {
                std::os::unix::fs::chown(&path, Some(user.uid), Some(user.gid)).expect("an owner");
            }
        }
        self.execute("postgres", "ALTER SYSTEM SET ssl = on").await;
        self.execute("postgres", "SELECT pg_reload_conf()").await;
        crate::wait_until("PostgreSQL speaks TLS", START_LIMIT, async || {
            let client = postgres_client(&self.url("postgres")).await;
            client.query_one("SHOW ssl", &[]).await.is_ok_and(|row| row.get::<_, String>(0) == "on")
        })
        .await;
    }

    /// Stops the server at once, as a crash would; its data stay.
    pub fn stop(&mut self) {
        self.process = None;
    }

    /// Starts the stopped server again on the same port, with its data.
    ///
    /// # Panics
    /// As [`PostgresServer::shared`].
    pub async fn start_again(&mut self) {
        self.stop();
        if let Err(failure) = self.try_start().await {
            panic!("PostgreSQL does not start again on port {}: {failure}", self.port);
        }
    }

    async fn try_start(&mut self) -> Result<(), String> {
        let program = crate::binary::find("postgres", "postgresql");
        let folder = self.folder.path().display().to_string();
        let data = format!("{folder}/data");
        let (port, sockets) = (self.port.to_string(), format!("unix_socket_directories={folder}"));
        // A commit still reaches the operating system, so that it outlives `stop`.
        let args = [
            "-D",
            &data,
            "-p",
            &port,
            "-c",
            "listen_addresses=127.0.0.1",
            "-c",
            &sockets,
            "-c",
            "fsync=off",
            "-c",
            "full_page_writes=off",
            "-c",
            "max_connections=200",
            "-c",
            "max_wal_size=4GB",
        ];
        let process = Supervised::start(&program, &args, self.folder.path(), "QUIT", self.user);
        let url = self.url("postgres");
        self.process = Some(process.ready(START_LIMIT, async || connect(&url).await.is_ok()).await?);
        Ok(())
    }
}

/// Makes a cluster whose default order of texts is not the byte order, as on most servers.
fn init_cluster(folder: &Path, user: Option<User>) {
    let data = folder.join("data").display().to_string();
    let common =
        ["-D", &data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-sync", "--no-instructions"];
    let mut args: Vec<String> = common.map(str::to_owned).to_vec();
    let plain = args.clone();
    args.extend(["--locale=C.UTF-8", "--locale-provider=icu", "--icu-locale=en-US"].map(str::to_owned));
    // PostgreSQL before 15, or built without ICU, does not know these options.
    if run("initdb", &args, user).is_err() {
        let done = run("initdb", &plain, user);
        assert!(done.is_ok(), "initdb: {}", done.unwrap_err());
    }
    std::fs::write(folder.join("data/pg_hba.conf"), HBA).expect("a file of the new cluster");
}

fn run(program: &str, args: &[String], user: Option<User>) -> Result<(), String> {
    use std::os::unix::process::CommandExt;
    let mut command = Command::new(crate::binary::find(program, "postgresql"));
    command.args(args).current_dir("/");
    if let Some(user) = user {
        command.gid(user.gid).uid(user.uid);
    }
    let output = command.output().map_err(|error| error.to_string())?;
    if output.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&output.stderr).into_owned()) }
}

/// Whom PostgreSQL runs as: it refuses to run as root, so root takes `postgres`, else `nobody`.
fn unprivileged() -> Option<User> {
    if std::fs::metadata("/proc/self").ok()?.uid() != 0 {
        return None;
    }
    let users = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    ["postgres", "nobody"].into_iter().find_map(|name| {
        let line = users.lines().find(|line| line.split(':').next() == Some(name))?;
        let mut fields = line.split(':').skip(2);
        Some(User { uid: fields.next()?.parse().ok()?, gid: fields.next()?.parse().ok()? })
    })
}

/// A client of a database.
///
/// # Panics
/// When it does not answer.
pub async fn postgres_client(url: &str) -> Client {
    connect(url).await.unwrap_or_else(|error| panic!("{error:?} at {url}"))
}

async fn connect(url: &str) -> Result<Client, tokio_postgres::Error> {
    let (client, connection) = tokio_postgres::connect(url, tokio_postgres::NoTls).await?;
    // It ends when the client is dropped.
    #[allow(clippy::disallowed_methods, reason = "ends with the client, whose calls report its failure")]
    tokio::spawn(connection);
    Ok(client)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn keeps_its_data_over_a_crash() {
        let mut server = PostgresServer::start().await;
        server.execute("postgres", "CREATE TABLE kept (n int); INSERT INTO kept VALUES (1)").await;
        server.stop();
        assert!(std::net::TcpStream::connect(("127.0.0.1", server.port())).is_err());
        server.start_again().await;
        server.execute("postgres", "INSERT INTO kept SELECT n + 1 FROM kept").await;
    }

    #[tokio::test]
    async fn databases_are_apart() {
        let server = PostgresServer::shared().await;
        assert_ne!(server.fresh_database().await, server.fresh_database().await);
    }
}
