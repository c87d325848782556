//! Laws of cells and of what is composed from them, on generated lines: order does not matter, any grouping of stores
//! gives the same document, an incremental result is a full one, and stored cells are the cells.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use proptest::prelude::*;
use proptest::sample::Index;
use shared::answers::{Part, StoreData};
use shared::cache::levels::{Stamp, VersionedDay};
use shared::cache::{Cache, Levels, MemoryCache, StoredAnswer, Ttl, Write};
use shared::cells::{BuiltDay, StoreDay, build_cells};
use shared::diagnosis::{self, Partial};
use shared::keys::Keys;
use shared::model::query::{Granularity, ProductSort, SortOrder, StoreSort};
use shared::model::{
    ABSENT, Ask, ChannelFilter, Column, DayRange, DaySet, Directory, Document, Line, Lines, LocalTime, Query,
    Rules, StoreInfo,
};

use super::sample::{day, set_text};

const STORES: [&str; 4] = ["all", "a_b", "{x}", "门店:1"];
const DAYS: i32 = 18;

/// A line of few stores, orders and products, so that they meet; late days are likelier, as the rules look there.
fn any_line() -> impl Strategy<Value = Line> {
    let place = (0..STORES.len(), prop_oneof![0..DAYS, DAYS - 4..DAYS], 0u32..5, 0i64..3);
    let product = (0u32..5, 0usize..3, 0usize..3, -2i32..9, prop_oneof![Just(ABSENT), 0i64..3]);
    // Prices as cents, so that profits of both signs and equal ones occur.
    let money = (0i64..500, 0i64..900, -300i64..300, -100i64..200, 0i64..1500, any::<u32>());
    let distance = prop_oneof![Just(ABSENT), Just(0), 1_000_000_000i64..12_000_000_000];
    (place, product, money, distance).prop_map(|(place, product, money, distance)| {
        let (store, after, order, hour) = place;
        let (key, channel, category, quantity, stock) = product;
        let (paid, cost, profit, fee, delivery, rest) = money;
        let mut line = Line {
            ordered_at: LocalTime(LocalTime::midnight(day(after)).0 + hour * 3_600_000_000),
            quantity,
            stock,
            ..Line::default()
        };
        let cents = 10_000;
        let values = [
            (Column::PaidPrice, paid * cents),
            (Column::Cost, cost * cents + i64::from(rest % 7)),
            (Column::GrossProfit, profit * cents),
            (Column::PlatformFee, fee * cents),
            (Column::DeliveryCost, delivery * cents),
            (Column::ListPrice, i64::from(rest % 1000) * cents),
            (Column::FullReduction, i64::from(rest % 300) * cents),
            (Column::Rebate, i64::from(rest % 11)),
            (Column::DistanceM, distance),
        ];
        for (column, value) in values {
            line.decimals[column.slot()] = value;
        }
        set_text(&mut line, Column::StoreId, STORES[store]);
        set_text(&mut line, Column::OrderId, &order.to_string());
        set_text(&mut line, Column::Channel, ["", "美团闪购", "自营"][channel]);
        set_text(&mut line, Column::Category1, ["水果", "耗材", ""][category]);
        set_text(&mut line, Column::ProductName, &format!("p{key}"));
        if rest.is_multiple_of(2) {
            set_text(&mut line, Column::StoreCode, &format!("c{}", key % 3));
        }
        line
    })
}

fn some_lines(most: usize) -> impl Strategy<Value = Vec<Line>> {
    proptest::collection::vec(any_line(), 0..most)
}

fn lines(all: &[Line]) -> Lines {
    let mut lines = Lines::default();
    all.iter().for_each(|line| lines.push(line));
    lines
}

fn cells(all: &[Line]) -> Vec<BuiltDay> {
    build_cells(&lines(all).view(), &Rules::default())
}

fn store_data(built: &[BuiltDay]) -> BTreeMap<String, StoreData> {
    let mut stores: BTreeMap<String, StoreData> = BTreeMap::new();
    for BuiltDay { store_id, date, cells } in built {
        let data = stores.entry(store_id.clone()).or_default();
        data.versions.insert(*date, VersionedDay::new(cells.clone()).unwrap().version);
        data.days.insert(*date, Arc::new(cells.day.clone()));
        data.products.insert(*date, Arc::new(cells.products.clone()));
    }
    stores
}

fn directory(stores: &BTreeMap<String, StoreData>) -> Directory {
    let info = |(id, data): (&String, &StoreData)| StoreInfo {
        store_id: id.clone(),
        name: format!("{id} 店"),
        city: None,
        lines: data.days.values().map(|cell| cell.lines).sum(),
        days: data.days.keys().copied().collect::<DaySet>(),
    };
    Directory::new(stores.iter().map(info).collect())
}

/// Every kind of document, over all stores, over some days, and of some channels; short lists, so that cuts matter.
fn queries(directory: &Directory) -> Vec<Query> {
    let mut documents = vec![Document::Overview, Document::Channels, Document::Diagnosis];
    documents.extend(Granularity::ALL.iter().map(|granularity| Document::Trend(*granularity)));
    documents.extend(StoreSort::ALL.iter().map(|sort| Document::StoreTable(*sort, SortOrder::Descending)));
    documents.push(Document::StoreTable(StoreSort::ProfitRate, SortOrder::Ascending));
    documents.extend(ProductSort::ALL.iter().map(|sort| Document::Products(*sort, 3)));
    let mut asks: Vec<Ask> = documents.iter().map(|document| Ask::default_for(*document)).collect();
    for document in documents {
        asks.push(Ask { from: Some(day(3)), to: Some(day(DAYS - 2)), ..Ask::default_for(document) });
        if !matches!(document, Document::Channels | Document::Diagnosis) {
            let channels = ChannelFilter::Only(BTreeSet::from([String::new(), "自营".to_owned()]));
            asks.push(Ask { channels, ..Ask::default_for(document) });
        }
    }
    asks.into_iter().map(|ask| ask.resolve(directory).unwrap()).collect()
}

fn json(part: Part, query: &Query, directory: &Directory) -> (String, String) {
    let version = part.version().to_string();
    (StoredAnswer::new(&part.finish(query, directory)).unwrap().json, version)
}

fn documents(built: &[BuiltDay], directory: &Directory) -> Vec<(String, String)> {
    let stores = store_data(built);
    queries(directory)
        .iter()
        .map(|query| {
            let mut whole = Part::empty();
            for (id, data) in &stores {
                whole.merge(Part::of_store(query, id, data), query);
            }
            json(whole, query, directory)
        })
        .collect()
}

/// Merges parts two by two, whichever `picks` says, until one is left.
fn merged_by(mut parts: Vec<Part>, picks: &[Index], query: &Query) -> Part {
    for pick in picks.iter().cycle() {
        if parts.len() < 2 {
            break;
        }
        let one = parts.remove(pick.index(parts.len()));
        let at = pick.index(parts.len());
        parts[at].merge(one, query);
    }
    parts.pop().unwrap_or_else(Part::empty)
}

fn partials(built: &[BuiltDay], range: DayRange) -> Vec<Partial> {
    let of_store =
        |(id, data): (&String, &StoreData)| diagnosis::partial(id, &data.days, &data.products, range);
    store_data(built).iter().map(of_store).collect()
}

fn merged(one: &Partial, other: &Partial) -> Partial {
    let mut sum = one.clone();
    sum.merge(other.clone());
    sum
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_order_of_lines_does_not_matter(
        (all, shuffled) in some_lines(120).prop_flat_map(|all| (Just(all.clone()), Just(all).prop_shuffle()))
    ) {
        let (one, other) = (cells(&all), cells(&shuffled));
        prop_assert_eq!(&one, &other);
        for (one, other) in one.iter().zip(&other) {
            let version = |built: &BuiltDay| VersionedDay::new(built.cells.clone()).unwrap().version;
            prop_assert_eq!(version(one), version(other));
        }
    }

    #[test]
    fn any_grouping_of_stores_gives_the_same_documents(
        all in some_lines(200),
        picks in proptest::collection::vec(any::<Index>(), 1..8),
    ) {
        let built = cells(&all);
        let (stores, expected) = (store_data(&built), documents(&built, &directory(&store_data(&built))));
        let directory = directory(&stores);
        for (query, expected) in queries(&directory).iter().zip(expected) {
            let mut parts = vec![Part::empty()];
            parts.extend(stores.iter().map(|(id, data)| Part::of_store(query, id, data)));
            let other = json(merged_by(parts, &picks, query), query, &directory);
            prop_assert_eq!(other, expected, "{:?}", query.document);
        }
    }

    #[test]
    fn partials_merge_in_any_order(all in some_lines(300)) {
        let range = DayRange { from: day(0), to: day(DAYS - 1) };
        let partials = partials(&cells(&all), range);
        for a in &partials {
            prop_assert_eq!(&merged(a, &Partial::default()), a);
            prop_assert_eq!(&merged(&Partial::default(), a), a);
            for b in &partials {
                prop_assert_eq!(merged(a, b), merged(b, a));
                for c in &partials {
                    prop_assert_eq!(merged(&merged(a, b), c), merged(a, &merged(b, c)));
                }
            }
        }
    }

    #[test]
    fn incremental_is_full(all in some_lines(150), changed in some_lines(40), store in 0..STORES.len(), after in 0..DAYS) {
        let (store, date) = (STORES[store], day(after));
        let in_place = |line: &&Line| line.text(Column::StoreId) == store && line.ordered_at.day() == date;
        let moved: Vec<Line> = changed
            .into_iter()
            .map(|mut line| {
                let of_day = line.ordered_at.0 - LocalTime::midnight(line.ordered_at.day()).0;
                line.ordered_at = LocalTime(LocalTime::midnight(date).0 + of_day);
                set_text(&mut line, Column::StoreId, store);
                line
            })
            .collect();
        let mut after: Vec<Line> = all.iter().filter(|line| !in_place(line)).cloned().collect();
        after.extend(moved.iter().cloned());
        let full = cells(&after);

        let mut incremental: Vec<BuiltDay> = cells(&all);
        incremental.retain(|built| (built.store_id.as_str(), built.date) != (store, date));
        incremental.extend(cells(&moved));
        incremental.sort_by(|a, b| (&a.store_id, a.date).cmp(&(&b.store_id, b.date)));
        prop_assert_eq!(&incremental, &full);
        let directory = directory(&store_data(&full));
        prop_assert_eq!(documents(&incremental, &directory), documents(&full, &directory));
    }

    #[test]
    fn stored_cells_are_the_cells(all in some_lines(120)) {
        let cache = Cache::Memory(MemoryCache::new(1 << 20));
        let levels = Levels::new(cache, Keys::default(), 1, Ttl::default(), 1 << 24);
        let built = cells(&all);
        for BuiltDay { store_id, date, cells } in &built {
            let versioned = VersionedDay::new(cells.clone()).unwrap();
            let (day_cell, product_cell) = levels.encode_cells(store_id, *date, &versioned, 9).unwrap();
            let (of_day, day) = levels.decode_day_cell(store_id, *date, &day_cell).unwrap();
            let (of_products, products) = levels.decode_product_cell(store_id, *date, &product_cell).unwrap();
            prop_assert_eq!(&StoreDay { day, products }, cells);
            prop_assert_eq!((of_day.data_version, of_products.data_version), (versioned.version, versioned.version));
            prop_assert_eq!((of_day.as_of, of_day.computed_at), (Some(*date), 9));
        }
        let range = DayRange { from: day(0), to: day(DAYS - 1) };
        let stamp = Stamp { now: 9, as_of: Some(range.to), version: Default::default() };
        for (at, partial) in partials(&built, range).iter().enumerate() {
            let store = STORES[at];
            let Write::Set { value, .. } = levels.write_partial(store, range, partial, &stamp).unwrap() else {
                panic!("a partial is a value of its own");
            };
            prop_assert_eq!(&levels.decode_partial(store, range, &value).unwrap().1, partial);
        }
        prop_assert!(levels.damages().all(|(_, count)| count == 0));
    }
}

/// The generated lines reach every rule of the diagnosis; else the laws above would say little.
#[test]
fn generated_lines_reach_the_rules() {
    use proptest::strategy::ValueTree as _;
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let strategy = proptest::collection::vec(any_line(), 300);
    let range = DayRange { from: day(0), to: day(DAYS - 1) };
    let mut whole = Partial::default();
    for _ in 0..10 {
        let all = strategy.new_tree(&mut runner).unwrap().current();
        for partial in partials(&cells(&all), range) {
            whole.merge(partial);
        }
    }
    let counts = [
        ("loss_orders", whole.loss_orders.daily[0]),
        ("high_delivery", whole.high_delivery.daily[0]),
        ("stock_out", whole.stock_out.count),
        ("below_cost", whole.below_cost.count),
        ("traffic_drop", whole.traffic_drop.count),
        ("slow_3", whole.slow[0].count),
        ("margin_drop", whole.margin_drop.count),
        ("hot", whole.hot.count),
        ("high_profit", whole.high_profit.count),
    ];
    for (rule, count) in counts {
        assert!(count > 0, "{rule} in {counts:?}");
    }
}
