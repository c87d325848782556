//! A warmer as the users that `warmer setup` made: they may do all that it does.

use std::fs::File;
use std::process::{Command, Stdio};
use std::time::Duration;

use testkit::{KilledOnDrop, PostgresServer, RedisServer, postgres_client, wait_until};

use super::{Folder, warmer};

const PATIENCE: Duration = Duration::from_secs(60);
const ROWS: &str = "INSERT INTO orders (order_id, store_id, ordered_at, product_name, paid_price) \
     SELECT 'o' || n, 's' || s, timestamp '2026-03-01 10:00' + d * interval '1 day', 'p', 8 \
     FROM generate_series(1, 3) s, generate_series(0, 9) d, generate_series(1, 4) n";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn these_users_may_do_all_that_a_warmer_does() {
    // With the names that are the default, which belong to a whole server.
    let (folder, redis, postgres) =
        (Folder::new(), RedisServer::start().await, PostgresServer::start().await);
    let url = postgres.fresh_database().await;
    folder.set_up("redis", &redis.url(), &["--apply"]).await.ok();
    folder.set_up("postgres", &url, &["--mode", "trigger", "--apply"]).await.ok();
    let again = folder.set_up("postgres", &url, &["--mode", "trigger"]).await.ok();
    assert!(again.out.ends_with("-- nothing to change\n"), "{}", again.out);
    let owner = postgres_client(&url).await;
    let needs = format!("GRANT {} TO hotshelf_warmer, hotshelf_gateway", PostgresServer::PASSWORD_ROLE);
    owner.batch_execute(&needs).await.unwrap();
    owner.batch_execute(ROWS).await.unwrap();

    let passwords = folder.text("passwords");
    let text = format!(
        "[redis]\nurl = \"redis://hotshelf_warmer@{}\"\npassword_file = \"{passwords}/redis-warmer\"\ncommand_timeout = \"10s\"\n\
         [postgres]\nurl = {:?}\npassword_file = \"{passwords}/postgres-warmer\"\n[changes]\nmode = \"trigger\"\n\
         [warm]\nlease = \"3s\"\nstatus_interval = \"200ms\"\nhot_share = 0.4\nstate = {:?}\n[admin]\nlisten = \"\"\n[heat]\nlogs = [{:?}]\n",
        redis.address(),
        url.replace("postgres@", "hotshelf_warmer@"),
        folder.text("state"),
        folder.text("access*.log"),
    );
    std::fs::write(folder.path("warmer.toml"), text).unwrap();
    let config = folder.text("warmer.toml");
    let run = async |args: &[&str]| warmer(&[args, &["--config", &config]].concat()).await;

    run(&["once"]).await.ok();
    let mut daemon = Command::new(env!("CARGO_BIN_EXE_warmer"));
    daemon.args(["run", "--config", &config]).env_remove("NOTIFY_SOCKET").stdin(Stdio::null());
    let log = File::create(folder.path("log")).unwrap();
    let _running = KilledOnDrop(daemon.stdout(Stdio::null()).stderr(log).spawn().unwrap());
    let counts = async || {
        let told = run(&["status", "--output", "json"]).await;
        if told.code == 0 { told.json()["warmers"][0]["counts"].clone() } else { serde_json::Value::Null }
    };
    wait_until("a warm cache", PATIENCE, async || counts().await["cycles"].as_u64() > Some(0)).await;
    let before = counts().await["changes"].as_u64().unwrap();
    owner.batch_execute("UPDATE orders SET quantity = 2 WHERE store_id = 's1'").await.unwrap();
    wait_until("a change", PATIENCE, async || counts().await["changes"].as_u64() > Some(before)).await;

    for args in [
        &["inspect", "hs:1:cells:{s1}"][..],
        &["inspect", "hs:1:requests"],
        &["inspect", "hs:1:lease"],
        &["flush", "--level", "answers", "--yes"],
        &["pause", "--for", "1h"],
        &["resume"],
        &["refresh", "--store", "s2"],
        &["hot"],
        &["plan"],
        &["explain", "/v1/metrics/overview"],
        &["once", "--force", "--stores", "s3"],
    ] {
        let told = run(args).await;
        let is_absent = args[0] == "inspect" && told.error.contains("no key");
        assert!(told.code == 0 || is_absent, "{args:?}: {}\n{}", told.out, told.error);
    }
    // Redis remembers whatever it refused.
    let denied = redis.says(&["ACL LOG"]).await;
    let log = std::fs::read_to_string(folder.path("log")).unwrap();
    assert_eq!(denied, ["*0"], "Redis refused something: redis-cli ACL LOG; {log}");
    assert!(!log.contains("NOPERM") && !log.contains("permission denied"), "{log}");
    assert!(!log.contains(&folder.password("redis-warmer")), "a password in the log");
}
