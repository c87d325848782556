//! One document, byte for byte, whichever step of the ladder and whichever cache and source it comes from.

use std::collections::BTreeMap;

use shared::cache::{Levels, Write};
use shared::model::query::{Granularity, ProductSort, SortOrder, StoreSort};
use shared::model::{Ask, ChannelFilter, Document};
use testkit::{PostgresServer, RedisServer};
use warmer::scope::fleet_documents;

use crate::client::encoded;
use crate::fixture::{self, Gateway, LAST_DAY, STORES};

/// The URL of a document.
pub(crate) fn url(ask: &Ask) -> String {
    let (path, own) = match ask.document {
        Document::Stores => ("/v1/stores", String::new()),
        Document::Overview => ("/v1/metrics/overview", String::new()),
        Document::Trend(granularity) => {
            ("/v1/metrics/trend", format!("&granularity={}", granularity.as_str()))
        }
        Document::Channels => ("/v1/metrics/channels", String::new()),
        Document::StoreTable(sort, order) => {
            ("/v1/metrics/stores", format!("&sort={}&order={}", sort.as_str(), order.as_str()))
        }
        Document::Products(sort, limit) => {
            ("/v1/metrics/products", format!("&sort={}&limit={limit}", sort.as_str()))
        }
        Document::Diagnosis => ("/v1/diagnosis", String::new()),
    };
    let mut url = format!("{path}?{own}");
    for (name, day) in [("from", ask.from), ("to", ask.to)] {
        if let Some(day) = day {
            url += &format!("&{name}={day}");
        }
    }
    for store in ask.stores.iter().flatten() {
        url += &format!("&stores={}", encoded(store));
    }
    if let ChannelFilter::Only(channels) = &ask.channels {
        for channel in channels {
            url += &format!("&channel={}", encoded(channel));
        }
    }
    url
}

/// What is asked, and what `X-Cache` says of it when everything is warm.
pub(crate) fn asks() -> Vec<(Ask, &'static str)> {
    let mut asks = vec![(Ask::default_for(Document::Stores), "l3")];
    asks.extend(fleet_documents().into_iter().map(|document| (Ask::default_for(document), "l3")));
    // Naming all stores and the default days is the same question.
    let all = Some(STORES.map(str::to_owned).into());
    let last = LAST_DAY.parse().ok();
    asks.push((Ask { stores: all.clone(), to: last, ..Ask::default_for(Document::Overview) }, "l3"));
    asks.push((Ask { stores: all, to: last, ..Ask::default_for(Document::Diagnosis) }, "l3"));
    for store in STORES {
        let stores = Some([store.to_owned()].into());
        asks.push((Ask { stores: stores.clone(), ..Ask::default_for(Document::Overview) }, "l2-compose"));
        asks.push((Ask { stores, ..Ask::default_for(Document::Diagnosis) }, "l3-compose"));
    }
    let some = |document| Ask {
        stores: Some(["a_b", "{x}", "a/b"].map(str::to_owned).into()),
        from: "2026-02-24".parse().ok(),
        to: "2026-03-05".parse().ok(),
        ..Ask::default_for(document)
    };
    let channels = ChannelFilter::Only([String::new(), "自营".to_owned()].into());
    let documents = [
        Document::Overview,
        Document::Trend(Granularity::Day),
        Document::Trend(Granularity::Week),
        Document::Trend(Granularity::Month),
        Document::Channels,
        Document::Products(ProductSort::Loss, 7),
        Document::Products(ProductSort::Units, 200),
        Document::Diagnosis,
    ];
    for document in documents {
        asks.push((some(document), "l2-compose"));
        if !matches!(document, Document::Channels | Document::Diagnosis) {
            asks.push((Ask { channels: channels.clone(), ..some(document) }, "l2-compose"));
        }
    }
    for sort in StoreSort::ALL {
        let table = Document::StoreTable(*sort, SortOrder::Ascending);
        asks.push((Ask { stores: None, ..some(table) }, "l2-compose"));
        asks.push((Ask { channels: channels.clone(), ..Ask::default_for(table) }, "l2-compose"));
    }
    // Diagnoses of another day, on which some stores have no line.
    asks.push((Ask { to: "2026-02-27".parse().ok(), ..Ask::default_for(Document::Diagnosis) }, "l2-compose"));
    asks
}

/// Asks everything, checks `X-Cache` and that each body is the one of the steps before.
async fn check(
    step: &str,
    gateway: &Gateway,
    bodies: &mut BTreeMap<String, (String, String)>,
    outcome: impl Fn(&Ask, &'static str) -> &'static str,
) {
    for (ask, warm) in asks() {
        let url = url(&ask);
        let answer = gateway.ok(&url).await;
        assert_eq!(answer.header("x-cache"), outcome(&ask, warm), "{step} {url}");
        let (body, tag) = (answer.text().to_owned(), answer.header("etag").to_owned());
        assert!(tag.len() == 34 && tag.starts_with('"'), "{tag}");
        let (first, first_tag) = bodies.entry(url.clone()).or_insert_with(|| (body.clone(), tag.clone()));
        assert_eq!(&body, first, "{step} {url}");
        assert_eq!(&tag, first_tag, "{step} {url}");
    }
}

/// Removes stored documents and, if asked to, partials.
async fn forget(levels: &Levels, partials: bool) {
    let directory = levels.read_directory().await.hit().unwrap();
    let mut writes = Vec::new();
    for (ask, _) in asks() {
        let query = ask.resolve(&directory).unwrap();
        writes.push(Write::Delete { key: levels.keys().answer(&query).key });
        if let Some(range) = query.diagnosis.filter(|_| partials) {
            let keys = query.stores.iter().map(|store| levels.keys().partial(store, range).key);
            writes.extend(keys.map(|key| Write::Delete { key }));
        }
    }
    levels.cache().transact(writes).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_path_gives_the_same_bytes() {
    let database = PostgresServer::shared().await.fresh_database().await;
    let redis = RedisServer::start().await;
    let source = fixture::postgres(&database).await;
    let levels = fixture::levels(fixture::redis(&redis.url()));
    fixture::warm(&source, &levels).await;
    let gateway = Gateway::start(source.clone(), levels.clone()).await;
    let mut bodies = BTreeMap::new();
    // What was warmed is what is hit.
    check("warm", &gateway, &mut bodies, |_, warm| warm).await;
    assert_eq!(bodies.len(), asks().len());

    let is_list = |ask: &Ask| ask.document == Document::Stores;
    forget(&levels, false).await;
    let from_partials = |ask: &Ask| ask.document == Document::Diagnosis && ask.from.is_none();
    check("without documents", &gateway, &mut bodies, |ask, warm| match warm {
        "l3" if is_list(ask) => "l3",
        "l3" if from_partials(ask) => "l3-compose",
        "l3" => "l2-compose",
        other => other,
    })
    .await;
    forget(&levels, true).await;
    let from_cells = |ask: &Ask, _| if is_list(ask) { "l3" } else { "l2-compose" };
    check("without partials", &gateway, &mut bodies, from_cells).await;
    redis.flush_all().await;
    check("without anything", &gateway, &mut bodies, |_, _| "source").await;
    // Warmed again, and nothing damaged was met on the way.
    fixture::warm(&source, &levels).await;
    check("warm again", &gateway, &mut bodies, |_, warm| warm).await;
    assert!(levels.damages().all(|(_, count)| count == 0));

    let in_memory = fixture::levels(fixture::memory());
    fixture::warm(&source, &in_memory).await;
    let gateway = Gateway::start(source, in_memory.clone()).await;
    check("memory", &gateway, &mut bodies, |_, warm| warm).await;
    forget(&in_memory, true).await;
    check("cells in memory", &gateway, &mut bodies, from_cells).await;

    let files = fixture::files().await;
    let gateway = Gateway::start(files.clone(), fixture::levels(fixture::memory())).await;
    check("files", &gateway, &mut bodies, |_, _| "source").await;
    let warmed_from_files = fixture::levels(fixture::memory());
    fixture::warm(&files, &warmed_from_files).await;
    let gateway = Gateway::start(files, warmed_from_files).await;
    check("warmed from files", &gateway, &mut bodies, |_, warm| warm).await;
}
