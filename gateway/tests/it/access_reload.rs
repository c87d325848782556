//! Tokens that change while the gateway runs.

use std::time::Duration;

use bytes::Bytes;
use gateway::AccessLog;
use http::Request;
use http_body_util::{BodyExt as _, Empty};
use hyper_util::rt::TokioIo;
use testkit::wait_until;

use crate::client;
use crate::fixture::{self, Gateway, STORES, operator, reader};
use crate::process::Process;

const LIMIT: Duration = Duration::from_secs(60);

#[tokio::test]
async fn who_has_the_place_of_another_does_not_get_his_answers() {
    let mut settings = fixture::settings();
    settings.near.enabled = true;
    settings.access.tokens = vec![reader("first", &[STORES[0]])];
    let (source, levels) = (fixture::files().await, fixture::levels(fixture::memory()));
    fixture::warm(&source, &levels).await;
    let mut access = settings.access.clone();
    let gateway = Gateway::start_as(source, levels, AccessLog::off(), settings).await;
    gateway.is_told().await;
    let stores = async |token: &str| {
        let answer = gateway.get_as(token, "/v1/stores").await;
        let body = answer.json();
        let id = body["data"]["stores"][0]["store_id"].as_str().unwrap_or_default();
        (answer.status.as_u16(), answer.header("x-cache").to_owned(), id.to_owned())
    };
    stores("first").await;
    assert_eq!(stores("first").await, (200, "near".to_owned(), STORES[0].to_owned()));

    // A connection from before.
    let stream = tokio::net::TcpStream::connect(&gateway.address).await.unwrap();
    let (mut http1, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    let mut ask = async |token: &str| {
        let request = Request::get("/v1/stores").header("host", "x");
        let request = request.header("authorization", format!("Bearer {token}")).body(Empty::<Bytes>::new());
        let answer = http1.send_request(request.unwrap()).await.unwrap();
        let status = answer.status().as_u16();
        answer.into_body().collect().await.unwrap();
        status
    };
    assert_eq!((ask("first").await, ask("second").await), (200, 401));

    access.tokens = vec![reader("second", &[STORES[1]])];
    gateway.front.replace_access(&access);
    assert_eq!(stores("first").await.0, 401);
    let (status, _, id) = stores("second").await;
    assert_eq!((status, id.as_str()), (200, STORES[1]));
    assert_eq!((ask("first").await, ask("second").await), (401, 200));
    assert_eq!(gateway.refused().unauthorized, 3, "counted on");
}

#[tokio::test]
async fn sighup_reads_tokens_again() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("gateway.toml");
    let write = |text: &str| std::fs::write(&file, text).unwrap();
    let (first, second) = (reader("first", &["a"]).to_string(), operator().to_string());
    write(&first);
    let process = Process::start("", &["--listen", "127.0.0.1:0", "--config", file.to_str().unwrap()], None);
    let address = process.address().await;
    // Without servers there is nothing to answer; who is not known does not hear even that.
    let status = async |token: &str| {
        let header = format!("Bearer {token}");
        let answer =
            client::send(http::Method::GET, &address, "/v1/stores", &[("authorization", &header)]).await;
        answer.status.as_u16()
    };
    assert_eq!((status("first").await, status("operator").await), (503, 401));

    for (bad, told) in [
        ("[[access.tokens]]\nname = \"x\"\n", "the old tokens stay; correct the settings"),
        ("", "the settings name no token, so the old tokens stay"),
    ] {
        write(bad);
        process.signal("HUP");
        process.wrote(told).await;
        assert_eq!((status("first").await, status("operator").await), (503, 401));
    }

    write(&format!("[gateway]\nmax_streams = 7\n{second}"));
    process.signal("HUP");
    wait_until("the new token", LIMIT, async || status("operator").await == 503).await;
    assert_eq!(status("first").await, 401);
    process.wrote("gateway.max_streams: 100 → 7 takes a restart").await;
}
