//! `warmer setup postgres`.

use shared::source::postgres::SCHEMA;
use testkit::{PostgresServer, postgres_client};
use tokio_postgres::Client;

use super::{Folder, mode};

/// Names that no other test of this server has.
fn users(name: &str) -> [String; 4] {
    ["--warmer-user".to_owned(), format!("{name}_w"), "--gateway-user".to_owned(), format!("{name}_g")]
}

fn with<'a>(users: &'a [String; 4], more: &[&'a str]) -> Vec<&'a str> {
    users.iter().map(String::as_str).chain(more.iter().copied()).collect()
}

async fn count(client: &Client, what: &str) -> i64 {
    client.query_one(&format!("SELECT count(*) FROM {what}"), &[]).await.unwrap().get(0)
}

#[track_caller]
fn is_denied(outcome: Result<(), tokio_postgres::Error>, what: &str) {
    let error = outcome.expect_err(what);
    assert_eq!(error.code().map(tokio_postgres::error::SqlState::code), Some("42501"), "{what}: {error}");
}

#[tokio::test]
async fn an_empty_database_gets_all_and_then_nothing() {
    let (folder, server) = (Folder::new(), PostgresServer::shared().await);
    let (url, client) = server.database_after(&[]).await;
    let names = users("setup_empty");
    let told = folder.set_up("postgres", &url, &with(&names, &["--mode", "trigger"])).await.ok();
    for part in [
        "CREATE TABLE IF NOT EXISTS orders",
        "SELECT hotshelf_watch(",
        "ALTER ROLE setup_empty_g LOGIN",
        "5 to do; nothing was changed",
    ] {
        assert!(told.out.contains(part), "{part}: {}", told.out);
    }
    assert_eq!(count(&client, "pg_tables WHERE schemaname = 'public'").await, 0);
    assert_eq!(count(&client, "pg_roles WHERE rolname LIKE 'setup\\_empty\\__'").await, 0);
    assert!(!folder.path("passwords").exists());

    let apply = with(&names, &["--mode", "trigger", "--apply", "--output", "json"]);
    let applied = folder.set_up("postgres", &url, &apply).await.ok();
    assert!(!applied.out.contains(&folder.password("postgres-warmer")) && !applied.out.contains("SCRAM-"));
    assert_eq!(applied.json()["done"].as_array().unwrap().len(), 7, "{}", applied.out);
    assert_eq!(mode(&folder.path("passwords/postgres-gateway")), 0o600);
    for more in [&["--mode", "trigger"][..], &["--mode", "trigger", "--apply"], &["--mode", "poll"]] {
        let told = folder.set_up("postgres", &url, &with(&names, more)).await.ok();
        assert!(told.out.ends_with("-- nothing to change\n"), "{more:?}: {}", told.out);
        assert_eq!(told.out.contains("hotshelf_unwatch"), more[1] == "poll", "{}", told.out);
    }

    // Here nobody needs a password; so let these two need theirs.
    client
        .batch_execute(&format!("GRANT {} TO setup_empty_w, setup_empty_g", PostgresServer::PASSWORD_ROLE))
        .await
        .unwrap();
    client
        .batch_execute("INSERT INTO orders (order_id, store_id, ordered_at) VALUES ('o', 's', now())")
        .await
        .unwrap();
    let as_user = async |name: &str, file: &str| {
        let own = format!("setup_empty_{name}:{}@", folder.password(file));
        postgres_client(&url.replace("postgres@", &own)).await
    };
    let wrong = url.replace("postgres@", "setup_empty_w:wrong@");
    assert!(tokio_postgres::connect(&wrong, tokio_postgres::NoTls).await.is_err());
    let warmer = as_user("w", "postgres-warmer").await;
    assert_eq!((count(&warmer, "orders").await, count(&warmer, "orders_dirty").await), (1, 2));
    warmer
        .batch_execute("SELECT hotshelf_watch_partitions('orders'); DELETE FROM orders_dirty")
        .await
        .unwrap();
    let gateway = as_user("g", "postgres-gateway").await;
    assert_eq!(count(&gateway, "orders").await, 1);
    is_denied(gateway.batch_execute("SELECT FROM orders_dirty").await, "notes");
    for (who, client) in [("warmer", &warmer), ("gateway", &gateway)] {
        for statement in [
            "DELETE FROM orders",
            "INSERT INTO orders (order_id, store_id, ordered_at) VALUES ('o', 's', now())",
            "TRUNCATE orders",
            "CREATE TABLE mine (n int)",
            "CREATE ROLE mine",
            "SELECT hotshelf_mark_all('orders', 'orders')",
        ] {
            is_denied(client.batch_execute(statement).await, &format!("{who}: {statement}"));
        }
    }
    // Another password in the file: it is seen, and set.
    std::fs::write(folder.path("passwords/postgres-gateway"), "an other\n").unwrap();
    let told = folder.set_up("postgres", &url, &with(&names, &["--apply"])).await.ok();
    assert!(
        told.out.contains("done: the user of the gateways") && !told.out.contains("of the warmer,\n"),
        "{}",
        told.out
    );
    assert_eq!(count(&as_user("g", "postgres-gateway").await, "orders").await, 1);
}

/// As on Debian, where the owner comes by the socket, and needs no password there.
#[tokio::test]
async fn over_a_socket_passwords_are_tried_where_they_are_asked_for() {
    let (folder, server) = (Folder::new(), PostgresServer::shared().await);
    let (url, client) = server.database_after(&[]).await;
    let database = url.rsplit('/').next().unwrap();
    let (url, names) = (server.socket_url(database), users("setup_socket"));
    let apply = with(&names, &["--mode", "poll", "--apply"]);
    folder.set_up("postgres", &url, &apply).await.ok();
    client
        .batch_execute(&format!("GRANT {} TO setup_socket_w, setup_socket_g", PostgresServer::PASSWORD_ROLE))
        .await
        .unwrap();
    let told = folder.set_up("postgres", &url, &apply).await.ok();
    assert!(told.out.ends_with("-- nothing to change\n"), "{}", told.out);
    assert!(!told.out.contains("could not be tried"), "{}", told.out);
    std::fs::write(folder.path("passwords/postgres-warmer"), "an other\n").unwrap();
    let told = folder.set_up("postgres", &url, &apply).await.ok();
    assert!(told.out.contains("done: the user of the warmer"), "{}", told.out);
    assert!(!told.out.contains("could not be tried"), "{}", told.out);
}

#[tokio::test]
async fn a_view_is_only_read() {
    let (folder, server) = (Folder::new(), PostgresServer::shared().await);
    let sales = "CREATE SCHEMA sales; CREATE TABLE sales.lines (id text, shop text, at timestamp); \
                 CREATE VIEW sales.shown AS SELECT * FROM sales.lines; INSERT INTO sales.lines VALUES ('o', 's', now())";
    let (url, client) = server.database_after(&[sales]).await;
    let names = users("setup_view");
    let settings = |table: &str, column: &str| {
        let file = folder.path(&format!("{table}.toml"));
        let text = format!(
            "[postgres]\ntable = \"sales.{table}\"\n[postgres.columns]\norder_id = \"id\"\nstore_id = \"{column}\"\nordered_at = \"at\"\n"
        );
        std::fs::write(&file, text).unwrap();
        file.display().to_string()
    };
    let (view, table, wrong) =
        (settings("shown", "shop"), settings("lines", "shop"), settings("none", "shop"));
    let told =
        folder.set_up("postgres", &url, &with(&names, &["--config", &view, "--mode", "trigger"])).await;
    told.failed(78, &["is a view", "--mode poll"]);
    folder
        .set_up("postgres", &url, &with(&names, &["--config", &wrong]))
        .await
        .failed(1, &["no table or view sales.none"]);
    let wrong = settings("shown", "store");
    folder
        .set_up("postgres", &url, &with(&names, &["--config", &wrong]))
        .await
        .failed(1, &["no column \"store\""]);
    let view = settings("shown", "shop");

    let told = folder.set_up("postgres", &url, &with(&names, &["--config", &view, "--apply"])).await.ok();
    assert!(!told.out.contains("CREATE INDEX"), "{}", told.out);
    let gateway = postgres_client(&url.replace("postgres@", "setup_view_g@")).await;
    assert_eq!(count(&gateway, "sales.shown").await, 1);
    is_denied(gateway.batch_execute("SELECT FROM sales.lines").await, "the table behind");
    assert_eq!(count(&client, "pg_tables WHERE tablename IN ('orders', 'hotshelf_watches')").await, 0);

    // The table itself may have triggers; its index is its owner's affair.
    let with_triggers = with(&names, &["--config", &table, "--mode", "trigger", "--apply"]);
    let told = folder.set_up("postgres", &url, &with_triggers).await.ok();
    let index = "CREATE INDEX CONCURRENTLY ON \"sales\".\"lines\" (\"shop\", \"at\");";
    assert!(told.out.contains(index) && told.out.contains("done: triggers"), "{}", told.out);
    client.batch_execute(index).await.unwrap();
    let told =
        folder.set_up("postgres", &url, &with(&names, &["--config", &table, "--mode", "trigger"])).await.ok();
    assert!(
        told.out.ends_with("-- nothing to change\n") && !told.out.contains("CREATE INDEX"),
        "{}",
        told.out
    );
    let warmer = postgres_client(&url.replace("postgres@", "setup_view_w@")).await;
    assert_eq!(count(&warmer, "sales.lines_dirty").await, 1);
    is_denied(warmer.batch_execute("DELETE FROM sales.lines").await, "lines");
}

#[tokio::test]
async fn without_the_rights_nothing_is_changed_and_a_file_helps() {
    let (folder, server) = (Folder::new(), PostgresServer::shared().await);
    let poor = "CREATE ROLE setup_poor LOGIN; GRANT CREATE ON SCHEMA public TO setup_poor";
    let (url, client) = server.database_after(&[SCHEMA, poor]).await;
    let (names, as_poor) = (users("setup_file"), url.replace("postgres@", "setup_poor@"));
    let told = folder.set_up("postgres", &as_poor, &with(&names, &["--apply"])).await;
    told.failed(1, &["nothing was changed", "--write FILE"]);
    assert_eq!(count(&client, "pg_roles WHERE rolname LIKE 'setup\\_file\\__'").await, 0);

    let script = folder.text("hotshelf.sql");
    let told = folder.set_up("postgres", &as_poor, &with(&names, &["--write", &script])).await.ok();
    assert!(
        told.out.contains("setup_poor may not make users") && told.out.contains("psql -d"),
        "{}",
        told.out
    );
    assert_eq!(mode(&folder.path("hotshelf.sql")), 0o600);
    let text = std::fs::read_to_string(&script).unwrap();
    assert!(text.contains("PASSWORD 'SCRAM-SHA-256$") && !text.contains(&folder.password("postgres-warmer")));
    // Twice: it may be run again.
    for _ in 0..2 {
        client.batch_execute(&text.replace("\\set ON_ERROR_STOP on\n", "")).await.unwrap();
    }
    let looked = folder.set_up("postgres", &url, &with(&names, &["--output", "json"])).await.ok().json();
    assert_eq!(looked["changes"], 0, "{looked}");
    std::fs::write(&script, "mine").unwrap();
    client.batch_execute("ALTER ROLE setup_file_g NOLOGIN").await.unwrap();
    let told = folder.set_up("postgres", &url, &with(&names, &["--write", &script])).await;
    told.failed(1, &["hotshelf.sql is there, with another content"]);
    let told = folder
        .set_up("postgres", &url, &["--warmer-user", "postgres", "--gateway-user", "setup_file_g"])
        .await;
    told.failed(78, &["postgres is a superuser"]);
}

#[tokio::test]
async fn an_owner_who_may_make_users_is_enough() {
    let (folder, server) = (Folder::new(), PostgresServer::shared().await);
    let owner = "CREATE ROLE setup_owner LOGIN CREATEROLE; \
                 DO $$ BEGIN EXECUTE format('ALTER DATABASE %I OWNER TO setup_owner', current_database()); END $$";
    let (url, client) = server.database_after(&[owner]).await;
    let (names, as_owner) = (users("setup_owned"), url.replace("postgres@", "setup_owner@"));
    let told =
        folder.set_up("postgres", &as_owner, &with(&names, &["--mode", "trigger", "--apply"])).await.ok();
    assert!(!told.out.contains("warning"), "{}", told.out);
    let told = folder.set_up("postgres", &as_owner, &with(&names, &["--mode", "trigger"])).await.ok();
    assert!(told.out.ends_with("-- nothing to change\n"), "{}", told.out);
    assert_eq!(
        count(&client, "pg_tables WHERE tablename = 'orders' AND tableowner = 'setup_owner'").await,
        1
    );
    let gateway = postgres_client(&url.replace("postgres@", "setup_owned_g@")).await;
    assert_eq!(count(&gateway, "orders").await, 0);
    // An older file of triggers was run by hand: this version's is run again.
    client.batch_execute("COMMENT ON FUNCTION hotshelf_watch(regclass, text, text) IS NULL").await.unwrap();
    let told =
        folder.set_up("postgres", &as_owner, &with(&names, &["--mode", "trigger", "--apply"])).await.ok();
    assert!(told.out.contains("done: triggers") && told.out.contains("is there: the table"), "{}", told.out);
}
