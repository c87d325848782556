//! Query strings of questions, as clients send them and as logs hold them.

use std::collections::BTreeSet;

use shared::answers::parameters::{Asked, OrdersAsk, ParametersError, Route, read};
use shared::answers::{Part, StoreData};
use shared::keys::{Keys, Place};
use shared::model::query::{MAX_DAYS, MAX_STORES};
use shared::model::{Ask, AskError, Day, Directory, Query, RelativeAsk, StoreInfo};

/// The last data day of the stores that are asked for.
const LAST_DAY: Day = Day(20_519);

/// Takes a path and query, or a query alone, which is asked of every route. What is a question has a canonical text that
/// asks the same; what is none is told which parameter is wrong.
pub fn check(data: &[u8]) {
    let Ok(target) = std::str::from_utf8(data) else { return };
    let (path, query) = target.split_once('?').unwrap_or(("", target));
    for route in Route::of(path).map_or_else(|| Route::all().to_vec(), |route| vec![route]) {
        match read(&route, query) {
            Ok(Asked::Document(ask)) => document(&route, &ask),
            Ok(Asked::Orders(ask)) => orders(&ask),
            Err(ParametersError::TooManyStores(count)) => assert!(count > MAX_STORES),
            Err(ParametersError::Unfit(errors)) => {
                assert!(!errors.is_empty(), "refused without a reason");
                assert!(errors.iter().all(|error| !error.reason.is_empty()));
            }
        }
    }
}

fn document(route: &Route, ask: &Ask) {
    assert_eq!(ask.document.name(), route.kind());
    assert!(ask.stores.as_ref().is_none_or(|stores| stores.len() <= MAX_STORES && !stores.contains("")));
    let relative = RelativeAsk::new(ask.clone(), LAST_DAY);
    assert_eq!(&relative.absolute(LAST_DAY), ask);
    assert_eq!(relative.text().parse().as_ref(), Ok(&relative));
    let directory = directory(ask.stores.as_ref());
    match ask.resolve(&directory) {
        Ok(query) => resolved(route, &query, &directory),
        Err(AskError::UnknownStore(store)) => panic!("{store:?} is in the directory"),
        Err(AskError::EmptyRange { from, to }) => assert!(from > to),
        Err(AskError::TooManyDays { from, to, days }) => {
            assert!(days > MAX_DAYS && days == to.since(from) + 1);
        }
    }
}

/// The canonical text leads to the same question, and the question to a document.
fn resolved(route: &Route, query: &Query, directory: &Directory) {
    let canonical = query.canonical();
    assert_eq!(Query::stores_of(&canonical).as_ref(), Some(&query.stores));
    let (name, parameters) = canonical.split_once('?').expect("a canonical text has parameters");
    assert_eq!(name, route.kind());
    // A plus is a blank in a URL, and nothing else in a canonical text.
    let mut parameters = parameters.replace('+', "%2B");
    if !route.parameters().contains(&"stores")
        && let Some((others, _)) = parameters.rsplit_once("&stores=")
    {
        parameters.truncate(others.len());
    }
    match read(route, &parameters) {
        Ok(Asked::Document(again)) => assert_eq!(again.resolve(directory).as_ref(), Ok(query)),
        other => panic!("{parameters:?} is {other:?}"),
    }
    let keys = Keys::default();
    assert_eq!(keys.place(&keys.answer(query).key), Some(Place::Answer));
    assert_eq!(keys.place(&keys.hot(query).key), Some(Place::Hot));
    assert!(keys.is_of_question(&keys.answer(query).key, &canonical));
    let mut part = Part::empty();
    for store in query.stores.iter().take(2) {
        part.merge(Part::of_store(query, store, &StoreData::default()), query);
    }
    let data = part.finish(query, directory);
    assert!(shared::entry::json(&data).is_ok(), "a document that is no JSON");
}

fn orders(ask: &OrdersAsk) {
    assert!((1..=1000).contains(&ask.limit));
    if let Some(cursor) = &ask.cursor {
        assert_eq!(cursor.to_string().parse().as_ref(), Ok(cursor));
        assert!((Day::MIN..=Day::MAX).contains(&cursor.day()));
    }
}

/// The stores named, if any, and two more, with a gap in their days.
fn directory(named: Option<&BTreeSet<String>>) -> Directory {
    let mut ids: BTreeSet<&str> = named.into_iter().flatten().map(String::as_str).collect();
    ids.extend(["1001", "1002"]);
    let store = |id: &str| StoreInfo {
        store_id: id.to_owned(),
        name: id.to_owned(),
        city: None,
        lines: 5,
        days: (0..40).filter(|day| day % 7 != 0).map(|day| LAST_DAY.plus(-day)).collect(),
    };
    Directory::new(ids.into_iter().map(store).collect())
}
