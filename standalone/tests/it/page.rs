//! The page as its visitors see it: a headless Chromium over a warm shop.

mod place;

use std::time::Duration;

use gateway::auth::token;
use shared::cache::RedisCache;
use shared::config::{Role, Settings, StoreScope, TokenSettings};
use testkit::{Browser, FaultKind, Page, Visitor};

use place::{Shop, Size};

const SMALL: Size = Size { stores: 6, days: 35, lines_per_store: 700 };
/// What is asked for is ten seconds; a busy machine has more.
const SOON: Duration = Duration::from_secs(45);
const DRAWN: &str = "document.querySelector('#view-store').dataset.state === 'ready'";

/// JavaScript that says whether a tile has a level.
fn tile(name: &str, level: &str) -> String {
    format!("document.querySelector('#tile-{name}').dataset.level === '{level}'")
}

/// JavaScript that says whether an element shows a text.
fn shows(css: &str, text: &str) -> String {
    format!("document.querySelector({css:?}).innerText.includes({text:?})")
}

/// Everything that must hold whatever was done with a page.
async fn is_sound(page: &Page, origin: &str, what: &str) {
    // What fades in is pale for a moment.
    let moving =
        "document.getAnimations().filter(one => one.effect.getComputedTiming().endTime !== Infinity)";
    page.wait_for("nothing to move", &format!("{moving}.every(one => one.playState !== 'running')")).await;
    let barriers = page.accessibility_violations().await;
    let barriers: Vec<String> = barriers.iter().map(ToString::to_string).collect();
    assert!(barriers.is_empty(), "{what}: {}", barriers.join("\n"));
    assert_eq!(page.console_errors(), [], "{what}");
    assert_eq!(page.foreign_requests(origin), Vec::<String>::new(), "{what}");
    let wide: i64 = page.evaluate("document.documentElement.scrollWidth - innerWidth").await;
    assert!(wide <= 0, "{what}: {wide} pixels too wide");
    let small: Vec<String> = page
        .evaluate(
            "[...document.querySelectorAll('button, summary, input, select, [role=tab]')]
             .filter(one => one.checkVisibility() && one.getBoundingClientRect().width > 1)
             .filter(one => one.getBoundingClientRect().width < 24 || one.getBoundingClientRect().height < 24)
             .map(one => one.outerHTML.slice(0, 120))",
        )
        .await;
    assert!(small.is_empty(), "{what}: too small to hit: {small:#?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_views_are_sound_for_everybody() {
    let shop = Shop::open(SMALL, Vec::new()).await;
    let browser = Browser::start().await;
    for language in ["zh-CN,zh", "en-US"] {
        for (width, height, dark) in
            [(390, 844, false), (390, 844, true), (1920, 1080, false), (1920, 1080, true)]
        {
            let visitor = Visitor { width, height, dark, language, ..Visitor::default() };
            let page = browser.page(&visitor).await;
            page.goto(&shop.origin).await;
            page.wait_for("Redis to be well", &tile("redis", "good")).await;
            page.wait_for("the stores' days", &shows("#view-monitor", "1001")).await;
            let lang = if language == "en-US" { "en" } else { "zh-CN" };
            assert_eq!(page.attribute("html", "lang").await.as_deref(), Some(lang));
            is_sound(&page, &shop.origin, &format!("monitor, {visitor:?}")).await;
            page.click("#tab-store").await;
            page.wait_for("the store view", DRAWN).await;
            is_sound(&page, &shop.origin, &format!("store view, {visitor:?}")).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_that_goes_turns_its_tile_red_and_back() {
    let mut shop = Shop::open(SMALL, Vec::new()).await;
    let browser = Browser::start().await;
    let page = browser.page(&Visitor::default()).await;
    page.goto(&shop.origin).await;
    page.wait_for("Redis to be well", &tile("redis", "good")).await;
    // It is live: the time of the data goes on.
    let shown = "document.querySelector('#age').innerText";
    let before: String = page.evaluate(shown).await;
    page.wait_for_within("newer data", SOON, &format!("{shown} !== {before:?}")).await;
    shop.redis.stop();
    page.wait_for_within("Redis to be missed", SOON, &tile("redis", "bad")).await;
    page.wait_for("its event", "/Redis/.test(document.querySelector('#view-monitor').innerText)").await;
    shop.redis.start_again().await;
    page.wait_for_within("Redis to be back", SOON, &tile("redis", "good")).await;
    // While Redis was away the inventory was a 503, which Chromium itself writes to the console.
    let faults = page.console_errors();
    let expected = |fault: &testkit::Fault| fault.kind == FaultKind::Load && fault.text.contains("503");
    assert!(faults.iter().all(expected), "{faults:#?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_cold_is_told_with_its_reason() {
    let shop = Shop::open(SMALL, Vec::new()).await;
    let mut settings = Settings::load(&[], &|_| None).unwrap();
    settings.redis.url = shop.redis.url();
    let levels = place::levels(&settings, RedisCache::connect(&settings.redis).unwrap());
    // Paused, so that the warmer does not make it good at once.
    let pause = shared::cache::levels::Pause {
        by: "eve@shop".to_owned(),
        since: shared::runtime::now_ms(),
        until: None,
        reason: Some("stocktaking".to_owned()),
    };
    let gone = shared::cache::Write::Delete { key: levels.keys().day_cells("1003") };
    levels.cache().transact(vec![levels.write_pause(&pause).unwrap(), gone]).await.unwrap();
    let browser = Browser::start().await;
    let page = browser.page(&Visitor { language: "zh-CN", ..Visitor::default() }).await;
    page.goto(&shop.origin).await;
    page.wait_for("the pause and its reason", &shows("#view-monitor", "stocktaking")).await;
    page.wait_for("the cold store", &shows("#view-monitor", "1003")).await;
    let told = page.text("#view-monitor").await;
    assert!(told.contains("eve@shop"), "{told}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_language_is_switched_by_keyboard_and_kept() {
    let shop = Shop::open(SMALL, Vec::new()).await;
    let browser = Browser::start().await;
    let page = browser.page(&Visitor { language: "zh-CN,zh", ..Visitor::default() }).await;
    page.goto(&shop.origin).await;
    page.wait_for("the page in Chinese", "document.documentElement.lang === 'zh-CN'").await;
    page.wait_for("Chinese words", &shows("#tab-monitor", "监控")).await;
    page.evaluate::<()>("document.querySelector('#language').focus()").await;
    page.press("Enter").await;
    page.wait_for("the page in English", "document.documentElement.lang === 'en'").await;
    page.wait_for("English words", &shows("#tab-monitor", "Monitor")).await;
    // By arrows to the other view.
    page.evaluate::<()>("document.querySelector('#tab-monitor').focus()").await;
    page.press("ArrowRight").await;
    page.press("Enter").await;
    page.wait_for("the store view", DRAWN).await;
    page.reload().await;
    page.wait_for("English again", "document.documentElement.lang === 'en'").await;
    assert_eq!(page.console_errors(), []);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_store_view_says_what_the_documents_say() {
    let shop = Shop::open(SMALL, Vec::new()).await;
    let browser = Browser::start().await;
    let page = browser.page(&Visitor { width: 1920, height: 1080, ..Visitor::default() }).await;
    page.goto(&format!("{}/#store?stores=1002", shop.origin)).await;
    page.wait_for("the store view", DRAWN).await;
    let orders: i64 = page
        .evaluate(
            "fetch('/v1/metrics/overview?stores=1002').then(answer => answer.json()).then(answer => answer.data.current.orders)",
        )
        .await;
    let shown =
        format!("document.querySelector('#view-store').innerText.replaceAll(',', '').includes('{orders}')");
    page.wait_for("the number of orders", &shown).await;
    // Every card says where it came from: nothing needed the database.
    let told = page.text("#view-store").await;
    assert!(!told.contains("database"), "{told}");
    assert_eq!(page.console_errors(), []);
    is_sound(&page, &shop.origin, "one store").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gateway_with_tokens_asks_for_one_and_shows_what_it_is_for() {
    let reader = StoreScope::Listed(["1001".to_owned(), "1002".to_owned()].into());
    let tokens = vec![
        TokenSettings::new("manager", token::hash(b"hs_manager"), reader, Role::Reader).unwrap(),
        TokenSettings::new("office", token::hash(b"hs_office"), StoreScope::All, Role::Operator).unwrap(),
    ];
    let shop = Shop::open(SMALL, tokens).await;
    let browser = Browser::start().await;
    let page = browser.page(&Visitor::default()).await;
    page.goto(&shop.origin).await;
    page.wait_for("the login", "document.querySelector('#login').checkVisibility()").await;
    is_login_sound(&page).await;
    log_in(&page, "hs_wrong").await;
    page.wait_for("the refusal", "document.querySelector('#login [role=alert]')?.innerText.length > 0").await;
    log_in(&page, "hs_manager").await;
    page.wait_for("his store", &shows("#view-monitor", "1001")).await;
    let told = page.text("#view-monitor").await;
    assert!(!told.contains("1003"), "{told}");
    let kept: String = page
        .evaluate("JSON.stringify(localStorage) + JSON.stringify(sessionStorage) + document.cookie")
        .await;
    assert!(!kept.contains("hs_manager"), "{kept}");
    page.click("#tab-store").await;
    page.wait_for("the store view", DRAWN).await;
    assert!(!page.text("#view-store").await.contains("1003"));
    // What is in memory goes with the page.
    page.reload().await;
    page.wait_for("the login again", "document.querySelector('#login').checkVisibility()").await;
    log_in(&page, "hs_office").await;
    page.click("#tab-monitor").await;
    page.wait_for("all stores", &shows("#view-monitor", "1003")).await;
    // Each 401 Chromium itself writes to the console.
    let faults = page.console_errors();
    let expected = |fault: &testkit::Fault| fault.kind == FaultKind::Load && fault.text.contains("401");
    assert!(faults.iter().all(expected), "{faults:#?}");
}

async fn is_login_sound(page: &Page) {
    let barriers: Vec<String> =
        page.accessibility_violations().await.iter().map(ToString::to_string).collect();
    assert!(barriers.is_empty(), "{}", barriers.join("\n"));
}

async fn log_in(page: &Page, token: &str) {
    page.set_value("#token", token).await;
    page.evaluate::<()>("document.querySelector('#token').focus()").await;
    page.press("Enter").await;
}
