//! Requests that are no good HTTP, over real sockets: each is refused with 4xx and words, or by closing; never with 5xx,
//! and the connection never hangs.

use std::time::Duration;

use crate::client::{self, Answer};
use crate::fixture::Gateway;

const GOOD: &str = "GET /livez HTTP/1.1\r\nhost: x\r\n\r\n";
const SMUGGLED: &str = "GET /v1/smuggled HTTP/1.1\r\nhost: x\r\n\r\n";
const POST: &str = "POST /livez HTTP/1.1\r\nhost: x\r\n";
const CHUNKED: &str = "transfer-encoding: chunked\r\n";
const LAST: &str = "host: x\r\nconnection: close\r\n\r\n";

/// A gateway that closes a connection which nobody uses, so that a request that was taken after all is seen as such.
async fn gateway() -> Gateway {
    Gateway::bare(|settings| settings.idle_timeout = Duration::from_secs(5)).await
}

/// Lines that two servers may end in different places.
fn bad_lines() -> Vec<String> {
    let heads = [
        "GET /livez HTTP/1.1\nhost: x\n\n",
        "GET /livez HTTP/1.1\r\nhost: x\n\r\n",
        "GET /livez HTTP/1.1\r\nhost: x\r\na: b\nc: d\r\n\r\n",
        "GET /livez HTTP/1.1\r\nhost: x\r\na: b\rc: d\r\n\r\n",
        "GET /livez HTTP/1.1\r\nhost: x\r\na: b\r\n c\r\n\r\n",
        "GET /livez HTTP/1.1\r\nhost: x\r\na: b\r\n\tc: d\r\n\r\n",
        "GET /livez HTTP/1.1\r\n host: x\r\n\r\n",
        "GET /livez HTTP/1.1\r\nhost : x\r\n\r\n",
        "GET /livez HTTP/1.1\r\nhost\t: x\r\n\r\n",
        "GET /livez HTTP/1.1\r\nhost: x\r\n: y\r\n\r\n",
        "GET /livez HTTP/1.1\r\nhost: x\r\nno colon\r\n\r\n",
    ];
    heads.map(str::to_owned).into()
}

/// Bodies whose length two servers may read in different ways.
fn bad_lengths() -> Vec<String> {
    let mut requests: Vec<String> = [
        ("content-length: 5\r\ncontent-length: 6", "hello!"),
        ("content-length: 5, 6", "hello"),
        ("content-length: 5 6", "hello"),
        ("content-length: +5", "hello"),
        ("content-length: 0x5", "hello"),
        ("content-length: ", "hello"),
        ("content-length: -1", ""),
        ("content-length: 18446744073709551615", ""),
        ("content-length: 18446744073709551616", ""),
        ("content-length: 99999999999999999999999999", ""),
        ("transfer-encoding: chunked, identity", "0\r\n\r\n"),
        ("transfer-encoding: identity", "0\r\n\r\n"),
        ("transfer-encoding: xchunked", "0\r\n\r\n"),
        ("transfer-encoding: chunked\r\ntransfer-encoding: identity", "0\r\n\r\n"),
        ("transfer-encoding : chunked", "0\r\n\r\n"),
        ("transfer-encoding:\r\n chunked", "0\r\n\r\n"),
        ("transfer-encoding: \x0bchunked", "0\r\n\r\n"),
    ]
    .map(|(header, body)| format!("{POST}{header}\r\n\r\n{body}{SMUGGLED}"))
    .into();
    requests.push(format!("{POST}content-length: 5\r\n{CHUNKED}\r\n0\r\n\r\n{SMUGGLED}"));
    requests.push(format!("{POST}{CHUNKED}content-length: 5\r\n\r\n0\r\n\r\n{SMUGGLED}"));
    requests.push(format!("POST /livez HTTP/1.0\r\n{CHUNKED}\r\n0\r\n\r\n{SMUGGLED}"));
    requests
}

/// What no request has.
fn bad_bytes() -> Vec<String> {
    let mut requests: Vec<String> = [
        "GET /livez HTTP/1.1\r\nhost: x\0y\r\n\r\n",
        "GET /li\0vez HTTP/1.1\r\nhost: x\r\n\r\n",
        "GET /livez HTTP/1.1\r\nho\0st: x\r\n\r\n",
        "GET /livez HTTP/9.9\r\nhost: x\r\n\r\n",
        "GET /livez http/1.1\r\nhost: x\r\n\r\n",
        "GET /livez\r\n\r\n",
        "GET /livez\r\n",
        "GET  /livez HTTP/1.1\r\nhost: x\r\n\r\n",
        "GET\t/livez HTTP/1.1\r\nhost: x\r\n\r\n",
        "GET /livez HTTP/1.1 \r\nhost: x\r\n\r\n",
        "GET /li vez HTTP/1.1\r\nhost: x\r\n\r\n",
        "G@T /livez HTTP/1.1\r\nhost: x\r\n\r\n",
        "GET /livez HTTP/1.1\r\n\r\n",
        "GET /livez HTTP/1.1\r\nhost: x\r\nHost: y\r\n\r\n",
        "GET /livez HTTP/1.1\r\nhost: x\r\nhost: x\r\n\r\n",
        "GET /livez HTTP/1.0\r\nhost: x\r\nhost: x\r\n\r\n",
        "\x16\x03\x01\x02\0\x01\0\x01\u{fc}\x03\x03 and so on\r\n\r\n",
    ]
    .map(str::to_owned)
    .into();
    requests.push(format!("GET /livez HTTP/1.1\r\n{}\r\n", "a: b\r\n".repeat(100_000)));
    requests.push(format!("GET /livez HTTP/1.1\r\nhost: x\r\na: {}\r\n\r\n", "b".repeat(2 << 20)));
    requests.push(format!("GET /livez HTTP/1.1\r\nhost: x\r\n{}: b\r\n\r\n", "a".repeat(2 << 20)));
    requests.push(format!("{} /livez HTTP/1.1\r\nhost: x\r\n\r\n", "G".repeat(2 << 20)));
    requests
}

#[tokio::test]
async fn requests_that_two_servers_read_in_two_ways_are_refused() {
    let gateway = gateway().await;
    let mut wrong = Vec::new();
    for request in bad_lines().into_iter().chain(bad_lengths()).chain(bad_bytes()) {
        // After one that is answered, so that it is not the begin of the connection that counts; and as the first.
        for before in [GOOD, ""] {
            let answers =
                client::answers(&gateway.address, format!("{before}{request}{GOOD}").as_bytes()).await;
            let statuses: Vec<u16> = answers.iter().map(|answer| answer.status.as_u16()).collect();
            let (good, refused) = statuses.split_at(statuses.len().min(usize::from(!before.is_empty())));
            // What follows what was refused is not answered. Who still sends when the connection closes may miss the answer.
            let fits = good.iter().all(|status| *status == 200)
                && (refused.len() == 1 || (refused.is_empty() && request.len() > 1000))
                && refused.iter().all(|status| (400..500).contains(status));
            if !fits {
                wrong.push((request.chars().take(200).collect::<String>(), statuses));
                continue;
            }
            for refusal in &answers[good.len()..] {
                refusal.problem(refusal.status.as_u16());
                refusal.is_secure();
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert_eq!(gateway.get("/livez").await.status, 200);
}

#[tokio::test]
async fn what_follows_a_body_is_not_looked_at() {
    let gateway = gateway().await;
    for (body, status) in [
        (format!("content-length: {}\r\n\r\n", 1 << 20), 413),
        ("content-length: 5\r\n\r\nhello".to_owned(), 405),
        (format!("{CHUNKED}\r\n5\r\nhello\r\n0\r\n\r\n"), 405),
        (format!("{CHUNKED}\r\nZ\r\nhello\r\n0\r\n\r\n"), 405),
        (format!("{CHUNKED}\r\nFFFFFFFFFFFFFFFFF\r\nhello\r\n0\r\n\r\n"), 405),
        (format!("{CHUNKED}{CHUNKED}\r\n0\r\n\r\n"), 400),
        ("transfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n".to_owned(), 400),
    ] {
        let answers = client::answers(&gateway.address, format!("{POST}{body}{SMUGGLED}").as_bytes()).await;
        let [answer] = &answers[..] else { panic!("{body}: {answers:?}") };
        answer.problem(status);
        answer.is_secure();
        assert_eq!(answer.header("connection"), "close", "{body}");
    }
}

#[tokio::test]
async fn bodies_in_bad_chunks_are_refused() {
    let gateway = Gateway::without_servers().await;
    let ask = async |chunks: &str| {
        let head = "POST /v1/refresh HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n";
        client::answers(&gateway.address, format!("{head}{CHUNKED}\r\n{chunks}").as_bytes()).await
    };
    let many = "a".repeat(1 << 20);
    for bad in [
        "Z\r\n{}\r\n0\r\n\r\n",
        "-2\r\n{}\r\n0\r\n\r\n",
        "0x2\r\n{}\r\n0\r\n\r\n",
        "\r\n{}\r\n0\r\n\r\n",
        "2\r\n{}0\r\n\r\n",
        "2\r\n{}XX0\r\n\r\n",
        "2\n{}\n0\n\n",
        "2 2\r\n{}\r\n0\r\n\r\n",
        "FFFFFFFFFFFFFFFFF\r\n{}\r\n0\r\n\r\n",
        "10000000000000002\r\n{}\r\n0\r\n\r\n",
        &format!("2;{many}\r\n{{}}\r\n0\r\n\r\n"),
        &format!("2\r\n{{}}\r\n0\r\na: {many}\r\n\r\n"),
        &format!("2\r\n{{}}\r\n0\r\n{}\r\n", "a: b\r\n".repeat(10_000)),
    ] {
        let answers = ask(bad).await;
        let shown = &bad[..bad.len().min(60)];
        // Who still sends when the connection closes may miss the answer.
        assert!(answers.len() == 1 || (answers.is_empty() && bad.len() > 1000), "{shown:?}: {answers:?}");
        for answer in &answers {
            answer.problem(400);
            answer.is_secure();
        }
    }
    // However it comes, it is as large as it may be and no larger.
    for size in ["FFFFFFFFFFFFFFFF", "100000"] {
        for answer in ask(&format!("{size}\r\n{many}\r\n0\r\n\r\n")).await {
            answer.problem(413);
        }
    }
    for answer in ask(&"1\r\na\r\n".repeat(100_000)).await {
        answer.problem(413);
    }
}

/// The only answer to a request line.
async fn answer_to(gateway: &Gateway, line: &str) -> Answer {
    let mut answers =
        client::answers(&gateway.address, format!("{line} HTTP/1.1\r\n{LAST}").as_bytes()).await;
    assert_eq!(answers.len(), 1, "{line}: {answers:?}");
    let answer = answers.remove(0);
    answer.is_secure();
    answer
}

#[tokio::test]
async fn targets_have_their_forms() {
    let gateway = Gateway::without_servers().await;
    // RFC 9112, 3.2.2: every server takes the absolute form; for us all hosts are one.
    let expected = gateway.ok("/v1/stores").await;
    for target in
        ["http://elsewhere/v1/stores", "HTTPS://elsewhere:8443/v1/stores", "http://u:p@x/v1/stores?"]
    {
        let answer = answer_to(&gateway, &format!("GET {target}")).await;
        assert_eq!((answer.status.as_u16(), &answer.body), (200, &expected.body), "{target}");
    }
    for (line, status) in [
        ("OPTIONS *", 404),
        ("GET *", 404),
        ("GET http://elsewhere/nowhere", 404),
        ("GET http://x:port/nowhere", 404),
        ("GET elsewhere:80", 404),
        ("GET //v1/stores", 404),
        ("GET /v1//stores", 404),
        ("GET /v1/../v1/stores", 404),
        ("GET /v1/stores/", 404),
        ("GET /v1%2fstores", 404),
        ("CONNECT elsewhere:443", 404),
        ("CONNECT /v1/stores", 405),
        ("GET v1/stores", 400),
        ("GET ?x", 400),
        ("GET http:///v1/stores", 400),
    ] {
        let answer = answer_to(&gateway, line).await;
        assert_eq!(answer.status.as_u16(), status, "{line}: {}", answer.text());
        answer.problem(status);
    }
}

#[tokio::test]
async fn odd_escapes_and_long_queries_are_answered() {
    let gateway = Gateway::without_servers().await;
    for id in [
        "%00",
        "a%00",
        "all%00",
        "%2e%2e%2fall",
        "..%2F..%2Fall",
        "%2F",
        "all%2F",
        "%",
        "%zz",
        "%2",
        "%0d%0a",
    ] {
        answer_to(&gateway, &format!("GET /v1/stores/{id}/orders")).await.problem(404);
        answer_to(&gateway, &format!("GET /v1/metrics/overview?stores={id}")).await.problem(404);
    }
    for id in ["%ff", "%c3", "%ed%a0%80", "%f4%90%80%80", "%c0%af"] {
        answer_to(&gateway, &format!("GET /v1/stores/{id}/orders")).await.problem(400);
        answer_to(&gateway, &format!("GET /v1/metrics/overview?stores={id}")).await.problem(400);
        answer_to(&gateway, &format!("GET /v1/metrics/overview?{id}=1")).await.problem(400);
    }
    for (query, status) in [
        ("&".repeat(60_000), 200),
        ("=&".repeat(30_000), 400),
        ("stores=all&".repeat(5_000), 200),
        (format!("stores={}", "all,".repeat(15_000)), 400),
        (format!("stores={}all", "all,".repeat(15_000)), 200),
        (format!("stores={}", "%00".repeat(20_000)), 404),
        (format!("channel={}", "%00".repeat(20_000)), 200),
        ("x=1&".repeat(15_000), 400),
        ("to=2026-03-01&".repeat(4_000), 400),
        ("%".repeat(60_000), 400),
    ] {
        let answer = answer_to(&gateway, &format!("GET /v1/metrics/overview?{query}")).await;
        assert_eq!(answer.status.as_u16(), status, "{}: {}", &query[..20], answer.text());
        if status >= 400 {
            answer.problem(status);
        }
    }
}
