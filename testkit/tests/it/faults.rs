//! What is wrong with a page is found; nothing is found in a page that is right.

use std::time::Duration;

use testkit::{Barrier, Browser, Fault, FaultKind, Page, Request, Visitor, wait_until};

use crate::site::{Site, Thing};

const LIMIT: Duration = Duration::from_secs(20);
/// Without it the browser asks for `/favicon.ico`.
const ICON: &str = "<link rel=\"icon\" href=\"data:,\">";
const HEAD: &str = "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>A page</title>\
                    <link rel=\"icon\" href=\"data:,\"><script type=\"module\" src=\"/app.js\"></script></head>";

/// A page with this in its body, and its script, loaded.
async fn visit(browser: &Browser, body: &str, script: &str) -> (Page, Site) {
    let body = format!("{HEAD}<body><main><h1>A page</h1>{body}</main></body></html>");
    let site = Site::start(vec![Thing::page(body), Thing::script(script)]);
    let page = browser.page(&Visitor::default()).await;
    page.goto(&site.url("/")).await;
    (page, site)
}

/// Waits until all of these faults are there, kind and part of the text; none of another kind is. Some come a little later.
async fn has(page: &Page, expected: &[(FaultKind, &str)]) {
    let is_there = |(kind, part): &(FaultKind, &str)| {
        page.console_errors().iter().any(|fault| fault.kind == *kind && fault.text.contains(part))
    };
    for one in expected {
        wait_until(&format!("{one:?}"), LIMIT, async || is_there(one)).await;
    }
    let faults = page.console_errors();
    let is_expected = |fault: &Fault| expected.iter().any(|(kind, _)| *kind == fault.kind);
    assert!(faults.iter().all(is_expected), "{faults:#?}");
}

/// The request of this address, once it is complete.
async fn complete(page: &Page, url: &str) -> Request {
    let find = || page.requests().into_iter().find(|request| request.url == url && request.finished);
    wait_until(url, LIMIT, async || find().is_some()).await;
    find().unwrap()
}

fn ids(barriers: &[Barrier]) -> Vec<&str> {
    barriers.iter().map(|barrier| barrier.id.as_str()).collect()
}

#[tokio::test]
async fn nothing_is_found_in_a_page_that_is_right() {
    let browser = Browser::start().await;
    let script = "console.log('fine'); fetch('/headers').then(() => { document.title = 'done'; });";
    let (page, site) = visit(&browser, "<p>Text</p>", script).await;
    page.wait_for("the script", "document.title === 'done'").await;
    assert_eq!(page.accessibility_violations().await, []);
    assert_eq!(page.console_errors(), []);
    assert_eq!(page.foreign_requests(&site.origin), Vec::<String>::new());
    let requests = page.requests();
    let asked: Vec<_> = requests.iter().map(|request| (request.url.as_str(), request.status)).collect();
    let all = ["/", "/app.js", "/headers"].map(|path| site.url(path));
    let icon = ("data:,", Some(200));
    let expected: Vec<_> = all.iter().map(|url| (url.as_str(), Some(200))).collect();
    assert_eq!(asked.iter().copied().filter(|asked| *asked != icon).collect::<Vec<_>>(), expected);
    // axe-core leaves nothing behind.
    assert!(!page.evaluate::<bool>("'axe' in window").await);
}

#[tokio::test]
async fn the_console_and_exceptions() {
    let browser = Browser::start().await;
    let script = "console.error('broken', 7); console.warn('soon'); console.assert(false, 'never');
        setTimeout(() => { throw new TypeError('nobody catches me'); });
        Promise.reject(new Error('nobody waits for me'));";
    let (page, site) = visit(&browser, "", script).await;
    let expected = [
        (FaultKind::Error, "broken 7"),
        (FaultKind::Warning, "soon"),
        (FaultKind::Error, "never"),
        (FaultKind::Exception, "TypeError: nobody catches me"),
        (FaultKind::Exception, "nobody waits for me"),
    ];
    has(&page, &expected).await;
    assert!(page.console_errors().iter().all(|fault| fault.url == site.url("/app.js")));
    page.forget();
    assert_eq!((page.console_errors(), page.requests()), (vec![], vec![]));
}

#[tokio::test]
async fn loads_that_fail() {
    let browser = Browser::start().await;
    let script = "fetch('/missing').then((answer) => answer.text()); fetch('http://127.0.0.1:1/refused')";
    let (page, site) = visit(&browser, "", script).await;
    let expected = [
        (FaultKind::Load, "404"),
        (FaultKind::Policy, "connect-src"),
        (FaultKind::Browser, "because it violates the document's Content Security Policy"),
        (FaultKind::Exception, "Failed to fetch"),
    ];
    has(&page, &expected).await;
    let missing = complete(&page, &site.url("/missing")).await;
    assert_eq!((missing.status, missing.kind.as_str(), missing.failure), (Some(404), "Fetch", None));
    assert_eq!(page.foreign_requests(&site.origin), ["http://127.0.0.1:1/refused"]);
}

#[tokio::test]
async fn bytes_are_counted_as_they_come() {
    let browser = Browser::start().await;
    // Ten thousand blanks.
    let head = "content-type: text/plain\r\ncontent-encoding: gzip\r\n";
    let packed = Thing { path: "/packed", head, body: include_bytes!("blanks.gz").to_vec() };
    let site = Site::start(vec![
        Thing { path: "/", head: "content-type: text/html\r\n", body: ICON.into() },
        packed,
    ]);
    let page = browser.page(&Visitor::default()).await;
    page.goto(&site.url("/")).await;
    page.forget();
    assert_eq!(page.transferred_bytes(), 0);
    let read = "fetch('/packed').then((answer) => answer.text()).then((text) => text.length)";
    assert_eq!(page.evaluate::<u32>(read).await, 10_000);
    let packed = complete(&page, &site.url("/packed")).await;
    assert!((50..500).contains(&packed.bytes), "{packed:?}");
    assert_eq!(page.transferred_bytes(), packed.bytes);
}

#[tokio::test]
async fn requests_to_others() {
    let browser = Browser::start().await;
    // No policy: it is asked for, and does not get out of this machine.
    let body = format!("{HEAD}<body><img alt=\"\" src=\"http://pictures.example/1.png\"></body></html>");
    let bare = Thing { path: "/", head: "content-type: text/html\r\n", body: body.into() };
    let script = "new Worker(URL.createObjectURL(new Blob(['fetch(\"http://worker.example/2\")'])))";
    let site = Site::start(vec![bare, Thing::script(script)]);
    let page = browser.page(&Visitor::default()).await;
    page.goto(&site.url("/")).await;
    let expected = [
        (FaultKind::Load, "ERR_NAME_NOT_RESOLVED"),
        (FaultKind::Exception, "Failed to fetch"),
        // The page hears of it from its worker.
        (FaultKind::Browser, "Failed to fetch"),
    ];
    has(&page, &expected).await;
    let foreign = page.foreign_requests(&site.origin);
    assert_eq!(foreign, ["http://pictures.example/1.png", "http://worker.example/2"]);
    let requests = page.requests();
    let failures: Vec<_> = requests.iter().filter_map(|request| request.failure.as_deref()).collect();
    assert_eq!(failures, ["net::ERR_NAME_NOT_RESOLVED"; 2]);
}

#[tokio::test]
async fn breaches_of_the_policy() {
    let browser = Browser::start().await;
    let body = "<p style=\"color: red\">Text</p><img alt=\"\" src=\"http://pictures.example/1.png\">\
                <script>var inline = 1;</script>";
    let script = "document.querySelector('p').innerHTML = '<b>bold</b>';";
    let (page, site) = visit(&browser, body, script).await;
    let expected = [
        (FaultKind::Policy, "style-src"),
        (FaultKind::Policy, "img-src"),
        (FaultKind::Policy, "script-src"),
        (FaultKind::Policy, "require-trusted-types-for"),
        (FaultKind::Exception, "TrustedHTML"),
    ];
    has(&page, &expected).await;
    assert_eq!(page.foreign_requests(&site.origin), ["http://pictures.example/1.png"]);
    let requests = page.requests();
    let picture = requests.iter().find(|request| request.url.contains("pictures")).unwrap();
    assert_eq!(picture.failure.as_deref(), Some("csp"));
}

#[tokio::test]
async fn barriers() {
    let browser = Browser::start().await;
    let body = "<button></button><input id=\"name\"><p id=\"pale\">Pale</p><h4>Deep</h4>";
    let script = "document.getElementById('pale').style.color = '#bbb';";
    let (page, _site) = visit(&browser, body, script).await;
    let barriers = page.accessibility_violations().await;
    let mut found = ids(&barriers);
    found.sort_unstable();
    assert_eq!(found, ["button-name", "color-contrast", "heading-order", "label"], "{barriers:#?}");
    let pale = barriers.iter().find(|barrier| barrier.id == "color-contrast").unwrap();
    assert_eq!((pale.impact.as_str(), pale.places.as_slice()), ("serious", ["#pale".to_owned()].as_slice()));
    assert!(pale.to_string().contains("#pale: "), "{pale}");
    // The page is as it was, and was not asked to load anything for it.
    assert_eq!(page.console_errors(), []);
    page.evaluate::<()>("document.querySelectorAll('button, input, h4, #pale').forEach((it) => it.remove())")
        .await;
    assert_eq!(page.accessibility_violations().await, []);
}
