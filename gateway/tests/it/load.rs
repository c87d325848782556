//! Load as `loadtest run` and `loadtest replay` put it on gateways: over TLS and HTTP/2 with tokens, and again from the access log
//! that it leaves. Everything is answered, nothing is wrong.

use std::time::Duration;

use gateway::auth::Access;
use gateway::server::Tls;
use gateway::{AccessLog, App, Front};
use loadtest::client::{self, GatewaySettings};
use loadtest::load::closed::ClosedSettings;
use loadtest::load::open::Rate;
use loadtest::load::popularity::Popularity;
use loadtest::load::replay::Recording;
use loadtest::load::report::Report;
use loadtest::load::run::{Load, Pattern, replay, run};
use loadtest::load::scenario::{Scenario, Sessions};
use loadtest::load::world::World;
use loadtest::way::{Encoding, Format, Http, Way};
use shared::cache::Levels;
use shared::config::Settings;
use shared::runtime::ComputePool;
use shared::source::Source;
use testkit::{Authority, PostgresServer, RedisServer, wait_until};
use tokio_util::sync::CancellationToken;

use crate::fixture::{self, Gateway};
use crate::tls;

const LIMIT: Duration = Duration::from_secs(60);
const LENGTH: Duration = Duration::from_secs(2);

fn address(url: String, token: Option<&str>) -> GatewaySettings {
    GatewaySettings { url, token: token.map(str::to_owned), ca: None, timeout: LIMIT }
}

async fn sessions(gateway: &client::Gateway) -> Sessions {
    let world = World::ask(gateway).await.unwrap();
    let popularity = Popularity::zipf(&world, 1.0).unwrap();
    Sessions::of_people(Scenario::Mixed, world, popularity, 0)
}

/// Users who hardly think.
fn users() -> Pattern {
    let settings =
        ClosedSettings { users: 8, think: Duration::from_millis(20), ramp: Duration::ZERO, seed: 7 };
    Pattern::Closed(settings, LENGTH)
}

async fn load(gateways: Vec<client::Gateway>, pattern: Pattern) -> Report {
    let sessions = sessions(&gateways[0]).await;
    run(Load { gateways, sessions, pattern }, &CancellationToken::new(), |_, _| ()).await
}

/// A gateway with a near cache in which any number of questions may wait for their turn: a busy machine refuses nobody.
async fn serve(
    settings: &Settings,
    (source, levels): (&Source, &Levels),
    log: AccessLog,
    tls: Option<Tls>,
) -> Gateway {
    let front = Front::guarded(log, Access::new(&settings.access, false));
    let compute = ComputePool::new(2, 100_000).unwrap();
    front.open(App::new(settings, levels.clone(), source.clone(), compute));
    Gateway::serve(front, fixture::local().await.with_tls(tls), settings.gateway.clone())
}

fn settings() -> Settings {
    let mut settings = fixture::settings();
    settings.near.enabled = true;
    settings.gateway.max_in_flight = 100_000;
    settings
}

fn is_well(report: &Report) {
    let totals = &report.totals;
    assert!(totals.requests > 20, "{totals:?}");
    assert_eq!((totals.failures, totals.wrong), (0, 0), "{:?} {:?}", report.failures, report.examples);
}

async fn warm_servers() -> (RedisServer, Source, Levels) {
    let redis = RedisServer::start().await;
    let database = PostgresServer::shared().await.fresh_database().await;
    let source = fixture::postgres(&database).await;
    let levels = fixture::levels(fixture::redis(&redis.url()));
    fixture::warm(&source, &levels).await;
    (redis, source, levels)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn users_with_tokens_over_tls_are_answered_by_both_gateways_alike() {
    let (_redis, source, levels) = warm_servers().await;
    let authority = Authority::new();
    let own = authority.issue("gateway", &["localhost"]);
    let tls = tls::settings(&own);
    let mut settings = settings();
    settings.access.tokens = vec![fixture::operator()];
    let mut running = Vec::new();
    for _ in 0..2 {
        running.push(serve(&settings, (&source, &levels), AccessLog::off(), Tls::load(&tls).unwrap()).await);
    }
    let way = Way { http: Http::Two, encoding: Encoding::Gzip, format: Format::MessagePack };
    let asked = |token: Option<&'static str>, way: Way| -> Vec<client::Gateway> {
        let of = |gateway: &Gateway| {
            let (_, port) = gateway.address.rsplit_once(':').unwrap();
            let settings = address(format!("https://localhost:{port}"), token);
            client::Gateway::new(&GatewaySettings { ca: Some(authority.file()), ..settings }, way).unwrap()
        };
        running.iter().map(of).collect()
    };
    for way in [way, Way::default()] {
        let report = load(asked(Some("operator"), way), users()).await;
        is_well(&report);
        assert!(report.gateways.iter().all(|gateway| gateway.part.requests > 0), "{:?}", report.gateways);
        // Nothing changes meanwhile, and all was warm; order lines of small stores are the database's.
        assert!(report.totals.hit_percent.unwrap() > 50.0, "{:?}", report.outcomes);
        // An operator's token is told of the machine.
        assert!(report.servers.iter().all(|server| server.silent.is_none()), "{:?}", report.servers);
    }

    // Who has no token gets no answer, and that is a failure, not an answer.
    let sessions = Sessions::of_paths(&["/v1/stores".to_owned()]);
    let rate = Rate { from: 20.0, to: 20.0, over: Duration::from_secs(1) };
    let pattern = Pattern::Open { rate, limit: 100, seed: 1 };
    let refused = Load { gateways: asked(None, way), sessions, pattern };
    let report = run(refused, &CancellationToken::new(), |_, _| ()).await;
    assert_eq!((report.totals.failures, report.failures["status 401"]), (20, 20), "{:?}", report.failures);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_access_log_of_a_load_is_replayed_whole() {
    let (_redis, source, levels) = warm_servers().await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("access.log");
    let mut settings = settings();
    settings.access_log.path = Some(path.clone());
    let log = AccessLog::start(&settings.access_log, "gateway").unwrap();
    let mut gateway = serve(&settings, (&source, &levels), log, None).await;
    let url = format!("http://{}", gateway.address);
    let asked = || vec![client::Gateway::new(&address(url.clone(), None), Way::default()).unwrap()];
    let report = load(asked(), users()).await;
    is_well(&report);
    // The list of stores, which the sessions are made from, and what the load tester asks of the gateway itself are in the log, too.
    let requests = report.totals.requests;
    let written = async || {
        Recording::read(std::slice::from_ref(&path), None)
            .is_ok_and(|recording| recording.len() as u64 > requests)
    };
    wait_until("all is in the log", LIMIT, written).await;

    let recording = Recording::read(std::slice::from_ref(&path), None).unwrap();
    let again = replay(&asked(), &recording, 2.0, 1_000, &CancellationToken::new(), |_, _| ()).await;
    is_well(&again);
    assert_eq!(again.totals.requests, recording.len() as u64);
    assert!(report.routes.keys().all(|kind| again.routes.contains_key(kind)), "{:?}", again.routes.keys());
    gateway.ask_to_stop();
    gateway.stopped().await;
}
