//! Reasons in words.

use crate::plan::Reason;

/// A reason in words.
pub(super) fn words(reason: &Reason) -> String {
    match reason {
        Reason::Always => "kept: one of the documents over all stores".to_owned(),
        Reason::Worth => "kept: worth more per byte than what was left out".to_owned(),
        Reason::Floor { token } if token.is_empty() => {
            "kept: among the favourites of requests without a token (warm.floor)".to_owned()
        }
        Reason::Floor { token } => format!("kept: among the favourites of token {token} (warm.floor)"),
        Reason::NoBytes => "not kept: what is worth more takes the bytes (warm.budget)".to_owned(),
        Reason::NoPlace => "not kept: what is worth more takes the places (warm.answers)".to_owned(),
        Reason::NoTime => {
            "not yet kept: this cycle's time was used up (warm.budget_time); the next one goes on".to_owned()
        }
        Reason::NotAsked => "not kept: nobody asked for them of late".to_owned(),
    }
}
