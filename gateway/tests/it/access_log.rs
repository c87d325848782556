//! The access log of a running gateway: every request with its outcome, whatever becomes of the disk.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use gateway::AccessLog;
use gateway::access_log::NotTaken;
use http::Method;
use shared::access_log::{Event, Outcome, Refresh, Request, parse_line};
use shared::answers::parameters::Asked;
use shared::config::AccessLogSettings;
use shared::model::{Day, RelativeAsk};
use testkit::wait_until;
use warmer::log_reader::{LogReader, ReaderSettings};

use crate::client::{self, encoded};
use crate::fixture::{self, Gateway, LAST_DAY, STORES};

const LIMIT: Duration = Duration::from_secs(60);

fn settings(path: &Path) -> AccessLogSettings {
    AccessLogSettings {
        path: Some(path.to_owned()),
        // A busy machine must not look like a hanging disk.
        drain_timeout: LIMIT,
        ..fixture::settings().access_log
    }
}

fn start(settings: &AccessLogSettings) -> AccessLog {
    AccessLog::start(settings, "127.0.0.1:1").unwrap()
}

fn events(path: &Path) -> Vec<Event> {
    let text = fs::read_to_string(path).unwrap_or_default();
    text.lines()
        .map(|line| parse_line(line.as_bytes()).unwrap_or_else(|error| panic!("{error}: {line}")))
        .collect()
}

fn requests(path: &Path) -> Vec<Request> {
    let request = |event| match event {
        Event::Request(request) => Some(request),
        Event::Refresh(_) => None,
    };
    events(path).into_iter().filter_map(request).collect()
}

fn refresh(number: i64) -> Refresh {
    Refresh { requested_at: number, stores: Some(vec!["门店:1".to_owned()]), ..Refresh::default() }
}

/// When each refresh of a file was asked for.
fn refreshes(path: &Path) -> Vec<i64> {
    events(path).iter().map(Event::time).collect()
}

#[tokio::test]
async fn every_request_is_recorded_with_its_outcome() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("new/access.log");
    let (source, levels) = (fixture::files().await, fixture::levels(fixture::memory()));
    fixture::warm(&source, &levels).await;
    let mut gateway = Gateway::start_with(source, levels, start(&settings(&path))).await;

    let store = encoded("门店:1");
    let paths = [
        "/v1/metrics/overview".to_owned(),
        format!("/v1/metrics/products?stores={store}&from=2026-03-05&to={LAST_DAY}&limit=7"),
        format!("/v1/stores/{store}/orders?limit=3"),
        "/v1/metrics/overview?stores=nobody".to_owned(),
        "/v1/metrics/overview?from=x".to_owned(),
        "/favicon.ico?a=%22b%22".to_owned(),
    ];
    let mut answers = Vec::new();
    for path in ["/livez", "/readyz"].into_iter().chain(paths.iter().map(String::as_str)) {
        let headers = [("authorization", "Bearer abc"), ("x-request-id", "given")];
        answers.push(gateway.get_with(path, &headers).await);
    }
    let head = client::send(Method::HEAD, &gateway.address, "/v1/stores", &[]).await;
    answers.push(head);
    // Readers see the lines while the gateway runs.
    wait_until("seven lines", LIMIT, async || requests(&path).len() == 7).await;
    let records = requests(&path);
    for (record, answer) in records.iter().zip(&answers[2..]) {
        assert_eq!(record.status, answer.status.as_u16(), "{record:?}");
        assert_eq!(record.bytes, answer.body.len() as u64, "{record:?}");
        let (outcome, stale) = Outcome::from_header(answer.header("x-cache"));
        assert_eq!((record.outcome, record.stale), (outcome, stale), "{record:?}");
        assert_eq!(record.request_id.as_deref(), Some(answer.header("x-request-id")));
        assert!(record.time > 0 && record.duration_us.is_some());
        assert_eq!(record.instance.as_deref(), Some("127.0.0.1:1"));
    }
    let targets: Vec<String> = records
        .iter()
        .map(|record| match record.query.as_str() {
            "" => record.path.clone(),
            query => format!("{}?{query}", record.path),
        })
        .collect();
    assert_eq!(targets[..6], paths);
    assert_eq!((records[6].method.as_ref(), records[6].path.as_str()), ("HEAD", "/v1/stores"));
    assert_eq!((records[0].token.as_deref(), records[6].token.as_deref()), (Some("ba7816bf8f01"), None));

    let last_day: Day = LAST_DAY.parse().unwrap();
    let outcomes: Vec<Outcome> = records.iter().map(|record| record.outcome).collect();
    assert_eq!(outcomes[..4], [Outcome::L3, Outcome::L2Compose, Outcome::Source, Outcome::None]);
    let (all, few, orders) = (&records[0], &records[1], &records[2]);
    assert_eq!((all.store_count, all.last_day, all.kind), (Some(6), Some(last_day), Some("overview")));
    assert_eq!(all.stores.as_ref().map(Vec::len), Some(STORES.len()));
    assert_eq!((few.stores.clone(), few.kind), (Some(vec!["门店:1".to_owned()]), Some("products")));
    assert_eq!((orders.store_count, orders.kind), (Some(1), Some("orders")));
    assert_eq!((records[3].store_count, records[3].kind), (None, Some("overview")));
    assert_eq!(records[5].kind, None);
    // What the warmer makes of it.
    let Ok(Asked::Document(ask)) = few.question() else { panic!("{few:?}") };
    let relative = RelativeAsk::new(ask.clone(), few.last_day.unwrap());
    assert_eq!(
        relative.to_string(),
        format!("products?sort=units&limit=7&from=-6&to=+0&store={}", "%E9%97%A8%E5%BA%97:1")
    );

    // What was answered right before the stop is there after it.
    gateway.ok("/v1/stores").await;
    gateway.ask_to_stop();
    gateway.stopped().await;
    assert_eq!(requests(&path).len(), 8);
}

#[tokio::test]
async fn rotation_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("access.log");
    let settings = AccessLogSettings { max_size: 1000, keep: 100, ..settings(&path) };
    // The warmer's reader follows it.
    let patterns = vec![path.to_str().unwrap().to_owned()];
    let mut reader = LogReader::new(ReaderSettings::new(patterns)).unwrap();
    let mut followed = Vec::new();
    for round in 0..3 {
        // Each gateway goes on where the one before ended.
        let log = start(&settings);
        for number in 0..10 {
            log.try_refresh(refresh(round * 10 + number)).unwrap();
            wait_until("a line", LIMIT, async || log.counts().written > number.unsigned_abs()).await;
            if number % 4 == 0 {
                followed.extend(reader.poll(1 << 20, i64::MAX).events.iter().map(Event::time));
            }
        }
        log.finish().await;
        assert_eq!((log.counts().written, log.counts().dropped, log.counts().failed), (10, 0, 0));
    }
    followed.extend(reader.poll(1 << 20, i64::MAX).events.iter().map(Event::time));
    assert_eq!(followed, (0..30).collect::<Vec<_>>());
    let mut files: Vec<PathBuf> = (1..)
        .map(|number| folder.path().join(format!("access.log.{number}")))
        .take_while(|path| path.exists())
        .collect();
    files.insert(0, path);
    assert!(
        files.len() > 3 && files.iter().all(|file| fs::metadata(file).unwrap().len() <= 1000),
        "{files:?}"
    );
    let read: Vec<i64> = files.iter().rev().flat_map(|file| refreshes(file)).collect();
    assert_eq!(read, (0..30).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_deleted_folder_is_made_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("logs/access.log");
    let log = start(&settings(&path));
    log.try_refresh(refresh(1)).unwrap();
    wait_until("a line", LIMIT, async || refreshes(&path) == [1]).await;
    fs::remove_dir_all(folder.path().join("logs")).unwrap();
    log.try_refresh(refresh(2)).unwrap();
    wait_until("a line in a new file", LIMIT, async || refreshes(&path) == [2]).await;
    log.finish().await;
}

#[tokio::test]
async fn a_full_disk_is_counted_and_refreshes_are_told() {
    let (source, levels) = (fixture::files().await, fixture::levels(fixture::memory()));
    let log = start(&settings(Path::new("/dev/full")));
    let gateway = Gateway::start_with(source, levels, log.clone()).await;
    gateway.ok("/v1/stores").await;
    wait_until("a failure", LIMIT, async || log.counts().failed == 1).await;
    // It serves on.
    gateway.ok("/v1/stores").await;
    assert_eq!(log.try_refresh(refresh(1)), Err(NotTaken::Failing));
    log.finish().await;
    assert_eq!((log.counts().written, log.counts().failed), (0, 2));
}

#[tokio::test]
async fn a_disk_that_hangs_holds_up_nobody() {
    let folder = tempfile::tempdir().unwrap();
    // A pipe that nobody reads takes 64 KiB, then writing blocks.
    let pipe = folder.path().join("access.log");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let settings =
        AccessLogSettings { queue: 10, drain_timeout: Duration::from_millis(10), ..settings(&pipe) };
    let log = start(&settings);
    let (source, levels) = (fixture::files().await, fixture::levels(fixture::memory()));
    let mut gateway = Gateway::start_with(source, levels, log.clone()).await;
    let long = format!("/v1/metrics/overview?channel={}", "x".repeat(60_000));
    wait_until("drops", LIMIT, async || {
        client::send(Method::GET, &gateway.address, &long, &[]).await;
        log.counts().dropped > 0
    })
    .await;
    gateway.ok("/v1/stores").await;
    assert_eq!(log.try_refresh(refresh(1)), Err(NotTaken::Full));
    // It stops, too.
    gateway.ask_to_stop();
    gateway.stopped().await;
}

#[tokio::test]
async fn records_that_wait_are_bounded_in_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let pipe = folder.path().join("access.log");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let log = start(&AccessLogSettings { queue_bytes: 200_000, ..settings(&pipe) });
    let large = || Refresh { stores: Some(vec!["x".repeat(50_000)]), ..Refresh::default() };
    let mut taken = 0;
    wait_until("a full queue", LIMIT, async || {
        let outcome = log.try_refresh(large());
        taken += u64::from(outcome.is_ok());
        outcome == Err(NotTaken::Full)
    })
    .await;
    // 64 KiB are in the pipe, up to 1 MiB and a record in the writer's hands, the rest waits.
    assert!(taken <= 30, "{taken}");
}

#[tokio::test]
async fn what_cannot_be_taken_is_told() {
    assert_eq!(AccessLog::off().try_refresh(refresh(1)), Err(NotTaken::Off));
    let off = AccessLogSettings { path: None, ..settings(Path::new("x")) };
    assert!(!start(&off).is_on());
    let folder = tempfile::tempdir().unwrap();
    let log = start(&settings(&folder.path().join("access.log")));
    let stores = Some(vec!["x".repeat(1000); 400]);
    assert_eq!(log.try_refresh(Refresh { stores, ..Refresh::default() }), Err(NotTaken::TooLong));
    log.finish().await;
    // Nobody takes records after the end.
    assert_eq!(log.try_refresh(refresh(1)), Err(NotTaken::Full));
}
