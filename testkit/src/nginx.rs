//! A private nginx that runs the configuration we ship.

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;

use crate::process::{Supervised, free_port};

const START_LIMIT: Duration = Duration::from_secs(20);
/// Addresses in `config/nginx.conf`: its own, and those of the gateways.
const LISTEN: &str = "127.0.0.1:8080";
const GATEWAYS: [&str; 2] = ["127.0.0.1:8081", "127.0.0.1:8082"];
/// Folders that nginx makes for itself where only root may.
const FOLDERS: [&str; 5] = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];

/// An nginx of one test, on a free port of 127.0.0.1. It ends when dropped.
#[derive(Debug)]
pub struct Nginx {
    process: Option<Supervised>,
    port: u16,
    folder: TempDir,
}

impl Nginx {
    /// Starts one with the text of a configuration, of which only the addresses are others: its own, and those of the two
    /// gateways.
    ///
    /// # Panics
    /// When `nginx` is not installed or does not start, or the configuration does not have the addresses.
    pub async fn start(config: &str, gateways: [&str; 2]) -> Self {
        let mut last = String::new();
        // Somebody else may take a free port before the server does.
        for _ in 0..5 {
            let folder = TempDir::with_prefix("hotshelf-nginx-").expect("a temp folder");
            let mut server = Self { process: None, port: free_port(), folder };
            match server.try_start(config, gateways).await {
                Ok(()) => return server,
                Err(failure) => last = failure,
            }
        }
        panic!("nginx does not start: {last}");
    }

    /// `127.0.0.1:port`
    #[must_use]
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// What nginx wrote so far.
    #[must_use]
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    /// What `nginx -t` says of a file as it is, and whether nginx would start with it.
    ///
    /// # Panics
    /// When `nginx` is not installed.
    #[must_use]
    pub fn check(file: &Path) -> (bool, String) {
        let folder = TempDir::with_prefix("hotshelf-nginx-").expect("a temp folder");
        let output = Command::new(crate::binary::find("nginx", "nginx-light"))
            .arg("-t")
            .arg("-p")
            .arg(folder.path())
            .arg("-c")
            .arg(file)
            .args(["-g", &format!("pid {};", folder.path().join("pid").display())])
            .output()
            .expect("nginx can be started");
        (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned())
    }

    async fn try_start(&mut self, config: &str, gateways: [&str; 2]) -> Result<(), String> {
        let folder = self.folder.path();
        let mut text = config.to_owned();
        let own = self.address();
        // None of them can be part of another: ports that are free have five digits.
        for (shipped, other) in
            [(LISTEN, own.as_str()), (GATEWAYS[0], gateways[0]), (GATEWAYS[1], gateways[1])]
        {
            assert!(text.contains(shipped), "the configuration does not have {shipped}");
            text = text.replace(shipped, other);
        }
        let paths: String = FOLDERS
            .iter()
            .map(|name| format!("    {name}_temp_path {};\n", folder.join(name).display()))
            .collect();
        assert!(text.contains("\nhttp {\n"), "the configuration has no http");
        text = text.replace("\nhttp {\n", &format!("\nhttp {{\n{paths}"));
        let file = folder.join("nginx.conf");
        std::fs::write(&file, text).map_err(|error| error.to_string())?;
        let mut globals =
            format!("daemon off; pid {}; error_log stderr notice;", folder.join("pid").display());
        // Workers of root would be of another user, who cannot enter the folder.
        if std::fs::metadata(folder).is_ok_and(|folder| folder.uid() == 0) {
            globals.push_str(" user root;");
        }
        let program = crate::binary::find("nginx", "nginx-light");
        let [folder_text, file_text] = [folder, &file].map(|path| path.display().to_string());
        let args = ["-p", &folder_text, "-c", &file_text, "-g", &globals];
        let process = Supervised::start(&program, &args, folder, "TERM", None);
        let log = folder.join("log");
        let serves =
            async || std::fs::read_to_string(&log).is_ok_and(|log| log.contains("start worker process "));
        self.process = Some(process.ready(START_LIMIT, serves).await?);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpStream;

    use super::*;

    const CONFIG: &str = "events {}\nhttp {\n access_log off;\n upstream all { server 127.0.0.1:8081; server 127.0.0.1:8082; }\n \
                          server { listen 127.0.0.1:8080; return 204; }\n}\n";

    #[tokio::test]
    async fn serves_and_goes_when_dropped() {
        let nginx = Nginx::start(CONFIG, ["127.0.0.1:1", "127.0.0.1:2"]).await;
        let mut stream = TcpStream::connect(nginx.address()).await.unwrap();
        stream.write_all(b"GET / HTTP/1.0\r\n\r\n").await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 204 "), "{answer}");
        let (address, folder) = (nginx.address(), nginx.folder.path().to_owned());
        drop(nginx);
        assert!(TcpStream::connect(address).await.is_err() && !folder.exists());
    }

    #[test]
    fn tells_what_does_not_fit() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "events {}\nhttp { listen; }\n").unwrap();
        let (fits, said) = Nginx::check(file.path());
        assert!(!fits && said.contains("listen"), "{said}");
    }
}
