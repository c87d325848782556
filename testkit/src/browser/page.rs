//! A page: what a visitor does with it, and what he sees.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::Visitor;
use super::accessibility::{AXE, Barrier, RUN};
use super::cdp::Connection;
use super::keys::strokes;
use super::record::{Fault, FaultKind, Record, Request};
use crate::wait::holds_within;

/// Far beyond what anything takes on a busy machine.
const LIMIT: Duration = Duration::from_secs(60);
/// Of a page's text in the message of a failure.
const SHOWN: usize = 3000;
/// Where a mouse meets an element: in the middle of its first box, once nothing covers it.
const LOCATE: &str = r"(css) => {
  const element = document.querySelector(css);
  if (!element) return { problem: 'there is none' };
  if (element.matches(':disabled')) return { problem: 'it is disabled' };
  element.scrollIntoView({ block: 'center', inline: 'center', behavior: 'instant' });
  const box = [...element.getClientRects()].find((box) => box.width > 0 && box.height > 0);
  if (!box) return { problem: 'it is not shown' };
  const [x, y] = [box.x + box.width / 2, box.y + box.height / 2];
  const top = document.elementFromPoint(x, y);
  if (!top) return { problem: 'it is outside of the window' };
  if (!element.contains(top) && top.closest('label')?.control !== element) {
    return { problem: `${top.outerHTML.slice(0, 200)} covers it` };
  }
  return { x, y };
}";
/// Sets the value of a field as its user would have.
const SET_VALUE: &str = r"(css, value) => {
  const element = document.querySelector(css);
  if (!element || element.matches(':disabled')) return false;
  element.focus();
  element.value = value;
  for (const name of ['input', 'change']) element.dispatchEvent(new Event(name, { bubbles: true }));
  return element.value === value;
}";

/// A page in a [`Browser`](super::Browser), with storage of its own.
///
/// Its functions wait for what they need, up to a minute, and panic when it does not come; the message shows what the page
/// does instead: its text, faults, and requests that failed or go on.
#[derive(Debug)]
pub struct Page {
    connection: Arc<Connection>,
    record: Arc<Record>,
    session: String,
    downloads: PathBuf,
}

#[derive(Deserialize)]
struct Spot {
    problem: Option<String>,
    x: Option<f64>,
    y: Option<f64>,
}

impl Page {
    pub(super) async fn open(
        connection: Arc<Connection>,
        visitor: &Visitor,
        user_agent: &str,
        downloads: PathBuf,
    ) -> Result<Self, String> {
        let context = connection.call("", "Target.createBrowserContext", json!({})).await?;
        let context = &context["browserContextId"];
        let behavior = json!({ "behavior": "allow", "browserContextId": context, "downloadPath": downloads });
        connection.call("", "Browser.setDownloadBehavior", behavior).await?;
        let target = json!({ "url": "about:blank", "browserContextId": context });
        let target = connection.call("", "Target.createTarget", target).await?;
        let attach = json!({ "targetId": target["targetId"], "flatten": true });
        let attached = connection.call("", "Target.attachToTarget", attach).await?;
        let session = attached["sessionId"].as_str().unwrap_or_default().to_owned();
        let page = Self { connection, record: Arc::default(), session, downloads };
        page.connection.record(&page.session, Arc::clone(&page.record)).await;
        page.call("Page.enable", json!({})).await?;
        page.call("Page.setLifecycleEventsEnabled", json!({ "enabled": true })).await?;
        page.call("Emulation.setFocusEmulationEnabled", json!({ "enabled": true })).await?;
        let first = visitor.language.split(',').next();
        page.call("Emulation.setLocaleOverride", json!({ "locale": first })).await?;
        let agent = json!({ "userAgent": user_agent, "acceptLanguage": visitor.language });
        page.call("Emulation.setUserAgentOverride", agent).await?;
        page.try_set_viewport(visitor.width, visitor.height).await?;
        page.emulate(visitor.dark, visitor.reduced_motion).await?;
        Ok(page)
    }

    /// Goes to an address and waits until the page is loaded with all it refers to.
    ///
    /// # Panics
    /// When nothing is there; a page that says 404 is a page.
    pub async fn goto(&self, url: &str) {
        let gone = self.must(self.call("Page.navigate", json!({ "url": url })).await).await;
        if let Some(error) = gone["errorText"].as_str() {
            self.fail(&format!("{url}: {error}")).await;
        }
        // Another place in the same document is there at once.
        if let Some(loader) = gone["loaderId"].as_str() {
            self.loaded(url, || self.record.has_loaded(loader)).await;
        }
    }

    /// Loads the page again.
    ///
    /// # Panics
    /// As [`Page::goto`].
    pub async fn reload(&self) {
        let before = self.record.loads();
        self.must(self.call("Page.reload", json!({})).await).await;
        self.loaded("the page again", || self.record.loads() > before).await;
    }

    async fn loaded(&self, what: &str, is_loaded: impl Fn() -> bool) {
        if !holds_within(LIMIT, &mut async || is_loaded()).await {
            self.fail(&format!("{what}: not loaded within {LIMIT:?}")).await;
        }
    }

    /// Waits until a condition holds in the page: an expression of JavaScript, which may be a promise. While it throws,
    /// it does not hold.
    ///
    /// # Panics
    /// When it does not hold within a minute.
    pub async fn wait_for(&self, what: &str, condition: &str) {
        self.wait_for_within(what, LIMIT, condition).await;
    }

    /// As [`Page::wait_for`], with a limit of its own.
    ///
    /// # Panics
    /// When it does not hold within `limit`.
    pub async fn wait_for_within(&self, what: &str, limit: Duration, condition: &str) {
        let expression = format!("(async () => Boolean(await ({condition})))()");
        let mut last = Ok(Value::Null);
        let holds = holds_within(limit, &mut async || {
            last = self.run(&expression, None).await;
            last == Ok(true.into())
        })
        .await;
        if !holds {
            let why = last.err().map(|error| format!("; it throws {error}")).unwrap_or_default();
            self.fail(&format!("{what}: not within {limit:?} ({condition}){why}")).await;
        }
    }

    /// The value of an expression of JavaScript; of a promise, what it comes to. `undefined` is `()` or `None`.
    ///
    /// # Panics
    /// When it throws, or has another type.
    pub async fn evaluate<T: DeserializeOwned>(&self, expression: &str) -> T {
        let value = self.must(self.run(expression, None).await).await;
        match serde_json::from_value(value.clone()) {
            Ok(value) => value,
            Err(error) => self.fail(&format!("{expression} is {value}: {error}")).await,
        }
    }

    /// Clicks on the first element of a selector with the mouse, once it is there and nothing covers it.
    ///
    /// # Panics
    /// When it cannot be clicked.
    pub async fn click(&self, css: &str) {
        let (x, y) = self.point_at(css).await;
        for (kind, buttons) in [("mousePressed", 1), ("mouseReleased", 0)] {
            let event = json!({
                "type": kind, "x": x, "y": y, "button": "left", "buttons": buttons, "clickCount": 1,
            });
            self.must(self.call("Input.dispatchMouseEvent", event).await).await;
        }
    }

    /// Moves the mouse over the first element of a selector, once it is there and nothing covers it.
    ///
    /// # Panics
    /// When it cannot be reached.
    pub async fn hover(&self, css: &str) {
        self.point_at(css).await;
    }

    async fn point_at(&self, css: &str) -> (f64, f64) {
        let expression = format!("({LOCATE})({})", json!(css));
        let (mut problem, mut spot, mut before) = (String::new(), None, None);
        // What moves still, is not there yet.
        let reached = holds_within(LIMIT, &mut async || {
            match self.run(&expression, None).await.and_then(|spot| as_spot(&spot)) {
                Ok(place) => {
                    before = spot.replace(place);
                    "it moves".clone_into(&mut problem);
                }
                Err(why) => (spot, before, problem) = (None, None, why),
            }
            spot.is_some() && spot == before
        })
        .await;
        let Some((x, y)) = spot.filter(|_| reached) else {
            self.fail(&format!("{css} cannot be reached: {problem}")).await
        };
        let moved = json!({ "type": "mouseMoved", "x": x, "y": y });
        self.must(self.call("Input.dispatchMouseEvent", moved).await).await;
        (x, y)
    }

    /// Presses a key: a character, or `Tab`, `Shift+Tab`, `Enter`, `Escape`, `Space`, `ArrowDown`, `Home`, …
    ///
    /// # Panics
    /// When there is no such key.
    pub async fn press(&self, key: &str) {
        let Some(strokes) = strokes(key) else { self.fail(&format!("there is no key {key}")).await };
        for stroke in strokes {
            self.must(self.call("Input.dispatchKeyEvent", stroke).await).await;
        }
    }

    /// Types a text where the focus is: ASCII by keys, what else there is as from an input method.
    ///
    /// # Panics
    /// When the page does not answer.
    pub async fn type_text(&self, text: &str) {
        for character in text.chars() {
            match character {
                ' ' => self.press("Space").await,
                '!'..='~' if character != '+' => self.press(&character.to_string()).await,
                _ => {
                    let inserted = json!({ "text": character.to_string() });
                    self.must(self.call("Input.insertText", inserted).await).await;
                }
            }
        }
    }

    /// Sets the value of a field that is not typed into (a list to choose from, a date), and tells the page as the browser
    /// would.
    ///
    /// # Panics
    /// When there is no such field, it is disabled, or does not take the value.
    pub async fn set_value(&self, css: &str, value: &str) {
        let expression = format!("({SET_VALUE})({}, {})", json!(css), json!(value));
        self.wait_for(&format!("{css} takes {value}"), &expression).await;
    }

    /// The text of the first element of a selector as it is shown, once there is one.
    ///
    /// # Panics
    /// When there is none.
    pub async fn text(&self, css: &str) -> String {
        self.of(css, "innerText ?? element.textContent").await
    }

    /// An attribute of the first element of a selector, once there is one.
    ///
    /// # Panics
    /// When there is no such element.
    pub async fn attribute(&self, css: &str, name: &str) -> Option<String> {
        self.of(css, &format!("getAttribute({})", json!(name))).await
    }

    async fn of<T: DeserializeOwned>(&self, css: &str, what: &str) -> T {
        let element = format!("document.querySelector({})", json!(css));
        self.wait_for(css, &element).await;
        self.evaluate(&format!("((element) => element.{what})({element})")).await
    }

    /// Makes the window's content so large, in CSS pixels.
    ///
    /// # Panics
    /// When the page does not answer.
    pub async fn set_viewport(&self, width: u32, height: u32) {
        self.must(self.try_set_viewport(width, height).await).await;
    }

    async fn try_set_viewport(&self, width: u32, height: u32) -> Result<Value, String> {
        let metrics = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": false });
        self.call("Emulation.setDeviceMetricsOverride", metrics).await
    }

    /// Whether the system is set to dark, from now on; to little motion it is not.
    ///
    /// # Panics
    /// When the page does not answer.
    pub async fn emulate_dark(&self, dark: bool) {
        self.must(self.emulate(dark, false).await).await;
    }

    async fn emulate(&self, dark: bool, reduced_motion: bool) -> Result<Value, String> {
        let scheme = if dark { "dark" } else { "light" };
        let motion = if reduced_motion { "reduce" } else { "no-preference" };
        let features = json!([
            { "name": "prefers-color-scheme", "value": scheme },
            { "name": "prefers-reduced-motion", "value": motion },
        ]);
        self.call("Emulation.setEmulatedMedia", json!({ "media": "", "features": features })).await
    }

    /// Writes a picture (PNG) of the window's content, or of the whole page; a folder that is missing is made.
    ///
    /// # Panics
    /// When it cannot be written.
    pub async fn screenshot(&self, path: impl AsRef<Path>, full: bool) {
        let path = path.as_ref();
        let shot = json!({ "format": "png", "captureBeyondViewport": full });
        let shot = self.must(self.call("Page.captureScreenshot", shot).await).await;
        let encoded = shot["data"].as_str().unwrap_or_default().as_bytes();
        let picture = data_encoding::BASE64.decode(encoded).expect("base64, by the protocol");
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
        }
        std::fs::write(path, picture).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    }

    /// What went wrong so far: console, exceptions, loads that failed, breaches of the policy; oldest first.
    #[must_use]
    pub fn console_errors(&self) -> Vec<Fault> {
        self.record.faults()
    }

    /// What was asked for so far, by workers and frames too; oldest first.
    #[must_use]
    pub fn requests(&self) -> Vec<Request> {
        self.record.requests()
    }

    /// Addresses that were asked for and are not of `origin` (`http://127.0.0.1:8080`), those too that the page's policy did
    /// not let through; sorted.
    #[must_use]
    pub fn foreign_requests(&self, origin: &str) -> Vec<String> {
        let own = format!("{}/", origin.trim_end_matches('/'));
        let asked = self.requests().into_iter().map(|request| request.url);
        let breaches = self.console_errors().into_iter().filter(|fault| fault.kind == FaultKind::Policy);
        // What is inline or evaluated has a word instead of an address.
        let blocked = breaches.map(|fault| fault.url).filter(|url| url.contains("://"));
        let inner = ["data:", "blob:", "about:"];
        let is_foreign =
            |url: &String| !url.starts_with(&own) && !inner.iter().any(|scheme| url.starts_with(scheme));
        let foreign: BTreeSet<String> = asked.chain(blocked).filter(is_foreign).collect();
        foreign.into_iter().collect()
    }

    /// Bytes that came over the network so far, as they were encoded, with headers.
    #[must_use]
    pub fn transferred_bytes(&self) -> u64 {
        self.requests().iter().map(|request| request.bytes).sum()
    }

    /// Forgets what was recorded: faults and requests, so that a test sees only what comes now.
    pub fn forget(&self) {
        self.record.forget();
    }

    /// When the page first showed anything, in milliseconds after it was asked for; for information: no test depends on
    /// it.
    ///
    /// # Panics
    /// When it shows nothing.
    pub async fn first_paint_ms(&self) -> f64 {
        let paint = "performance.getEntriesByName('first-paint')[0]";
        self.wait_for("the first paint", paint).await;
        self.evaluate(&format!("{paint}.startTime")).await
    }

    /// The bytes of a file that the page had the browser download, once it is complete.
    ///
    /// # Panics
    /// When it does not come.
    pub async fn downloaded(&self, name: &str) -> Vec<u8> {
        let file = self.downloads.join(name);
        if !holds_within(LIMIT, &mut async || file.is_file()).await {
            self.fail(&format!("{name}: not downloaded within {LIMIT:?}")).await;
        }
        std::fs::read(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
    }

    /// What axe-core has against the page as it is shown now: WCAG 2.0 and 2.1, levels A and AA, and best practice.
    ///
    /// # Panics
    /// When the page does not answer.
    pub async fn accessibility_violations(&self) -> Vec<Barrier> {
        match self.check_accessibility().await {
            Ok(barriers) => barriers,
            Err(error) => self.fail(&format!("axe-core: {error}")).await,
        }
    }

    /// In a world of its own: neither does the page see axe-core, nor do the page's variables disturb it.
    async fn check_accessibility(&self) -> Result<Vec<Barrier>, String> {
        let tree = self.call("Page.getFrameTree", json!({})).await?;
        let world = json!({ "frameId": tree["frameTree"]["frame"]["id"], "worldName": "axe" });
        let world = self.call("Page.createIsolatedWorld", world).await?;
        let context = world["executionContextId"].as_u64();
        self.run(&format!("{AXE}; undefined"), context).await?;
        let found = self.run(RUN, context).await?;
        serde_json::from_value(found).map_err(|error| error.to_string())
    }

    /// The value of an expression, in the page's world or another; what it throws is the error.
    async fn run(&self, expression: &str, context: Option<u64>) -> Result<Value, String> {
        let mut params = json!({
            "expression": expression, "awaitPromise": true, "returnByValue": true, "userGesture": true,
        });
        if let Some(context) = context {
            params["contextId"] = context.into();
        }
        let mut answer = self.call("Runtime.evaluate", params).await?;
        match answer.get("exceptionDetails") {
            None => Ok(answer["result"]["value"].take()),
            Some(thrown) => {
                let description = thrown["exception"]["description"].as_str();
                Err(description.map_or_else(|| thrown.to_string(), str::to_owned))
            }
        }
    }

    async fn call(&self, method: &str, params: Value) -> Result<Value, String> {
        self.connection.call(&self.session, method, params).await
    }

    async fn must(&self, answer: Result<Value, String>) -> Value {
        match answer {
            Ok(value) => value,
            Err(error) => self.fail(&error).await,
        }
    }

    /// Fails the test, and shows the page.
    async fn fail(&self, why: &str) -> ! {
        let shown = "`${location.href}\n${document.body?.innerText ?? ''}`";
        let shown = self.run(shown, None).await;
        let shown = shown.map_or_else(|error| error, |text| text.as_str().unwrap_or_default().to_owned());
        let text: String = shown.chars().take(SHOWN).collect();
        let faults: Vec<String> = self.console_errors().iter().map(ToString::to_string).collect();
        let requests: Vec<String> = self
            .requests()
            .into_iter()
            .filter(|request| !request.finished || request.status.is_some_and(|status| status >= 400))
            .map(|request| format!("{request:?}"))
            .collect();
        panic!(
            "{why}\n== the page is at {text}\n== faults: {}\n== requests that failed or go on: {}",
            faults.join("\n"),
            requests.join("\n")
        );
    }
}

fn as_spot(value: &Value) -> Result<(f64, f64), String> {
    let spot = Spot::deserialize(value).map_err(|error| error.to_string())?;
    match spot {
        Spot { problem: Some(problem), .. } => Err(problem),
        Spot { x: Some(x), y: Some(y), .. } => Ok((x, y)),
        Spot { .. } => Err(format!("{value}")),
    }
}
