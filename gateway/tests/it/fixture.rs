//! Generated data, and gateways over them.

use std::path::PathBuf;
use std::time::Duration;

use gateway::auth::{Access, Refused, token};
use gateway::server::Listeners;
use gateway::{AccessLog, App, Front};
use http::Method;
use shared::cache::{Cache, Levels, MemoryCache, Monitor, RedisCache};
use shared::config::{GatewaySettings, Role, Settings, StoreScope, TokenSettings};
use shared::keys::Keys;
use shared::model::{ABSENT, Column, Day, Line, Lines, LocalTime};
use shared::runtime::ComputePool;
use shared::source::Source;
use shared::source::files::{CsvWriter, FileSource, MappingChoice, ReadOptions};
use shared::source::postgres::{PostgresImport, PostgresSource};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use warmer::once::once;
use warmer::warming::Warming;

use crate::client::{self, Answer};

pub(crate) const STORES: [&str; 6] = ["all", "a_b", "{x}", "门店:1", "a\"b", "a/b"];
pub(crate) const FIRST_DAY: &str = "2026-02-20";
pub(crate) const LAST_DAY: &str = "2026-03-11";
const DAYS: i32 = 20;

fn first_day() -> Day {
    FIRST_DAY.parse().unwrap()
}

/// 20 days of the stores, growing from store to store. The first store ends two days earlier and the second has a gap.
pub(crate) fn lines() -> Lines {
    let mut lines = Lines::default();
    let mut mix = 88_172_645u32;
    for (number, store) in (0u32..).zip(STORES) {
        for after in 0..DAYS {
            if (number == 0 && after >= DAYS - 2) || (number == 1 && (5..9).contains(&after)) {
                continue;
            }
            for order in 0..4 + number {
                for _ in 0..=order % 3 {
                    mix ^= mix << 13;
                    mix ^= mix >> 17;
                    mix ^= mix << 5;
                    lines.push(&line(store, first_day().plus(after), order, mix));
                }
            }
        }
    }
    lines
}

fn line(store: &str, day: Day, order: u32, mix: u32) -> Line {
    // Few different times, so that the order id and the product decide where a line comes.
    let time = LocalTime::midnight(day).0 + i64::from(mix % 4) * 3_600_000_000;
    let mut line = Line {
        ordered_at: LocalTime(time),
        quantity: i32::try_from(mix % 6).unwrap() - 1,
        stock: if mix.is_multiple_of(5) { ABSENT } else { i64::from(mix % 3) },
        ..Line::default()
    };
    let mut decimal = |column: Column, value: u32, less: i64| {
        line.decimals[column.slot()] = (i64::from(value) - less) * 10_000;
    };
    decimal(Column::ListPrice, mix % 900, 0);
    decimal(Column::ShelfPrice, mix % 800, 0);
    decimal(Column::PaidPrice, mix % 700, 0);
    decimal(Column::Cost, mix % 1100, 0);
    decimal(Column::GrossProfit, mix % 500, 200);
    decimal(Column::PlatformFee, mix % 150, 10);
    decimal(Column::DeliveryCost, mix % 1700, 0);
    decimal(Column::UserDeliveryFee, mix % 300, 0);
    decimal(Column::FullReduction, mix % 200, 0);
    line.decimals[Column::Rebate.slot()] = i64::from(mix % 1_000_003);
    line.decimals[Column::DistanceM.slot()] =
        if mix.is_multiple_of(7) { ABSENT } else { i64::from(mix % 9000) * 1_000_000 };
    let mut text = |column: Column, text: &str| text.clone_into(&mut line.texts[column.slot()]);
    let product = mix % 9;
    text(Column::StoreId, store);
    text(Column::StoreName, &format!("{store} 店"));
    text(Column::City, if mix.is_multiple_of(2) { "上海" } else { "" });
    text(Column::OrderId, &format!("order {order}"));
    text(Column::Channel, ["美团闪购", "", "自营", "饿了么"][(order % 4) as usize]);
    text(Column::ProductName, &format!("商品, \"{product}\""));
    text(Column::StoreCode, &if product.is_multiple_of(2) { format!("c{product}") } else { String::new() });
    text(Column::Category1, ["水果", "酒水", "耗材"][(product % 3) as usize]);
    line
}

/// Settings under which a busy machine changes no outcome.
pub(crate) fn settings() -> Settings {
    let mut settings = Settings::load(&[], &|_| None).unwrap();
    settings.redis.connect_timeout = Duration::from_secs(10);
    settings.redis.command_timeout = Duration::from_secs(10);
    settings.redis.bulk_timeout = Duration::from_secs(10);
    settings.gateway.request_timeout = Duration::from_secs(120);
    settings.gateway.drain_timeout = Duration::from_secs(120);
    settings.prefix = "test:".to_owned();
    // Tests of the other rungs want to see them at every request.
    settings.near.enabled = false;
    settings
}

pub(crate) fn redis(url: &str) -> Cache {
    let settings = shared::cache::RedisSettings { url: url.to_owned(), ..settings().redis };
    Cache::Redis(RedisCache::connect(&settings).unwrap())
}

/// Redis behind a breaker, as the program has it, with a time limit that a test of a silent network can wait for.
pub(crate) fn guarded_redis(url: &str) -> Cache {
    let settings = shared::cache::RedisSettings {
        url: url.to_owned(),
        command_timeout: Duration::from_millis(200),
        probe_interval: Duration::from_millis(50),
        ..settings().redis
    };
    Cache::Redis(RedisCache::connect(&settings).unwrap().guarded().monitored(&Monitor::default(), None))
}

/// PostgreSQL behind a breaker, as the program has it.
pub(crate) fn guarded_postgres(url: &str, connections: usize, max_waiting: usize) -> Source {
    let settings = shared::source::postgres::PostgresSettings {
        url: url.to_owned(),
        connections,
        max_waiting,
        probe_interval: Duration::from_millis(50),
        ..settings().postgres
    };
    Source::Postgres(PostgresSource::guarded(&settings).unwrap())
}

pub(crate) fn memory() -> Cache {
    Cache::Memory(MemoryCache::new(256 << 20))
}

pub(crate) fn levels(cache: Cache) -> Levels {
    let settings = settings();
    let fingerprint = settings.rules.fingerprint();
    Levels::new(cache, Keys::new(&settings.prefix), fingerprint, settings.ttl, settings.max_inflated)
}

pub(crate) fn compute() -> ComputePool {
    ComputePool::new(2, 64).unwrap()
}

/// A PostgreSQL source into which the lines were imported.
pub(crate) async fn postgres(url: &str) -> Source {
    let source = PostgresSource::new(&shared::source::postgres::PostgresSettings {
        url: url.to_owned(),
        ..settings().postgres
    })
    .unwrap();
    let source = Source::Postgres(source);
    import(&source, &lines()).await;
    source
}

/// Replaces the store-days of these lines in PostgreSQL.
pub(crate) async fn import(source: &Source, lines: &Lines) {
    let Source::Postgres(source) = source else { panic!("only PostgreSQL takes an import") };
    let mut import = PostgresImport::begin(source).await.unwrap();
    import.write(lines).await.unwrap();
    import.commit().await.unwrap();
}

/// A source of files with the lines.
pub(crate) async fn files() -> Source {
    let folder = tempfile::tempdir().unwrap();
    let path: PathBuf = folder.path().join("orders.csv");
    let mut writer = CsvWriter::create(&path).unwrap();
    writer.write(&lines()).unwrap();
    writer.finish().unwrap();
    // The source keeps what it read.
    let source = FileSource::open(&path, &MappingChoice::Canonical, &ReadOptions::default()).await.unwrap();
    Source::Files(source)
}

/// Makes every level ready.
pub(crate) async fn warm(source: &Source, levels: &Levels) {
    let warming = Warming::new(&settings(), source.clone(), levels.clone(), compute());
    let mut told = (0, 0);
    let report = once(&warming, |done, total| told = (done, total)).await.unwrap();
    assert_eq!((report.failed, told), (0, (STORES.len(), STORES.len())));
}

const HOUR: Duration = Duration::from_secs(3600);

/// Listeners on a free port.
pub(crate) async fn local() -> Listeners {
    tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap().into()
}

/// The token `name` of a reader of these stores.
pub(crate) fn reader(name: &str, stores: &[&str]) -> TokenSettings {
    let stores = StoreScope::Listed(stores.iter().map(ToString::to_string).collect());
    TokenSettings::new(name, token::hash(name.as_bytes()), stores, Role::Reader).unwrap()
}

/// The token `operator`, of one.
pub(crate) fn operator() -> TokenSettings {
    TokenSettings::new("operator", token::hash(b"operator"), StoreScope::All, Role::Operator).unwrap()
}

/// A gateway in this process.
pub(crate) struct Gateway {
    pub(crate) address: String,
    pub(crate) front: Front,
    stop: Option<oneshot::Sender<()>>,
    task: JoinHandle<()>,
}

impl Gateway {
    pub(crate) async fn start(source: Source, levels: Levels) -> Self {
        Self::start_with(source, levels, AccessLog::off()).await
    }

    /// One that records its requests.
    pub(crate) async fn start_with(source: Source, levels: Levels, access_log: AccessLog) -> Self {
        Self::start_as(source, levels, access_log, settings()).await
    }

    /// One that keeps what it answers, once it is told of changes.
    pub(crate) async fn start_near(source: Source, levels: Levels) -> Self {
        let mut settings = settings();
        settings.near.enabled = true;
        let gateway = Self::start_as(source, levels, AccessLog::off(), settings).await;
        gateway.is_told().await;
        gateway
    }

    /// Waits until changes are told.
    pub(crate) async fn is_told(&self) {
        let limit = Duration::from_secs(60);
        testkit::wait_until("changes are told", limit, async || self.app().near().is_connected()).await;
    }

    /// What all its requests share.
    pub(crate) fn app(&self) -> &App {
        self.front.app().unwrap()
    }

    /// One with settings of its own.
    pub(crate) async fn start_as(
        source: Source,
        levels: Levels,
        access_log: AccessLog,
        settings: Settings,
    ) -> Self {
        let front = Front::guarded(access_log, Access::new(&settings.access, false));
        front.open(App::new(&settings, levels, source, compute()));
        Self::serve(front, local().await, settings.gateway)
    }

    /// One without data, for what lies before the questions: `/livez` is 200. Limits are far, but for what is changed.
    pub(crate) async fn bare(change: impl FnOnce(&mut GatewaySettings)) -> Self {
        let mut settings = settings().gateway;
        settings.header_timeout = HOUR;
        settings.idle_timeout = HOUR;
        settings.write_timeout = HOUR;
        change(&mut settings);
        Self::serve(Front::new(), local().await, settings)
    }

    /// Serves on what is listened on.
    pub(crate) fn serve(front: Front, listeners: Listeners, settings: GatewaySettings) -> Self {
        let address = listeners.addresses().remove(0);
        let (stop, stopped) = oneshot::channel::<()>();
        let served = front.clone();
        let task = tokio::spawn(async move {
            let stopped = async {
                // A sender that is dropped stops the server, too.
                let _ = stopped.await;
            };
            gateway::server::serve(served, listeners, &settings, stopped).await.unwrap();
        });
        Self { address, front, stop: Some(stop), task }
    }

    /// Over files and warm memory: for everything that does not depend on the servers underneath.
    pub(crate) async fn without_servers() -> Self {
        let (source, levels) = (files().await, levels(memory()));
        warm(&source, &levels).await;
        Self::start(source, levels).await
    }

    /// As [`Self::without_servers`], with settings of its own.
    pub(crate) async fn without_servers_as(settings: Settings) -> Self {
        let (source, levels) = (files().await, levels(memory()));
        warm(&source, &levels).await;
        Self::start_as(source, levels, AccessLog::off(), settings).await
    }

    /// What it refused.
    pub(crate) fn refused(&self) -> Refused {
        self.front.access().refused()
    }

    /// Asks with a token.
    pub(crate) async fn get_as(&self, token: &str, path: &str) -> Answer {
        self.get_with(path, &[("authorization", &format!("Bearer {token}"))]).await
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.get_with(path, &[]).await
    }

    pub(crate) async fn get_with(&self, path: &str, headers: &[(&str, &str)]) -> Answer {
        client::send(Method::GET, &self.address, path, headers).await
    }

    /// A body that must come with 200.
    #[track_caller]
    pub(crate) fn ok(&self, path: &str) -> impl Future<Output = Answer> {
        let answer = client::send(Method::GET, &self.address, path, &[]);
        async move {
            let answer = answer.await;
            assert_eq!(answer.status.as_u16(), 200, "{}", answer.text());
            answer
        }
    }

    /// Asks the server to stop, without waiting.
    pub(crate) fn ask_to_stop(&mut self) {
        if let Some(stop) = self.stop.take() {
            stop.send(()).unwrap();
        }
    }

    /// Waits until the server has stopped.
    pub(crate) async fn stopped(self) {
        self.task.await.unwrap();
    }
}
