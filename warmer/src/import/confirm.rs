//! Asking before an import leaves much less than there was.

use std::io::{BufRead as _, IsTerminal as _, Write as _};

use shared::source::import::{ImportPlan, StoreDayChange};

/// Store-days that are listed.
const LISTED: usize = 50;

/// Whether the import may go on: true if no store-day shrinks by over 20 %, or somebody at the terminal agrees.
///
/// # Errors
/// When the terminal fails.
pub(super) fn shrinking(plan: &ImportPlan, merge: bool) -> std::io::Result<bool> {
    let shrinking: Vec<&StoreDayChange> = plan.shrinking().collect();
    if shrinking.is_empty() {
        return Ok(true);
    }
    let mut out = std::io::stderr().lock();
    writeln!(out, "{} store-days would be left with over 20 % fewer lines:", shrinking.len())?;
    for change in shrinking.iter().take(LISTED) {
        let StoreDayChange { store_id, day, before, after } = change;
        writeln!(out, "  store {store_id}, {day}: {before} lines before, {after} after")?;
    }
    if shrinking.len() > LISTED {
        writeln!(out, "  … and {} more", shrinking.len() - LISTED)?;
    }
    if !std::io::stdin().is_terminal() {
        let merge =
            if merge { "" } else { ", or --merge if the files hold only a part of each day's orders" };
        writeln!(out, "Nothing was imported. Give --yes if this is right{merge}.")?;
        return Ok(false);
    }
    write!(out, "Replace them? [y/N] ")?;
    out.flush()?;
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer)?;
    let agreed = matches!(answer.trim().to_lowercase().as_str(), "y" | "yes");
    if !agreed {
        writeln!(out, "Nothing was imported.")?;
    }
    Ok(agreed)
}
