//! What a visitor does in a page, and sees of it.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use testkit::{Browser, Visitor, wait_until};

use crate::site::{Site, Thing};

const PAGE: &str = r#"<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Shop</title>
<link rel="icon" href="data:,"><link rel="stylesheet" href="/style.css"><script type="module" src="/app.js"></script></head>
<body><main><h1>Shop</h1><p id="low">Below is a button</p>
<button id="more" data-level="good">More</button><p id="count">0</p>
<button id="covered">Covered</button><button id="off" disabled>Off</button><div id="cover"></div>
<label>Name <input id="name"></label>
<label>Day <input id="day" type="date"></label>
<label>Range <select id="range"><option value="7">a week</option><option value="30">a month</option></select></label>
<p id="heard"></p></main></body></html>"#;
const STYLE: &str = "body { background: rgb(255, 255, 255); color: rgb(0, 0, 0); }
#low { height: 3000px; }
#covered { position: absolute; left: 20px; top: 200px; width: 200px; height: 40px; }
#cover { position: absolute; left: 0; top: 190px; width: 300px; height: 60px; background: silver; }
@media (prefers-color-scheme: dark) { body { background: rgb(0, 0, 0); color: rgb(255, 255, 255); } }";
const SCRIPT: &str = r"
const at = (id) => document.getElementById(id);
let count = 0;
at('more').addEventListener('click', (event) => { if (event.isTrusted) at('count').textContent = String(++count); });
for (const id of ['name', 'day', 'range']) {
  at(id).addEventListener('change', (event) => { at('heard').textContent = `${id}=${event.target.value}`; });
}
at('name').addEventListener('keydown', (event) => { at('heard').textContent += event.key; });
at('covered').addEventListener('mouseenter', () => { at('heard').textContent = 'over'; });
";

fn site() -> Site {
    let style = Thing { path: "/style.css", head: "content-type: text/css\r\n", body: STYLE.into() };
    let table = Thing {
        path: "/table.csv",
        head: "content-type: text/csv\r\ncontent-disposition: attachment; filename=\"table.csv\"\r\n",
        body: "store,profit\n1001,7\n".into(),
    };
    Site::start(vec![Thing::page(PAGE), Thing::script(SCRIPT), style, table])
}

fn chinese() -> Visitor {
    Visitor { width: 390, height: 844, dark: true, language: "zh-CN,zh", ..Visitor::default() }
}

#[tokio::test]
async fn a_visitor_clicks_and_types() {
    let (site, browser) = (site(), Browser::start().await);
    let page = browser.page(&Visitor::default()).await;
    page.goto(&site.url("/")).await;
    // It is far below.
    page.click("#more").await;
    page.wait_for("one click", "document.getElementById('count').textContent === '1'").await;
    assert!(page.evaluate::<f64>("scrollY").await > 1000.0);
    // By the keyboard: on to the field, and back to the button.
    page.press("Enter").await;
    page.press("Space").await;
    page.wait_for("three clicks", "document.getElementById('count').textContent === '3'").await;
    page.evaluate::<()>("document.getElementById('name').focus()").await;
    page.type_text("a+B 店").await;
    assert_eq!(page.evaluate::<String>("document.getElementById('name').value").await, "a+B 店");
    assert_eq!(page.text("#heard").await, "aB");
    page.press("Backspace").await;
    page.press("Tab").await;
    assert_eq!(page.text("#heard").await, "name=a+B");
    assert_eq!(page.evaluate::<String>("document.activeElement.id").await, "day");
    page.press("Shift+Tab").await;
    assert_eq!(page.evaluate::<String>("document.activeElement.id").await, "name");
    page.set_value("#day", "2026-03-07").await;
    assert_eq!(page.text("#heard").await, "day=2026-03-07");
    page.set_value("#range", "30").await;
    assert_eq!(page.text("#heard").await, "range=30");
    let levels = [page.attribute("#more", "data-level").await, page.attribute("#more", "title").await];
    assert_eq!(levels, [Some("good".to_owned()), None]);
    page.evaluate::<()>("document.getElementById('cover').remove()").await;
    page.hover("#covered").await;
    page.wait_for("the mouse to be over it", "document.getElementById('heard').textContent === 'over'").await;
}

#[tokio::test]
async fn visitors_have_languages_sizes_and_dark_rooms() {
    let (site, browser) = (site(), Browser::start().await);
    let seen = "({ languages: navigator.languages, dates: new Intl.DateTimeFormat().resolvedOptions().locale,
        width: innerWidth, height: innerHeight, body: getComputedStyle(document.body).backgroundColor,
        still: matchMedia('(prefers-reduced-motion: reduce)').matches })";
    let [english, chinese] = [browser.page(&Visitor::default()).await, browser.page(&chinese()).await];
    for page in [&english, &chinese] {
        page.goto(&site.url("/")).await;
    }
    let white = json!({ "languages": ["en-US"], "dates": "en-US", "width": 1280, "height": 800,
        "body": "rgb(255, 255, 255)", "still": false });
    let black = json!({ "languages": ["zh-CN", "zh"], "dates": "zh-CN", "width": 390, "height": 844,
        "body": "rgb(0, 0, 0)", "still": false });
    assert_eq!(
        [english.evaluate::<Value>(seen).await, chinese.evaluate::<Value>(seen).await],
        [white, black]
    );
    let headers: String = chinese.evaluate("fetch('/headers').then((answer) => answer.text())").await;
    assert!(headers.to_lowercase().contains("accept-language: zh-cn,zh"), "{headers}");
    chinese.emulate_dark(false).await;
    chinese.set_viewport(1920, 1080).await;
    let now: Value = chinese.evaluate(seen).await;
    assert_eq!((&now["body"], &now["width"]), (&json!("rgb(255, 255, 255)"), &json!(1920)));
    // What one keeps, the other does not see; it is there again after a reload.
    english.evaluate::<()>("localStorage.setItem('theme', 'dark')").await;
    english.reload().await;
    let kept = "localStorage.getItem('theme')";
    assert_eq!(english.evaluate::<Option<String>>(kept).await.as_deref(), Some("dark"));
    assert_eq!(chinese.evaluate::<Option<String>>(kept).await, None);
    let still = Visitor { reduced_motion: true, ..Visitor::default() };
    let still = browser.page(&still).await;
    still.goto(&site.url("/#name")).await;
    assert_eq!(still.evaluate::<Value>(seen).await["still"], true);
    // Not another document.
    still.goto(&site.url("/#day")).await;
    assert_eq!(still.evaluate::<String>("location.hash").await, "#day");
}

#[tokio::test]
async fn pictures_paint_and_downloads() {
    let (site, browser) = (site(), Browser::start().await);
    let page = browser.page(&chinese()).await;
    page.goto(&site.url("/")).await;
    assert!(page.first_paint_ms().await > 0.0);
    let folder = tempfile::tempdir().unwrap();
    let height = async |full| {
        let file = folder.path().join("of/a/page.png");
        page.screenshot(&file, full).await;
        let bytes = std::fs::read(&file).unwrap();
        let [width, height] = [16, 20].map(|at| u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap()));
        assert_eq!(width, 390);
        height
    };
    assert_eq!(height(false).await, 844);
    assert!(height(true).await > 3000);
    assert_eq!(page.evaluate::<u32>("innerHeight").await, 844);
    page.evaluate::<()>("void (location.href = '/table.csv')").await;
    assert_eq!(page.downloaded("table.csv").await, b"store,profit\n1001,7\n");
}

/// What a failure says.
async fn failure(of: impl Future<Output = ()> + 'static) -> String {
    let local = tokio::task::LocalSet::new();
    let failed = local.run_until(local.spawn_local(of)).await.unwrap_err();
    failed.into_panic().downcast_ref::<String>().cloned().unwrap()
}

#[tokio::test]
async fn failures_show_the_page() {
    let (site, browser) = (site(), Browser::start().await);
    let short = Duration::from_millis(100);
    let page = browser.page(&Visitor::default()).await;
    page.goto(&site.url("/")).await;
    page.evaluate::<()>("console.error('the shop burns')").await;
    let told = failure(async move { page.wait_for_within("the end", short, "missing.end").await }).await;
    for part in ["the end: not within", "missing is not defined", "Below is a button", "the shop burns"] {
        assert!(told.contains(part), "{part} is not in {told}");
    }
    let page = browser.page(&Visitor::default()).await;
    let nowhere = failure(async move { page.goto("http://127.0.0.1:1/").await }).await;
    assert!(nowhere.contains("ERR_"), "{nowhere}");
    let page = browser.page(&Visitor::default()).await;
    page.goto(&site.url("/")).await;
    let thrown = failure(async move { page.evaluate::<()>("nothing.at.all").await }).await;
    assert!(thrown.contains("nothing is not defined"), "{thrown}");
}

#[tokio::test]
async fn what_cannot_be_clicked_is_waited_for() {
    let (site, browser) = (site(), Browser::start().await);
    let page = browser.page(&Visitor::default()).await;
    page.goto(&site.url("/")).await;
    for (css, frees) in [
        ("#covered", "document.getElementById('cover').remove()"),
        ("#off", "document.getElementById('off').disabled = false"),
        (
            "#late",
            "document.querySelector('main').append(Object.assign(document.createElement('button'), \
                   { id: 'late', textContent: 'late' }))",
        ),
    ] {
        let clicked = page.click(css);
        tokio::pin!(clicked);
        let waits = tokio::time::timeout(Duration::from_millis(300), &mut clicked).await;
        assert!(waits.is_err(), "{css}");
        page.evaluate::<()>(&format!("void ({frees})")).await;
        clicked.await;
    }
}

/// Processes that have this in their command line.
fn processes(of: &str) -> usize {
    let folders = std::fs::read_dir("/proc").unwrap().flatten();
    let lines = folders.filter_map(|folder| std::fs::read(folder.path().join("cmdline")).ok());
    lines.filter(|line| String::from_utf8_lossy(line).contains(of)).count()
}

#[tokio::test]
async fn it_ends_with_its_test_and_leaves_nothing() {
    let start = Instant::now();
    let browser = Browser::start().await;
    let folder = browser.folder().to_owned();
    let name = folder.file_name().unwrap().to_str().unwrap().to_owned();
    let page = browser.page(&Visitor::default()).await;
    println!("a page is there after {:?}", start.elapsed());
    assert!(processes(&name) > 1);
    let panicked = failure(async move {
        let _browser = browser;
        page.evaluate::<()>("nothing.at.all").await;
    });
    assert!(panicked.await.contains("nothing is not defined"));
    wait_until("all its processes to be gone", Duration::from_secs(20), async || processes(&name) == 0).await;
    assert!(!folder.exists());
}
