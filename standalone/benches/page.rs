//! How long the page takes in a headless Chromium, and what it weighs: `scripts/bench-page [--screenshots FOLDER]`. A shop of 100
//! stores on real servers, each measurement in a browser context of its own, so that nothing is cached.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_precision_loss,
    reason = "a bench that cannot run has no result"
)]

#[path = "../tests/it/page/place.rs"]
mod place;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use place::{Shop, Size};
use testkit::{Browser, Page, Visitor};

const SHOP: Size = Size { stores: 100, days: 60, lines_per_store: 6_000 };
const ROUNDS: usize = 9;
const LIMIT: Duration = Duration::from_secs(60);
/// Resolves to the time since navigation when the store view is drawn.
const STORE_DRAWN: &str = "new Promise(done => { const look = () => \
     document.querySelector('#view-store').dataset.state === 'ready' ? done(performance.now()) : requestAnimationFrame(look); \
     look(); })";
const MONITOR_DRAWN: &str = "document.querySelector('#tile-redis')?.dataset.level === 'good' && \
     document.querySelector('#view-monitor').innerText.includes('1001')";

#[tokio::main]
async fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    // `cargo test --all-targets` runs it to see that it starts.
    if !arguments.iter().any(|argument| argument == "--bench") {
        return ExitCode::SUCCESS;
    }
    let mut shop = Shop::open(SHOP, Vec::new()).await;
    let browser = Browser::start().await;
    ask_a_while(&shop, &browser).await;
    let folder = arguments.iter().skip_while(|argument| *argument != "--screenshots").nth(1);
    if let Some(folder) = folder {
        screenshots(&shop, &browser, Path::new(folder)).await;
        return ExitCode::SUCCESS;
    }
    if measure(&mut shop, &browser).await { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Requests as dashboards send them, so that charts and heat have something to show.
async fn ask_a_while(shop: &Shop, browser: &Browser) {
    let page = browser.page(&Visitor::default()).await;
    page.goto(&shop.origin).await;
    let asked: i64 = page
        .evaluate(
            "(async () => { let asked = 0; \
             for (let round = 0; round < 60; round += 1) { \
               for (let store = 1; store <= 100; store += 1 + Math.floor(store / 4)) { \
                 for (const path of ['metrics/overview', 'metrics/trend', 'diagnosis']) { \
                   await (await fetch(`/v1/${path}?stores=${1000 + store}`)).arrayBuffer(); asked += 1; } } \
               await new Promise(done => setTimeout(done, 500)); } \
             return asked; })()",
        )
        .await;
    println!("{asked} requests sent");
}

async fn measure(shop: &mut Shop, browser: &Browser) -> bool {
    let (mut paint, mut monitor, mut store, mut bytes) = (vec![], vec![], vec![], vec![]);
    for _ in 0..ROUNDS {
        let page = browser.page(&Visitor::default()).await;
        let start = Instant::now();
        page.goto(&shop.origin).await;
        page.wait_for("the monitor", MONITOR_DRAWN).await;
        monitor.push(start.elapsed().as_secs_f64() * 1000.0);
        paint.push(page.first_paint_ms().await);
        page.click("#tab-store").await;
        let _drawn: f64 = page.evaluate(STORE_DRAWN).await;
        bytes.push(page.transferred_bytes() as f64 / 1000.0);
        // A manager's bookmark: his store, at once.
        let page = browser.page(&Visitor::default()).await;
        page.goto(&format!("{}/#store?stores=1007", shop.origin)).await;
        store.push(page.evaluate(STORE_DRAWN).await);
    }
    let page = browser.page(&Visitor::default()).await;
    page.goto(&shop.origin).await;
    page.wait_for("the monitor", MONITOR_DRAWN).await;
    let level = |level: &str| format!("document.querySelector('#tile-redis').dataset.level === '{level}'");
    shop.redis.stop();
    let start = Instant::now();
    page.wait_for_within("Redis to be missed", LIMIT, &level("bad")).await;
    let red = start.elapsed().as_secs_f64();
    shop.redis.start_again().await;
    let start = Instant::now();
    page.wait_for_within("Redis to be back", LIMIT, &level("good")).await;
    let green = start.elapsed().as_secs_f64();
    println!("{:<34}{:>9}{:>9}{:>9}", "", "min", "median", "max");
    let mut all_met = true;
    let mut goals = Vec::new();
    for (name, unit, values, limit) in [
        ("first_paint", "ms", &mut paint, Some(500.0)),
        ("monitor_complete", "ms", &mut monitor, None),
        ("store_view_complete", "ms", &mut store, Some(1000.0)),
        ("transferred_both_views", "kB", &mut bytes, Some(150.0)),
        ("redis_killed_to_red", "s", &mut vec![red], Some(10.0)),
        ("redis_back_to_green", "s", &mut vec![green], None),
    ] {
        values.sort_by(f64::total_cmp);
        let (median, last) = (values[values.len() / 2], values[values.len() - 1]);
        println!("{:<34}{:>9.1}{median:>9.1}{last:>9.1}", format!("{name} ({unit})"), values[0]);
        if let Some(limit) = limit {
            let met = median <= limit;
            all_met &= met;
            goals.push(format!(
                "goal {name}_{unit} {median:.1} <= {limit} {}",
                if met { "met" } else { "missed" }
            ));
        }
    }
    println!("{}", goals.join("\n"));
    all_met
}

/// The pictures of docs/page.md.
async fn screenshots(shop: &Shop, browser: &Browser, folder: &Path) {
    let shot = async |page: &Page, name: String| {
        let path: PathBuf = folder.join(format!("{name}.png"));
        page.screenshot(path.to_str().unwrap(), false).await;
        println!("{}", path.display());
    };
    for (language, of_language) in [("en-US", "en"), ("zh-CN,zh", "zh")] {
        for (width, height) in [(1920, 1300), (390, 1100)] {
            for dark in [false, true] {
                let visitor = Visitor { width, height, dark, language, reduced_motion: true };
                let theme = if dark { "dark" } else { "light" };
                let page = browser.page(&visitor).await;
                page.goto(&shop.origin).await;
                page.wait_for("the monitor", MONITOR_DRAWN).await;
                shot(&page, format!("monitor-{of_language}-{width}-{theme}")).await;
                page.click("#tab-store").await;
                let _drawn: f64 = page.evaluate(STORE_DRAWN).await;
                shot(&page, format!("store-{of_language}-{width}-{theme}")).await;
            }
        }
    }
}
