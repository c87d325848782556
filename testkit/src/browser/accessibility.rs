//! Whether everybody can use a page, as far as axe-core can tell (`vendor/axe.min.js`, unchanged, MPL-2.0; for tests only).

use std::fmt;

use serde::Deserialize;

/// Version 4.14.1.
pub(super) const AXE: &str = include_str!("../../vendor/axe.min.js");
/// Nothing is loaded for it: what a page asks for is recorded. Frames are left out, as ours has none.
pub(super) const RUN: &str = r"
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
