//! Writes the pages of reference that are made from the code. Usage: scripts/reference

// Tests take the same file, so that its own modules lie beside it.
#[path = "pages.rs"]
mod pages;

use anyhow::Context as _;

fn main() -> anyhow::Result<()> {
    for page in pages::all()? {
        let path = pages::root().join(page.path);
        std::fs::write(&path, page.text).with_context(|| format!("cannot write {}", path.display()))?;
        println!("{}", page.path);
    }
    Ok(())
}
