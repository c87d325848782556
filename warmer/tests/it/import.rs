//! `warmer import` as it is typed.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;
use shared::source::files::{FileSource, MappingChoice, ReadOptions};
use tempfile::TempDir;

const HEADING: &str = "order_id,store_id,ordered_at,product_name,note\n";

struct Place {
    folder: TempDir,
}

impl Place {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn file(&self, name: &str, rows: &[&str]) {
        std::fs::write(self.path(name), format!("{HEADING}{}\n", rows.join("\n"))).unwrap();
    }

    fn import(&self, args: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_warmer"));
        command.current_dir(self.folder.path()).arg("import").args(args).args(["--into", "orders"]);
        command.stdin(std::process::Stdio::null()).output().unwrap()
    }

    /// Runs an import that must succeed; its JSON summary.
    fn imported(&self, args: &[&str]) -> Value {
        let output = self.import(&[args, &["--output", "json"]].concat());
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// Stores and their lines as stored.
    fn stored(&self) -> Vec<(String, u64)> {
        let folder: &Path = &self.path("orders");
        let source =
            FileSource::open_blocking(folder, &MappingChoice::Auto, &ReadOptions::default(), |_, _| {});
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let directory = runtime.block_on(source.unwrap().directory()).unwrap();
        directory.stores().iter().map(|store| (store.store_id.clone(), store.lines)).collect()
    }
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn the_files_of_one_command_are_one_import() {
    let place = Place::new();
    place.file("a.csv", &["1,s,2026-03-01,p,x", "2,s,2026-03-01,p,x", "3,t,bad,p,x"]);
    place.file("b.csv", &["3,s,2026-03-01,q,x", "4,t,2026-03-02,q,x"]);
    let summary = place.imported(&["a.csv", "b.csv", "--rejects", "rejects.csv"]);
    assert_eq!(summary["imported"], true);
    assert_eq!(summary["lines_removed"], 0);
    let total = &summary["total"];
    assert_eq!((&total["read"], &total["accepted"], &total["rejected"]), (&5.into(), &4.into(), &1.into()));
    assert_eq!((&total["stores"], &total["store_days"]), (&2.into(), &2.into()));
    assert_eq!(total["left_out"][0], "note");
    assert_eq!(summary["files"][0]["rejected_by_reason"]["bad_time"], 1);
    let rejects = std::fs::read_to_string(place.path("rejects.csv")).unwrap();
    assert_eq!(rejects, "file,line,column,reason,value\na.csv,4,ordered_at,bad_time,bad\n");
    assert_eq!(place.stored(), [("s".to_owned(), 3), ("t".to_owned(), 1)]);

    let again = place.imported(&["b.csv", "a.csv"]);
    assert_eq!(again["lines_removed"], 4);
    assert_eq!(place.stored(), [("s".to_owned(), 3), ("t".to_owned(), 1)]);
}

#[test]
fn far_fewer_lines_need_a_yes() {
    let place = Place::new();
    let rows: Vec<String> = (0..10).map(|order| format!("{order},s,2026-03-01,p,")).collect();
    let rows: Vec<&str> = rows.iter().map(String::as_str).collect();
    place.file("all.csv", &rows);
    place.file("most.csv", &rows[..8]);
    place.file("few.csv", &rows[..7]);
    place.imported(&["all.csv"]);
    let refused = place.import(&["few.csv"]);
    assert_eq!(refused.status.code(), Some(1));
    let text = stderr(&refused);
    assert!(
        text.contains("store s, 2026-03-01: 10 lines before, 7 after") && text.contains("--yes"),
        "{text}"
    );
    assert_eq!(place.stored(), [("s".to_owned(), 10)]);
    // Order by order nothing is missing.
    place.imported(&["few.csv", "--merge"]);
    assert_eq!(place.stored(), [("s".to_owned(), 10)]);
    // Exactly 20 % fewer is not over 20 %.
    place.imported(&["most.csv"]);
    assert_eq!(place.stored(), [("s".to_owned(), 8)]);
    assert_eq!(place.imported(&["all.csv"])["lines_removed"], 8);
    assert_eq!(place.imported(&["few.csv", "--yes"])["lines_removed"], 10);
    assert_eq!(place.stored(), [("s".to_owned(), 7)]);
}

#[test]
fn a_failure_changes_nothing_and_says_what_to_do() {
    let place = Place::new();
    place.file("good.csv", &["1,s,2026-03-01,p,"]);
    place.file("none.csv", &["1,,2026-03-01,p,"]);
    place.file("good2.csv", &["1,s,2026-03-01,p,", "2,s,2026-03-01,p,"]);
    std::fs::write(place.path("bad.csv"), "no,orders\n").unwrap();
    std::fs::write(place.path("own.toml"), "order_id = 3\nshop = 'x'\n").unwrap();
    std::fs::copy(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/sheet.xlsx"), place.path("a.xlsx"))
        .unwrap();
    place.imported(&["good.csv"]);
    for (args, code, part) in [
        (
            &["good2.csv", "a.xlsx", "--xlsx-unpacked-limit", "1KiB"][..],
            1,
            "1.0 KiB (1024 bytes) allowed for XLSX",
        ),
        (&["good2.csv", "bad.csv"], 1, "no heading row"),
        (&["good2.csv", "nowhere.csv"], 1, "nowhere.csv; check the path"),
        (&["good2.csv", "./good2.csv"], 1, "given twice"),
        (&["none.csv"], 1, "no line was accepted"),
        (&["good2.csv", "--mapping", "own.toml"], 78, "shop = \"x\": no such column"),
        (&["good2.csv", "--mapping", "nowhere.toml"], 78, "cannot read the mapping nowhere.toml"),
        (&["good2.csv", "--rejects", "good2.csv"], 1, "is one of the files"),
        (&["good2.csv", "--rejects", "nowhere/r.csv"], 1, "cannot write the rejects file"),
    ] {
        let output = place.import(args);
        assert_eq!(output.status.code(), Some(code), "{args:?}");
        assert!(stderr(&output).contains(part), "{args:?}: {}", stderr(&output));
    }
    assert_eq!(place.stored(), [("s".to_owned(), 1)]);
}
