use std::sync::Arc;
use std::time::Duration;

use shared::access_log::{Outcome, Request};
use shared::config::Settings;
use shared::model::{Day, DaySet, StoreInfo};

use super::*;
use crate::interest::Limits;
use crate::scope::Extent;

const NOW: i64 = 1_800_000_000_000;
const BUDGET: Budget = Budget { bytes: 1 << 30, time_ms: 60_000, answers: 100, hot_answers: 3 };

fn last_day() -> Day {
    "2026-03-07".parse().unwrap()
}

/// Stores `s0` … `s9`, later ones with more lines, each with lines on 60 days.
fn scope() -> Scope {
    let store = |number: i32| StoreInfo {
        store_id: format!("s{number}"),
        name: format!("Store {number}"),
        city: None,
        days: (0..60).map(|days| last_day().plus(-days)).collect::<DaySet>(),
        lines: 6_000 * (number + 1) as u64,
    };
    let extent = Extent { hot_share: 0.2, ..Extent::new(&Settings::load(&[], &|_| None).unwrap()) };
    Scope::new(Arc::new(Directory::new((0..10).map(store).collect())), &extent)
}

fn interest(floor: usize) -> Interest {
    let half_life_ms = u64::try_from(Duration::from_secs(21_600).as_millis()).unwrap();
    Interest::new(Limits { half_life_ms, stores: 100, questions: 1000, tokens: 100, floor, answers: 100 })
}

fn ask(interest: &mut Interest, token: &str, path: &str, query: &str, times: usize) {
    for number in 0..times {
        let request = Request {
            time: NOW - i64::try_from(number).unwrap(),
            method: "GET".into(),
            token: Some(token.into()),
            path: path.into(),
            query: query.into(),
            status: 200,
            outcome: Outcome::L2Compose,
            last_day: Some(last_day()),
            ..Request::default()
        };
        interest.record(&request, None, NOW);
    }
}

fn made(interest: &Interest, budget: Budget) -> Plan {
    let (scope, costs, kept) = (scope(), Costs::default(), BTreeSet::new());
    plan(&Basis { scope: &scope, interest, costs: &costs, kept: &kept, hot_share: 0.2, budget, now: NOW })
}

fn kept(plan: &Plan) -> Vec<String> {
    plan.answers.iter().map(|chosen| chosen.relative.to_string()).collect()
}

#[test]
fn without_a_log_the_largest_stores_are_hot_with_their_lines() {
    let plan = made(&interest(0), BUDGET);
    assert!(!plan.record.from_log);
    assert_eq!(plan.hot, BTreeSet::from(["s8".to_owned(), "s9".to_owned()]));
    assert_eq!(plan.orders, plan.hot);
    assert_eq!(plan.ready.len(), 3);
}

#[test]
fn with_a_log_what_is_asked_for_is_hot_and_lines_are_kept_where_they_are_asked_for() {
    let mut interest = interest(0);
    ask(&mut interest, "", "/v1/metrics/overview", "stores=s0,s1", 5);
    ask(&mut interest, "", "/v1/stores/s3/orders", "", 2);
    let plan = made(&interest, BUDGET);
    assert_eq!(plan.hot, BTreeSet::from(["s0".to_owned(), "s1".to_owned()]));
    assert_eq!(plan.orders, BTreeSet::from(["s3".to_owned()]));
    let store = plan.record.stores.iter().find(|store| store.store_id == "s9").unwrap();
    assert_eq!((store.hot, &store.lines_reason), (false, &Reason::NotAsked));
}

#[test]
fn every_limit_has_its_reason() {
    let mut interest = interest(0);
    for number in 0..5 {
        ask(&mut interest, "", "/v1/metrics/overview", &format!("stores=s{number}"), 10 - number);
    }
    let reasons = |budget| -> Vec<Reason> {
        made(&interest, budget).record.decisions.into_iter().map(|decision| decision.reason).collect()
    };
    assert_eq!(reasons(BUDGET), vec![Reason::Worth; 5]);
    let places = reasons(Budget { answers: 2, ..BUDGET });
    assert_eq!(places.iter().filter(|reason| reason.admits()).count(), 2);
    assert!(
        places[..2].iter().all(Reason::admits) && places[2..].iter().all(|reason| *reason == Reason::NoPlace)
    );
    let bytes = made(&interest, BUDGET).record.decisions[0].bytes;
    let tight = reasons(Budget { bytes: bytes * 3, hot_answers: 0, ..BUDGET });
    assert_eq!(tight.iter().filter(|reason| **reason == Reason::NoBytes).count(), 2);
    let slow = reasons(Budget { time_ms: 0, ..BUDGET });
    assert_eq!(slow, vec![Reason::NoTime; 5]);
}

#[test]
fn what_is_kept_already_takes_no_time() {
    let mut interest = interest(0);
    ask(&mut interest, "", "/v1/metrics/overview", "stores=s0", 3);
    let (scope, costs) = (scope(), Costs::default());
    let question = made(&interest, BUDGET).record.decisions[0].question.clone();
    let (kept, budget) = (BTreeSet::from([question]), Budget { time_ms: 0, ..BUDGET });
    let basis = Basis {
        scope: &scope,
        interest: &interest,
        costs: &costs,
        kept: &kept,
        hot_share: 0.2,
        budget,
        now: NOW,
    };
    assert_eq!(plan(&basis).answers.len(), 1);
}

#[test]
fn what_is_kept_gives_way_only_to_what_is_worth_clearly_more() {
    let mut interest = interest(0);
    for number in 0..10 {
        for kind in ["overview", "trend"] {
            ask(&mut interest, "", &format!("/v1/metrics/{kind}"), &format!("stores=s{number}"), 3);
        }
    }
    let scope = scope();
    let kinds = |ms: f64, kept: &BTreeSet<String>| {
        let mut costs = Costs::default();
        costs.learn(Kind::Document("overview"), 1, 1.0, 100);
        costs.learn(Kind::Document("trend"), 1, ms, 100);
        let budget = Budget { answers: 10, ..BUDGET };
        let basis = Basis {
            scope: &scope,
            interest: &interest,
            costs: &costs,
            kept,
            hot_share: 0.2,
            budget,
            now: NOW,
        };
        plan(&basis).answers.iter().map(|chosen| chosen.query.canonical()).collect::<BTreeSet<String>>()
    };
    // As trends cost a little less, and a little more, than overviews.
    let overviews = kinds(0.9, &BTreeSet::new());
    assert!(overviews.is_disjoint(&kinds(1.1, &BTreeSet::new())));
    assert_eq!(kinds(1.1, &overviews), overviews);
    assert!(overviews.is_disjoint(&kinds(2.0, &overviews)));
}

#[test]
fn a_quiet_token_keeps_its_favourites_beside_a_busy_one() {
    let mut interest = interest(1);
    ask(&mut interest, "quiet", "/v1/diagnosis", "stores=s7", 1);
    for number in 0..6 {
        ask(&mut interest, "busy", "/v1/metrics/overview", &format!("stores=s{number}"), 50);
    }
    let plan = made(&interest, Budget { answers: 2, ..BUDGET });
    assert!(kept(&plan).contains(&"diagnosis?&store=s7".to_owned()), "{:?}", kept(&plan));
    let decision =
        plan.record.decisions.iter().find(|known| known.relative == "diagnosis?&store=s7").unwrap();
    assert_eq!(decision.reason, Reason::Floor { token: "quiet".to_owned() });
}

#[test]
fn the_hottest_get_ready_responses_and_those_over_all_stores_need_no_place() {
    let mut interest = interest(0);
    ask(&mut interest, "", "/v1/metrics/overview", "", 20);
    for number in 0..5 {
        ask(&mut interest, "", "/v1/metrics/trend", &format!("stores=s{number}"), 9 - number);
    }
    let plan = made(&interest, Budget { hot_answers: 2, ..BUDGET });
    let ready: Vec<&str> = plan
        .record
        .decisions
        .iter()
        .filter(|decision| decision.ready)
        .map(|decision| decision.relative.as_str())
        .collect();
    assert_eq!(ready.len(), 2);
    assert!(ready.contains(&"overview?"));
    assert_eq!(plan.answers.len(), 5);
}

#[test]
fn equal_questions_in_other_words_are_one() {
    let mut interest = interest(0);
    ask(&mut interest, "", "/v1/metrics/overview", "stores=s1", 2);
    ask(&mut interest, "", "/v1/metrics/overview", "stores=s1&to=2026-03-07", 2);
    let plan = made(&interest, BUDGET);
    assert_eq!((plan.answers.len(), plan.record.decisions.len()), (1, 1));
    assert!(plan.record.decisions[0].heat > 3.9);
}

#[test]
fn equal_bases_give_equal_plans() {
    let build = || {
        let mut interest = interest(2);
        for number in 0..50 {
            let token = format!("t{}", number % 4);
            ask(
                &mut interest,
                &token,
                "/v1/metrics/channels",
                &format!("stores=s{}", number % 10),
                1 + number % 3,
            );
        }
        made(&interest, Budget { answers: 6, ..BUDGET }).record
    };
    assert_eq!(build(), build());
}
