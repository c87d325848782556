//! A page: where it goes, how it is shown, and what is asked of it.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::Visitor;
use super::cdp::Connection;
use super::record::Record;
use crate::wait::holds_within;

/// Far beyond what anything takes on a busy machine.
pub(super) const LIMIT: Duration = Duration::from_secs(60);
/// Of a page's text in the message of a failure.
const SHOWN: usize = 3000;
/// A page in a [`Browser`](super::Browser), with storage of its own.
///
/// Its functions wait for what they need, up to a minute, and panic when it does not come; the message shows what the page
/// does instead: its text, faults, and requests that failed or go on.
#[derive(Debug)]
pub struct Page {
    connection: Arc<Connection>,
    pub(super) record: Arc<Record>,
    session: String,
    pub(super) downloads: PathBuf,
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

    pub(super) async fn of<T: DeserializeOwned>(&self, css: &str, what: &str) -> T {
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

    /// The value of an expression, in the page's world or another; what it throws is the error.
    pub(super) async fn run(&self, expression: &str, context: Option<u64>) -> Result<Value, String> {
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

    pub(super) async fn call(&self, method: &str, params: Value) -> Result<Value, String> {
        self.connection.call(&self.session, method, params).await
    }

    pub(super) async fn must(&self, answer: Result<Value, String>) -> Value {
        match answer {
            Ok(value) => value,
            Err(error) => self.fail(&error).await,
        }
    }

    /// Fails the test, and shows the page.
    pub(super) async fn fail(&self, why: &str) -> ! {
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
