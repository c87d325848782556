//! What a page shows and leaves: pictures, faults, requests, downloads.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::json;

use super::page::{LIMIT, Page};
use super::record::{Fault, FaultKind, Request};
use crate::wait::holds_within;

impl Page {
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
        // The file alone says nothing: it is there, and empty, when its name is chosen.
        if !holds_within(LIMIT, &mut async || self.record.has_downloaded(name)).await {
            self.fail(&format!("{name}: not downloaded within {LIMIT:?}")).await;
        }
        std::fs::read(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
    }
}
