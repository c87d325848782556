//! `warmer simulate` as it is typed.

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

fn simulate(folder: &Path, args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_warmer"));
    command.current_dir(folder).arg("simulate").args(args).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Ten days of the same twenty questions, each asked twice a day for the seven days before.
fn log(folder: &Path) {
    let mut lines = String::new();
    for day in 10..20 {
        for (second, store) in (0..20).flat_map(|store| [(store, store), (store + 30, store)]) {
            lines += &format!(
                "h - - [{day}/Mar/2026:09:00:{second:02} +0000] \"GET /v1/metrics/overview?stores={store}\
                 &from=2026-03-{:02}&to=2026-03-{:02} HTTP/1.1\" 200 5\n",
                day - 7,
                day - 1
            );
        }
    }
    std::fs::write(folder.join("access.log"), lines + "no line of a log\n").unwrap();
}

#[test]
fn questions_remembered_relative_to_the_last_data_day_are_hits_on_the_first_request_of_a_day() {
    let folder = tempfile::tempdir().unwrap();
    log(folder.path());
    let args = ["--log", "access.log", "--budget", "100%", "--windows", "9", "--output", "json"];
    let output = simulate(folder.path(), &args);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&report["requests"], &report["distinct"]), (&400.into(), &200.into()));
    assert_eq!(report["log"]["distinct_relative"], 20);
    assert_eq!(report["log"]["first_bad"][0]["line"], 401);
    let policies = report["budgets"][0]["policies"].as_array().unwrap();
    for policy in policies.iter().filter(|policy| policy["policy"] != "top by count") {
        // Literally, the first request of each of 200; relatively, of each of 20.
        assert_eq!(policy["hit_rate"], 0.5, "{policy}");
        assert_eq!(policy["relative"]["hit_rate"], 0.95, "{policy}");
        assert_eq!(policy["relative"]["windows"][5], 1.0, "{policy}");
    }
    let shown = text(&simulate(folder.path(), &["--log", "access.log"]).stdout);
    for part in ["access.log, line 401", "literal", "relative", "--days-from", "optimum"] {
        assert!(shown.contains(part), "{shown}");
    }
}

#[test]
fn a_last_data_day_that_never_moves_makes_both_ways_equal() {
    let folder = tempfile::tempdir().unwrap();
    log(folder.path());
    std::fs::write(folder.path().join("days.csv"), "2026-03-10T00:00:00Z,2026-03-09\n").unwrap();
    let args = ["--log", "access.log", "--days-from", "days.csv", "--output", "json"];
    let report: Value = serde_json::from_slice(&simulate(folder.path(), &args).stdout).unwrap();
    assert_eq!(report["log"]["distinct_relative"], 200);
    for policy in
        report["budgets"].as_array().unwrap().iter().flat_map(|budget| budget["policies"].as_array().unwrap())
    {
        assert_eq!(policy["hit_rate"], policy["relative"]["hit_rate"], "{policy}");
    }
}

#[test]
fn what_cannot_be_replayed_is_said() {
    let folder = tempfile::tempdir().unwrap();
    log(folder.path());
    std::fs::write(
        folder.path().join("blog.log"),
        "h - - [10/Mar/2026:09:00:00 +0000] \"GET /feed HTTP/1.1\" 200 5\n",
    )
    .unwrap();
    std::fs::write(folder.path().join("days.csv"), "yesterday\n").unwrap();
    for (args, part) in [
        (&["--log", "blog.log"][..], "1 other requests (first: GET /feed)"),
        (&["--log", "missing.log"], "cannot read missing.log"),
        (&["--log", "access.log", "--days-from", "days.csv"], "days.csv, line 1"),
        (&["--log", "access.log", "--trace", "access.log"], "cannot be used with"),
        (&[], "--log"),
    ] {
        let output = simulate(folder.path(), args);
        assert!(!output.status.success(), "{args:?}");
        assert!(text(&output.stderr).contains(part), "{args:?}: {}", text(&output.stderr));
    }
}
