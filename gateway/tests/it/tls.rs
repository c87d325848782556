//! TLS towards clients.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use gateway::Front;
use gateway::server::Tls;
use http::Request;
use http_body_util::{BodyExt as _, Empty};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::pki_types::ServerName;
use shared::config::TlsSettings;
use shared::tls::Trust;
use testkit::{Authority, Certificate, wait_until};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::client;
use crate::fixture::{self, Gateway};
use crate::process::Process;

const LIMIT: Duration = Duration::from_secs(60);
const LIVEZ: &[u8] = b"GET /livez HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";

/// With this certificate, for any client.
pub(crate) fn settings(own: &Certificate) -> TlsSettings {
    TlsSettings {
        certificate: Some(own.certificate.clone()),
        key: Some(own.key.clone()),
        client_ca: None,
        handshake_timeout: LIMIT,
    }
}

async fn start(settings: &TlsSettings) -> (Gateway, Tls) {
    let tls = Tls::load(settings).unwrap().unwrap();
    let listeners = fixture::local().await.with_tls(Some(tls.clone()));
    (Gateway::serve(Front::new(), listeners, fixture::settings().gateway), tls)
}

/// Connects as a client that trusts an authority.
async fn connect(
    address: &str,
    ca: &Path,
    own: Option<&Certificate>,
    protocol: &[u8],
) -> std::io::Result<TlsStream<TcpStream>> {
    let own = own.map(|own| (own.certificate.as_path(), own.key.as_path()));
    let mut config = shared::tls::client("test", Trust::Full, Some(ca), own).unwrap();
    config.alpn_protocols = vec![protocol.to_vec()];
    let stream = TcpStream::connect(address).await?;
    TlsConnector::from(Arc::new(config)).connect(ServerName::try_from("localhost").unwrap(), stream).await
}

/// What `/livez` answers; TLS 1.3 tells a client only with its first bytes that it is refused.
async fn ask(address: &str, ca: &Path, own: Option<&Certificate>) -> std::io::Result<String> {
    send(address, ca, own, LIVEZ).await
}

/// What comes back until the gateway closes.
async fn send(
    address: &str,
    ca: &Path,
    own: Option<&Certificate>,
    request: &[u8],
) -> std::io::Result<String> {
    let mut stream = connect(address, ca, own, b"http/1.1").await?;
    stream.write_all(request).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    Ok(answer)
}

#[tokio::test]
async fn both_versions_of_http_by_what_the_client_offers() {
    let authority = Authority::new();
    let (gateway, _) = start(&settings(&authority.issue("gateway", &["localhost"]))).await;
    assert!(ask(&gateway.address, &authority.file(), None).await.unwrap().ends_with("alive\n"));

    let stream = connect(&gateway.address, &authority.file(), None, b"h2").await.unwrap();
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    let (mut http2, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    let request = Request::get("https://localhost/livez").body(Empty::<Bytes>::new()).unwrap();
    let answer = http2.send_request(request).await.unwrap();
    assert_eq!(answer.into_body().collect().await.unwrap().to_bytes(), "alive\n");

    // Who does not know the authority does not connect, and who speaks no TLS hears no HTTP.
    assert!(ask(&gateway.address, &Authority::new().file(), None).await.is_err());
    let plain = client::raw_or_torn(&gateway.address, LIVEZ).await;
    assert!(!plain.contains("HTTP/"), "{plain}");
}

/// Also by those answers that come from no route.
#[tokio::test]
async fn browsers_are_told_to_come_by_tls_only() {
    let authority = Authority::new();
    let (gateway, _) = start(&settings(&authority.issue("gateway", &["localhost"]))).await;
    for (request, status) in [
        (&b"no HTTP\r\n\r\n"[..], "400"),
        (b"GET /livez HTTP/1.1\r\n\r\n", "400"),
        (b"POST /livez HTTP/1.1\r\nhost: x\r\ncontent-length: 1000000\r\n\r\n", "413"),
    ] {
        let answer = send(&gateway.address, &authority.file(), None, request).await.unwrap();
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
        assert!(answer.contains("\r\nstrict-transport-security: max-age="), "{answer}");
    }
}

#[tokio::test]
async fn only_clients_with_a_certificate_if_that_is_wanted() {
    let (authority, clients) = (Authority::new(), Authority::new());
    let own = authority.issue("gateway", &["localhost"]);
    let (gateway, _) = start(&TlsSettings { client_ca: Some(clients.file()), ..settings(&own) }).await;
    let known = clients.issue("client", &["client"]);
    let answer = ask(&gateway.address, &authority.file(), Some(&known)).await.unwrap();
    assert!(answer.ends_with("alive\n"), "{answer}");
    for other in [None, Some(&own)] {
        assert!(ask(&gateway.address, &authority.file(), other).await.is_err());
    }
}

#[tokio::test]
async fn a_handshake_has_its_time() {
    let authority = Authority::new();
    let own = authority.issue("gateway", &["localhost"]);
    let short = TlsSettings { handshake_timeout: Duration::from_millis(200), ..settings(&own) };
    let (gateway, _) = start(&short).await;
    let mut silent = TcpStream::connect(&gateway.address).await.unwrap();
    let end = tokio::time::timeout(LIMIT, silent.read_to_end(&mut Vec::new())).await;
    assert!(end.is_ok(), "a client that does not greet must be cut off");
}

#[tokio::test]
async fn certificates_are_replaced_as_a_whole_or_not_at_all() {
    let (old, new) = (Authority::new(), Authority::new());
    let own = old.issue("gateway", &["localhost"]);
    let (gateway, tls) = start(&settings(&own)).await;
    let mut kept = connect(&gateway.address, &old.file(), None, b"http/1.1").await.unwrap();

    // A certificate whose key is not there yet.
    let next = new.issue("gateway", &["localhost"]);
    std::fs::copy(&next.certificate, &own.certificate).unwrap();
    let told = tls.reload().unwrap_err().to_string();
    assert!(told.contains("tls.key") && told.contains("belongs"), "{told}");
    ask(&gateway.address, &old.file(), None).await.unwrap();

    std::fs::copy(&next.key, &own.key).unwrap();
    tls.reload().unwrap();
    ask(&gateway.address, &new.file(), None).await.unwrap();
    assert!(ask(&gateway.address, &old.file(), None).await.is_err());
    // Connections that are there go on.
    kept.write_all(LIVEZ).await.unwrap();
    let mut answer = String::new();
    kept.read_to_string(&mut answer).await.unwrap();
    assert!(answer.ends_with("alive\n"), "{answer}");
}

#[tokio::test]
async fn sighup_reads_certificates_again() {
    let (old, new) = (Authority::new(), Authority::new());
    let own = old.issue("gateway", &["localhost"]);
    let file = old.folder().join("gateway.toml");
    let tls = format!("[tls]\ncertificate = {:?}\nkey = {:?}\n", own.certificate, own.key);
    std::fs::write(&file, &tls).unwrap();
    let process = Process::start("", &["--listen", "127.0.0.1:0", "--config", file.to_str().unwrap()], None);
    let address = process.address().await;
    ask(&address, &old.file(), None).await.unwrap();

    std::fs::write(&own.key, "no key").unwrap();
    process.signal("HUP");
    process.wrote("the old certificate and key stay").await;
    ask(&address, &old.file(), None).await.unwrap();

    let next = new.issue("gateway", &["localhost"]);
    std::fs::copy(&next.certificate, &own.certificate).unwrap();
    std::fs::copy(&next.key, &own.key).unwrap();
    process.signal("HUP");
    wait_until("the new certificate", LIMIT, async || ask(&address, &new.file(), None).await.is_ok()).await;
    drop(process);

    // A certificate that cannot be used is a wrong setting.
    std::fs::write(&own.certificate, "none").unwrap();
    let mut process =
        Process::start("", &["--listen", "127.0.0.1:0", "--config", file.to_str().unwrap()], None);
    assert_eq!(process.code().await, Some(78));
    process.wrote("tls.certificate").await;
}
