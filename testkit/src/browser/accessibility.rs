//! Whether everybody can use a page, as far as axe-core can tell (`vendor/axe.min.js`, unchanged, MPL-2.0; for tests only).

use std::fmt;

use serde::Deserialize;
use serde_json::json;

use super::page::Page;

/// Version 4.14.1.
const AXE: &str = include_str!("../../vendor/axe.min.js");
/// Nothing is loaded for it: what a page asks for is recorded. Frames are left out, as ours has none.
const RUN: &str = r"
axe.run(document, {
  runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'best-practice'],
  resultTypes: ['violations'], preload: false, iframes: false,
}).then((found) => found.violations.map(({ id, impact, help, nodes }) => ({
  id, impact: impact ?? '', help,
  places: nodes.map((node) => node.target.flat().join(' ')),
  details: nodes.map((node) => node.failureSummary ?? ''),
})))
";

/// Something in a page that keeps somebody from using it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Barrier {
    /// The rule of axe-core, such as `color-contrast`.
    pub id: String,
    /// `minor`, `moderate`, `serious` or `critical`.
    pub impact: String,
    /// What must hold.
    pub help: String,
    /// Selectors of the elements where it does not.
    pub places: Vec<String>,
    /// For each of them, how to fix it.
    pub details: Vec<String>,
}

impl fmt::Display for Barrier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}): {}", self.id, self.impact, self.help)?;
        for (place, details) in self.places.iter().zip(&self.details) {
            write!(f, "\n  {place}: {}", details.replace('\n', " "))?;
        }
        Ok(())
    }
}

impl Page {
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
}
