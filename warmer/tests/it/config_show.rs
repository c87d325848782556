//! `warmer config show` as a process.

use std::process::{Command, Output};

fn show(args: &[&str], redis: Option<&str>) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_warmer"));
    command
        .args(["config", "show"])
        .args(args)
        .env_remove("HOTSHELF_REDIS_URL")
        .env_remove("HOTSHELF_POSTGRES_URL");
    command.envs(redis.map(|url| ("HOTSHELF_REDIS_URL", url))).output().unwrap()
}

#[test]
fn values_come_with_their_origin_and_without_secrets() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a.toml");
    std::fs::write(&file, "[cache]\nprofile = \"daily\"\n[postgres]\nurl = \"postgres://u:secret@f/d\"")
        .unwrap();
    let file = file.to_str().unwrap();
    let args = ["--config", file, "--postgres", "postgres://u:secret@o/d", "--changed"];
    let told = show(&args, Some("redis://:secret@e:1"));
    let expected = format!(
        "redis.url      \"redis://e:1\"     environment HOTSHELF_REDIS_URL\n\
         postgres.url   \"postgres://o/d\"  option --postgres\n\
         cache.profile  \"daily\"           {file}\n\
         cache.orders   \"1day\"            follows from cache.profile\n\
         cache.cells    \"6h\"              follows from cache.profile\n\
         cache.answers  \"1h\"              follows from cache.profile\n"
    );
    assert_eq!(String::from_utf8(told.stdout).unwrap(), expected);
    assert_eq!(told.status.code(), Some(0));

    let told = show(&["--config", file, "redis.url", "warm", "--output", "json"], None);
    let json: serde_json::Value = serde_json::from_slice(&told.stdout).unwrap();
    let first =
        serde_json::json!({"key": "redis.url", "value": "redis://127.0.0.1:6379", "origin": "default"});
    assert_eq!(json[0], first);
    assert!(json.as_array().unwrap().len() > 10, "{json}");
}

#[test]
fn wrong_settings_are_78_and_what_is_no_section_64() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a.toml");
    std::fs::write(&file, "[warm]\nlease = \"1ms\"\nfloor = 2000").unwrap();
    let told = show(&["--config", file.to_str().unwrap()], None);
    let problems = String::from_utf8_lossy(&told.stderr);
    assert!(problems.contains("warm.lease: ") && problems.contains("warm.floor: "), "{problems}");
    assert_eq!((told.status.code(), told.stdout.len()), (Some(78), 0));
    assert_eq!(show(&["warmer"], None).status.code(), Some(64));
}
