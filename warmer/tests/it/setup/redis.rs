//! `warmer setup redis`.

use std::collections::BTreeMap;

use shared::cache::{Administrator, RedisSettings};
use testkit::RedisServer;

use super::{Folder, mode};

async fn administrator(server: &RedisServer) -> Administrator {
    Administrator::connect(&RedisSettings { url: server.url(), ..RedisSettings::default() }).await.unwrap()
}

/// Settings and users, to be compared.
async fn all(server: &RedisServer) -> (BTreeMap<&'static str, Option<String>>, Vec<String>) {
    let mut administrator = administrator(server).await;
    let mut settings = BTreeMap::new();
    for name in
        ["maxmemory", "maxmemory-policy", "save", "appendonly", "tcp-keepalive", "client-output-buffer-limit"]
    {
        settings.insert(name, administrator.setting(name).await.unwrap());
    }
    (settings, administrator.users().await.unwrap())
}

#[tokio::test]
async fn it_is_shown_then_done_then_there_and_outlives_a_restart() {
    let folder = Folder::new();
    std::fs::write(folder.path("redis.conf"), "tcp-keepalive 77\n").unwrap();
    let mut server = RedisServer::start_from(&folder.path("redis.conf")).await;
    assert_eq!(server.says(&["CONFIG SET save 3600\\ 1", "CONFIG SET save '3600 1'"]).await[1], "+OK");
    let before = all(&server).await;

    let told = folder.set_up("redis", &server.url(), &[]).await.ok();
    let line = |name: &str| told.out.lines().find(|line| line.contains(name)).unwrap().to_owned();
    assert!(told.out.starts_with("redis 7.") || told.out.starts_with("redis 8."), "{}", told.out);
    for (name, now, wanted) in [
        ("maxmemory-policy", "noeviction", "allkeys-lru"),
        ("maxmemory ", "0 (no bound)", "1gb"),
        ("save ", "3600 1", "\"\""),
        ("tcp-keepalive", "77", "60"),
        ("client-output-buffer-limit", "normal 0 0 0", "normal 256mb 64mb 60"),
    ] {
        let line = line(name);
        assert!(line.starts_with(" *") && line.contains(now) && line.contains(wanted), "{line}");
    }
    assert!(!line("appendonly").starts_with(" *"), "{}", told.out);
    assert!(line("hotshelf_gateway ").contains("would be made in"), "{}", told.out);
    assert!(told.out.contains("nothing was changed: --apply does it"), "{}", told.out);
    assert_eq!(all(&server).await, before);
    assert!(!folder.path("passwords").exists());

    let applied = folder.set_up("redis", &server.url(), &["--apply", "--output", "json"]).await.ok().json();
    let done = applied["done"].to_string();
    for part in [
        "made a password for hotshelf_warmer",
        "set save to",
        "made the user hotshelf_gateway",
        "CONFIG REWRITE",
    ] {
        assert!(done.contains(part), "{part}: {done}");
    }
    for name in ["redis-warmer", "redis-gateway"] {
        assert_eq!(mode(&folder.path("passwords").join(name)), 0o600);
        assert_eq!(folder.password(name).len(), 64);
    }
    assert_eq!(mode(&folder.path("passwords")), 0o700);
    let after = all(&server).await;
    assert_eq!(after.0["maxmemory"].as_deref(), Some("1073741824"));
    assert_eq!(after.0["maxmemory-policy"].as_deref(), Some("allkeys-lru"));
    assert_eq!(after.0["save"].as_deref(), Some(""));
    assert_eq!(after.1.len(), 3, "{:?}", after.1);
    // Passwords are nowhere but in their files.
    assert!(!after.1.concat().contains(&folder.password("redis-warmer")));

    let file = std::fs::read_to_string(folder.path("redis.conf")).unwrap();
    for more in [&["--apply"][..], &[]] {
        let told = folder.set_up("redis", &server.url(), more).await.ok();
        assert!(told.out.ends_with("nothing to change\n"), "{}", told.out);
    }
    assert_eq!(std::fs::read_to_string(folder.path("redis.conf")).unwrap(), file);
    server.start_again().await;
    let again = folder.set_up("redis", &server.url(), &["--output", "json"]).await.ok().json();
    assert_eq!(again["changes"], 0, "{again}");

    // What differs is set right, and only that.
    let differing = ["ACL SETUSER hotshelf_gateway +set ~other:*", "CONFIG SET timeout 7"];
    assert_eq!(server.says(&differing).await, ["+OK", "+OK"]);
    let told = folder.set_up("redis", &server.url(), &[]).await.ok();
    assert!(
        told.out.contains("other keys, other commands") && told.out.contains("\n2 to change"),
        "{}",
        told.out
    );
    server.says(&["CONFIG SET maxmemory 3gb"]).await;
    let kept = folder.set_up("redis", &server.url(), &[]).await.ok();
    assert!(kept.out.contains("\n2 to change"), "more memory is not taken away: {}", kept.out);
    let more = ["--profile", "users-500", "--apply", "--output", "json"];
    let applied = folder.set_up("redis", &server.url(), &more).await.ok().json();
    assert_eq!(applied["done"].as_array().unwrap().len(), 4, "{applied}");
    let memory = administrator(&server).await.setting("maxmemory").await.unwrap();
    assert_eq!(memory.as_deref(), Some("2147483648"));
}

#[tokio::test]
async fn keys_of_others_are_not_endangered() {
    let (folder, server) = (Folder::new(), RedisServer::start().await);
    server.says(&["SET hs:1:version:fleet 1", "SET session:7 x", "SELECT 3", "SET jobs x"]).await;
    let before = all(&server).await;
    for more in [&["--apply"][..], &[]] {
        let told = folder.set_up("redis", &server.url(), more).await;
        let parts =
            ["2 of 3", "\"session:7\" in database 0", "\"jobs\" in database 3", "--despite-foreign-keys"];
        told.failed(1, &parts);
    }
    assert_eq!(all(&server).await, before);
    assert!(!folder.path("passwords").exists());
    let told = folder.set_up("redis", &server.url(), &["--apply", "--despite-foreign-keys"]).await.ok();
    assert!(
        told.out.contains("warning: this redis holds keys") && told.out.contains("NOT kept"),
        "{}",
        told.out
    );
    assert_eq!(server.says(&["GET session:7"]).await, ["$1"]);
}

#[tokio::test]
async fn servers_that_are_not_for_this_are_refused() {
    let (folder, primary) = (Folder::new(), RedisServer::start().await);
    let of = primary.port().to_string();
    let replica = RedisServer::start_with(&["--replicaof", "127.0.0.1", &of]).await;
    let told = folder.set_up("redis", &replica.url(), &["--apply"]).await;
    told.failed(1, &["is a replica", "address of its primary"]);
    let cluster = RedisServer::start_with(&["--cluster-enabled", "yes"]).await;
    folder.set_up("redis", &cluster.url(), &["--apply"]).await.failed(1, &["of a cluster", "single server"]);

    let url = primary.url();
    for (more, part) in [
        (["--warmer-user", "default"], "\"default\" cannot be the name"),
        (["--warmer-user", "hotshelf_gateway"], "two names"),
        (["--maxmemory", "1MiB"], "too little"),
    ] {
        folder.set_up("redis", &url, &more).await.failed(1, &[part]);
    }
    assert_eq!(folder.set_up("redis", &url, &["--apply", "--write", "x"]).await.code, 64);
    // A daemon's own user is none of an administrator's.
    folder.set_up("redis", &url, &["--apply"]).await.ok();
    let own = format!("redis://hotshelf_warmer:{}@{}", folder.password("redis-warmer"), primary.address());
    folder.set_up("redis", &own, &[]).await.failed(1, &["address of an administrator", "--redis"]);
}

#[tokio::test]
async fn where_config_is_forbidden_files_are_written() {
    let folder = Folder::new();
    let server = RedisServer::start_with(&["--rename-command", "CONFIG", ""]).await;
    let told = folder.set_up("redis", &server.url(), &["--apply"]).await;
    told.failed(1, &["CONFIG GET", "provider's console", "--write DIR"]);
    assert!(!folder.path("passwords").exists());
    let out = folder.text("out");
    let told = folder.set_up("redis", &server.url(), &["--write", &out]).await.ok();
    assert!(told.out.contains("wrote ") && told.out.contains("warning: redis: this user may not run CONFIG"));
    assert!(folder.path("out/redis.conf").exists());
}

#[tokio::test]
async fn written_files_start_a_server_that_both_users_can_use() {
    let folder = Folder::new();
    let server = RedisServer::start_with(&["--user", "alice", "on", ">wonder", "~a:*", "+get"]).await;
    let out = folder.text("out");
    let before = all(&server).await;
    let written =
        folder.set_up("redis", &server.url(), &["--write", &out, "--maxmemory", "1536MiB"]).await.ok();
    assert!(written.out.contains("chown redis"), "{}", written.out);
    assert_eq!(all(&server).await, before);
    assert_eq!(mode(&folder.path("out/users.acl")), 0o600);
    let users = std::fs::read_to_string(folder.path("out/users.acl")).unwrap();
    assert!(users.contains("user default on nopass") && users.contains("user alice on #"), "{users}");
    assert!(!users.contains(&folder.password("redis-warmer")), "{users}");

    let started = RedisServer::start_from(&folder.path("out/redis.conf")).await;
    let looked =
        folder.set_up("redis", &started.url(), &["--maxmemory", "1536MiB", "--output", "json"]).await;
    assert_eq!(looked.ok().json()["changes"], 0);
    let sign_in = |name: &str| format!("AUTH hotshelf_{name} {}", folder.password(&format!("redis-{name}")));
    let as_warmer = started.says(&[&sign_in("warmer"), "SET hs:1:a 1", "SET b 1", "FLUSHALL"]).await;
    assert_eq!(as_warmer[..2], ["+OK", "+OK"]);
    assert!(as_warmer[2..].iter().all(|answer| answer.starts_with("-NOPERM")), "{as_warmer:?}");
    let as_gateway = started.says(&[&sign_in("gateway"), "EXISTS hs:1:a", "SET hs:1:a 2", "TIME"]).await;
    assert!(as_gateway[1].starts_with("-NOPERM") && as_gateway[2].starts_with("-NOPERM"), "{as_gateway:?}");
    assert_eq!(as_gateway[3], "*2");
    assert_eq!(started.says(&["AUTH alice wonder", "GET a:1"]).await, ["+OK", "$-1"]);

    // Again it is the same; another file is left alone.
    let again =
        folder.set_up("redis", &server.url(), &["--write", &out, "--maxmemory", "1536MiB"]).await.ok();
    assert!(again.out.contains("is there already"), "{}", again.out);
    let told = folder.set_up("redis", &server.url(), &["--write", &out]).await;
    told.failed(1, &["redis.conf is there, with another content", "move it away"]);
}

#[tokio::test]
async fn files_are_written_for_a_server_that_does_not_run_yet() {
    let folder = Folder::new();
    let mut server = RedisServer::start().await;
    let url = server.url();
    server.stop();
    folder.set_up("redis", &url, &["--apply"]).await.failed(1, &["redis-server runs"]);
    let out = folder.text("out");
    let told = folder.set_up("redis", &url, &["--write", &out]).await.ok();
    assert!(told.out.contains("the files are for a new server"), "{}", told.out);
    let started = RedisServer::start_from(&folder.path("out/redis.conf")).await;
    let looked = folder.set_up("redis", &started.url(), &["--output", "json"]).await.ok();
    assert_eq!(looked.json()["changes"], 0, "{}", looked.out);
}

#[tokio::test]
async fn a_file_of_users_is_saved() {
    let folder = Folder::new();
    std::fs::write(folder.path("users.acl"), "user default on nopass ~* &* +@all\n").unwrap();
    let mut server = RedisServer::start_with(&["--aclfile", &folder.text("users.acl")]).await;
    let told = folder.set_up("redis", &server.url(), &["--apply"]).await.ok();
    assert!(told.out.contains("(ACL SAVE)") && told.out.contains("forgets the settings"), "{}", told.out);
    server.start_again().await;
    let users =
        folder.set_up("redis", &server.url(), &["--output", "json"]).await.ok().json()["users"].clone();
    assert_eq!([&users[0]["now"], &users[1]["now"]], ["is there", "is there"], "{users}");
}

#[tokio::test]
async fn what_cannot_be_kept_is_told() {
    let folder = Folder::new();
    std::fs::create_dir(folder.path("gone")).unwrap();
    std::fs::write(folder.path("gone/redis.conf"), "timeout 7\n").unwrap();
    let server = RedisServer::start_from(&folder.path("gone/redis.conf")).await;
    std::fs::remove_dir_all(folder.path("gone")).unwrap();
    let told = folder.set_up("redis", &server.url(), &["--apply"]).await;
    let told =
        told.failed(1, &["gone/redis.conf", "redis-cli CONFIG REWRITE", "what is told above was done"]);
    assert!(told.out.ends_with("made the user hotshelf_gateway\n"), "{}", told.out);
}
