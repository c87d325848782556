//! The same answers in every way of asking, from every rung of the ladder: the very check that `loadtest check
//! --all-ways` makes, by HTTP/1.1 and HTTP/2, plain and gzip, JSON and MessagePack.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use gateway::Front;
use gateway::auth::Access;
use gateway::server::Tls;
use gateway::{AccessLog, App};
use loadtest::check::CheckSettings;
use loadtest::client::GatewaySettings;
use loadtest::record::record;
use loadtest::recording::Recorded;
use loadtest::way::{Format, Way};
use loadtest::ways::{WaysReport, check_ways};
use shared::answers::parameters::{self, Asked, Route};
use shared::cache::{Levels, Write};
use shared::model::{Ask, ChannelFilter, Directory, Document};
use shared::source::Source;
use testkit::{Authority, PostgresServer, RedisServer, wait_until};
use warmer::answer::warm_answer;
use warmer::once::once;
use warmer::scope::Scope;
use warmer::warming::Warming;

use crate::client::encoded;
use crate::fixture::{self, Gateway, LAST_DAY, STORES};
use crate::same_bytes::{asks, url};
use crate::tls;

const LIMIT: Duration = Duration::from_secs(60);

/// Steps of the ladder, from the top down; each is reached by taking away what is above it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rung {
    Near,
    Ready,
    Document,
    Partials,
    Cells,
    Lines,
    Source,
}

impl Rung {
    /// What `X-Cache` says of an answer from here. A rung that has nothing of a kind of question leaves it to the next:
    /// ready responses are JSON, partials those of the default diagnosis, and pages of order lines have only theirs.
    fn outcome(self, question: &Question, format: Format) -> &'static str {
        let (is_json, kind) = (format == Format::Json, question.kind);
        match (self, kind) {
            (Self::Near, _) => "near",
            (Self::Source, _) => "source",
            (_, Kind::Orders) => "l1",
            (_, Kind::Stores) => "l3",
            (Self::Ready, _) if is_json => "l4",
            (Self::Ready | Self::Document, _) => "l3",
            (Self::Partials, Kind::DefaultDiagnosis) => "l3-compose",
            (Self::Partials | Self::Cells, _) => "l2-compose",
            (Self::Lines, _) => "l1",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Stores,
    Orders,
    DefaultDiagnosis,
    Other,
}

/// A question with its expected answer.
struct Question {
    recorded: Recorded,
    kind: Kind,
}

fn kind(ask: &Ask) -> Kind {
    // Naming the default day is the same question.
    let until_last = ask.to.is_none_or(|to| to.to_string() == LAST_DAY);
    match ask.document {
        Document::Stores => Kind::Stores,
        Document::Diagnosis if ask.from.is_none() && until_last => Kind::DefaultDiagnosis,
        _ => Kind::Other,
    }
}

/// Every kind of document, of all stores and of some, with and without range and channels; and pages of order lines.
fn paths() -> Vec<String> {
    let mut seen = BTreeSet::new();
    let mut paths = Vec::new();
    for (ask, _) in asks() {
        let stores = ask.stores.as_ref().map(BTreeSet::len);
        let all_channels = matches!(ask.channels, ChannelFilter::All);
        if seen.insert((ask.document.name(), stores, ask.from.is_some(), ask.to.is_some(), all_channels)) {
            paths.push(url(&ask));
        }
    }
    for store in [STORES[1], STORES[3]] {
        for own in ["", "limit=3", "from=2026-03-02&to=2026-03-05&limit=1000"] {
            paths.push(format!("/v1/stores/{}/orders?{own}", encoded(store)));
        }
    }
    paths
}

/// What a path asks for; `None` for pages of order lines.
fn ask(path: &str) -> Option<Ask> {
    let (path, query) = path.split_once('?').unwrap();
    match parameters::read(&Route::of(path).unwrap(), query).unwrap() {
        Asked::Document(ask) => Some(ask),
        Asked::Orders(_) => None,
    }
}

fn settings(url: &str) -> GatewaySettings {
    GatewaySettings { url: url.to_owned(), token: None, ca: None, timeout: Duration::from_secs(120) }
}

/// The answers as a gateway makes them from files, without anything cached.
async fn expected() -> Vec<Question> {
    let gateway = Gateway::start(fixture::files().await, fixture::levels(fixture::memory())).await;
    let asked =
        loadtest::client::Gateway::new(&settings(&format!("http://{}", gateway.address)), Way::default());
    let paths = paths();
    let paths: Vec<&str> = paths.iter().map(String::as_str).collect();
    let recorded = record(&asked.unwrap(), &paths, 4, || ()).await.unwrap();
    let question = |recorded: Recorded| {
        let kind = ask(&recorded.path).map_or(Kind::Orders, |ask| kind(&ask));
        Question { recorded, kind }
    };
    recorded.into_iter().map(question).collect()
}

async fn check(address: &GatewaySettings, ways: &[Way], recorded: &[Recorded]) -> WaysReport {
    // One at a time: who waits for a store-day that another question reads is told that it came from the source.
    let settings = CheckSettings { parallel: 1, shown: 3 };
    check_ways(address, ways, recorded, &settings, || ()).await.unwrap()
}

/// Asks everything in every way: all is equal, and comes from this rung.
async fn check_rung(gateway: &Gateway, questions: &[Question], rung: Rung) {
    let address = settings(&format!("http://{}", gateway.address));
    for format in [Format::Json, Format::MessagePack] {
        let ways = Way::every(None, None, Some(format));
        // Those that should come from the same place together, so that each is known to have.
        let mut groups: BTreeMap<&str, Vec<Recorded>> = BTreeMap::new();
        for question in questions {
            groups.entry(rung.outcome(question, format)).or_default().push(question.recorded.clone());
        }
        for (outcome, recorded) in groups {
            let report = check(&address, &ways, &recorded).await;
            assert_eq!(report.ways.len(), 4);
            for way in &report.ways {
                let place = format!("{rung:?} by {}", way.way);
                assert!(way.report.is_clean(), "{place}: {:?}", way.report.findings);
                let only = BTreeMap::from([(outcome.to_owned(), recorded.len() as u64)]);
                assert_eq!(way.report.x_cache, only, "{place}");
            }
        }
    }
}

/// Everything there is to make ready: lines of all stores, and every question as document and ready response.
async fn warm_all(source: &Source, levels: &Levels, questions: &[Question]) -> Directory {
    let mut settings = fixture::settings();
    settings.warm.hot_share = 1.0;
    let warming = Warming::new(&settings, source.clone(), levels.clone(), fixture::compute());
    assert_eq!(once(&warming, |_, _| ()).await.unwrap().failed, 0);
    let directory = levels.read_directory().await.hit().unwrap();
    let scope = Scope::new(directory.clone().into(), &warming.extent);
    for ask in questions.iter().filter_map(|question| ask(&question.recorded.path)) {
        warm_answer(&warming, &scope, &ask.resolve(&directory).unwrap(), true).await.unwrap();
    }
    directory
}

/// The keys of what a rung has of the questions.
fn keys_of(rung: Rung, levels: &Levels, directory: &Directory, questions: &[Question]) -> BTreeSet<String> {
    let keys = levels.keys();
    let asks = questions.iter().filter_map(|question| ask(&question.recorded.path));
    let queries: Vec<_> = asks.map(|ask| ask.resolve(directory).unwrap()).collect();
    match rung {
        Rung::Ready => queries.iter().map(|query| keys.hot(query).key).collect(),
        Rung::Document => queries.iter().map(|query| keys.answer(query).key).collect(),
        Rung::Partials => {
            let ranges = queries.iter().filter_map(|query| Some((query, query.diagnosis?)));
            let of = ranges.flat_map(|(query, range)| query.stores.iter().map(move |store| (store, range)));
            of.map(|(store, range)| keys.partial(store, range).key).collect()
        }
        Rung::Cells => {
            STORES.iter().flat_map(|store| [keys.day_cells(store), keys.product_cells(store)]).collect()
        }
        Rung::Near | Rung::Lines | Rung::Source => BTreeSet::new(),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_way_gives_the_same_answers_on_every_rung() {
    let database = PostgresServer::shared().await.fresh_database().await;
    let redis = RedisServer::start().await;
    let source = fixture::postgres(&database).await;
    let levels = fixture::levels(fixture::redis(&redis.url()));
    let questions = expected().await;
    assert!(questions.len() > 25, "{}", questions.len());
    let directory = warm_all(&source, &levels, &questions).await;

    let near = Gateway::start_near(source.clone(), levels.clone()).await;
    let recorded: Vec<Recorded> = questions.iter().map(|question| question.recorded.clone()).collect();
    let address = settings(&format!("http://{}", near.address));
    wait_until("everything is near", LIMIT, async || {
        let report = check(&address, &Way::every(None, None, None), &recorded).await;
        assert!(report.is_clean());
        report.ways.iter().all(|way| way.report.x_cache.keys().eq(["near"]))
    })
    .await;
    check_rung(&near, &questions, Rung::Near).await;

    let gateway = Gateway::start(source, levels.clone()).await;
    for rung in [Rung::Ready, Rung::Document, Rung::Partials, Rung::Cells, Rung::Lines] {
        check_rung(&gateway, &questions, rung).await;
        let keys = keys_of(rung, &levels, &directory, &questions);
        levels.cache().transact(keys.into_iter().map(|key| Write::Delete { key }).collect()).await.unwrap();
    }
    redis.flush_all().await;
    check_rung(&gateway, &questions, Rung::Source).await;
    assert!(levels.damages().all(|(_, count)| count == 0));
}

/// By ALPN over TLS, with an authority of one's own.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_way_over_tls() {
    let authority = Authority::new();
    let own = authority.issue("gateway", &["localhost"]);
    let tls = tls::settings(&own);
    let (source, levels) = (fixture::files().await, fixture::levels(fixture::memory()));
    fixture::warm(&source, &levels).await;
    let app_settings = fixture::settings();
    let front = Front::guarded(AccessLog::off(), Access::new(&app_settings.access, false));
    front.open(App::new(&app_settings, levels, source, fixture::compute()));
    let listeners = fixture::local().await.with_tls(Tls::load(&tls).unwrap());
    let gateway = Gateway::serve(front, listeners, app_settings.gateway);

    let (_, port) = gateway.address.rsplit_once(':').unwrap();
    let https = settings(&format!("https://localhost:{port}"));
    let ways = Way::every(None, None, None);
    let recorded: Vec<Recorded> = expected().await.into_iter().map(|question| question.recorded).collect();
    let known = GatewaySettings { ca: Some(authority.file()), ..https.clone() };
    let report = check(&known, &ways, &recorded).await;
    for way in &report.ways {
        assert!(way.report.is_clean(), "{}: {:?} {:?}", way.way, way.error, way.report.findings);
    }
    // Another authority, and a name that the certificate has not.
    let other = Authority::new();
    for (address, told) in [
        (GatewaySettings { ca: Some(other.file()), ..https }, "of an authority that is not trusted"),
        (GatewaySettings { url: format!("https://127.0.0.1:{port}"), ..known }, "for another name"),
    ] {
        let report = check(&address, &ways, &recorded).await;
        for way in &report.ways {
            let error = way.error.as_deref().unwrap_or_default();
            assert!(error.contains(told) && error.contains("--ca"), "{}: {error}", way.way);
            assert_eq!(way.report.unreachable, recorded.len() as u64);
        }
    }
}
