//! Redis and PostgreSQL over TLS, with passwords from files, and what is told when one does not trust the other.

use std::path::Path;
use std::time::Duration;

use shared::cache::{Cache, CacheErrorKind, RedisCache, RedisSettings};
use shared::source::SourceErrorKind;
use shared::source::postgres::{PostgresSettings, PostgresSource};
use testkit::{Authority, PostgresServer, RedisServer, postgres_client, wait_until};

#[track_caller]
fn tells(message: &str, parts: &[&str]) {
    for part in parts {
        assert!(message.contains(part), "{part:?} is not in {message:?}");
    }
    assert!(!message.contains("se cret"), "{message}");
}

/// Whether Redis answers; else what is told.
async fn redis(settings: RedisSettings) -> Result<(), (CacheErrorKind, String)> {
    let patient = RedisSettings {
        connect_timeout: Duration::from_secs(20),
        command_timeout: Duration::from_secs(20),
        ..settings
    };
    let told = |error: shared::cache::CacheError| (error.kind(), error.to_string());
    let cache = Cache::Redis(RedisCache::connect(&patient).map_err(told)?);
    cache.ping().await.map(|_| ()).map_err(told)
}

#[tokio::test]
async fn redis_with_a_password_from_a_file() {
    let authority = Authority::new();
    let own = authority.issue("redis", &["localhost"]);
    let (_server, port) =
        RedisServer::start_with_tls(&authority, &own, "no", &["--requirepass", "se cret"]).await;
    let password = authority.folder().join("password");
    std::fs::write(&password, "se cret\n").unwrap();
    let good = RedisSettings {
        url: format!("rediss://localhost:{port}"),
        ca: Some(authority.file()),
        password_file: Some(password.clone()),
        ..RedisSettings::default()
    };
    redis(good.clone()).await.unwrap();

    let (kind, told) = redis(RedisSettings { password_file: None, ..good.clone() }).await.unwrap_err();
    assert_eq!(kind, CacheErrorKind::Denied);
    tells(&told, &["password"]);
    std::fs::write(&password, "").unwrap();
    let (kind, told) = redis(good.clone()).await.unwrap_err();
    assert_eq!(kind, CacheErrorKind::Settings);
    tells(&told, &["redis.password_file", "is empty"]);
}

#[tokio::test]
async fn redis_that_is_not_trusted() {
    let authority = Authority::new();
    let own = authority.issue("redis", &["localhost"]);
    let (server, port) = RedisServer::start_with_tls(&authority, &own, "yes", &[]).await;
    let client = authority.issue("client", &["client"]);
    let good = RedisSettings {
        url: format!("rediss://localhost:{port}"),
        ca: Some(authority.file()),
        certificate: Some(client.certificate.clone()),
        key: Some(client.key.clone()),
        ..RedisSettings::default()
    };
    redis(good.clone()).await.unwrap();

    let stranger = Authority::new();
    let denied = async |settings: RedisSettings| {
        let (kind, told) = redis(settings).await.unwrap_err();
        assert_eq!(kind, CacheErrorKind::Denied, "{told}");
        told
    };
    let told = denied(RedisSettings { ca: Some(stranger.file()), ..good.clone() }).await;
    tells(&told, &["not trusted", "redis.ca"]);
    let told = denied(RedisSettings { url: format!("rediss://127.0.0.1:{port}"), ..good.clone() }).await;
    tells(&told, &["another name", "redis.url"]);
    let told = denied(RedisSettings { certificate: None, key: None, ..good.clone() }).await;
    tells(&told, &["refuses this client", "redis.certificate"]);
    // A port without TLS says nothing, or something else.
    let short = Duration::from_millis(200);
    let plain = RedisSettings {
        url: format!("rediss://localhost:{}", server.port()),
        connect_timeout: short,
        command_timeout: short,
        ..good.clone()
    };
    let told = Cache::Redis(RedisCache::connect(&plain).unwrap()).ping().await.unwrap_err().to_string();
    tells(&told, &["TLS", "redis.url"]);

    let refused = |settings: RedisSettings| RedisCache::connect(&settings).unwrap_err().to_string();
    tells(&refused(RedisSettings { url: server.url(), ..good.clone() }), &["rediss://"]);
    let mixed = RedisSettings { key: Some(stranger.issue("x", &["x"]).key), ..good.clone() };
    tells(&refused(mixed), &["belong together"]);
    tells(&refused(RedisSettings { ca: Some(client.key), ..good }), &["redis.ca", "BEGIN CERTIFICATE"]);
}

/// What connecting comes to. There is no table, which only a server that lets us in can tell.
async fn postgres(url: &str, ca: Option<&Path>) -> (SourceErrorKind, String) {
    let settings =
        PostgresSettings { url: url.to_owned(), ca: ca.map(Path::to_owned), ..PostgresSettings::default() };
    match PostgresSource::new(&settings) {
        Ok(source) => {
            let error = source.check().await.unwrap_err();
            (error.kind(), error.to_string())
        }
        Err(error) => (error.kind(), error.to_string()),
    }
}

#[tokio::test]
async fn postgres_by_sslmode() {
    use SourceErrorKind::{Denied, Schema};
    let server = PostgresServer::start().await;
    let address =
        |mode: &str| format!("postgres://postgres@localhost:{}/postgres?sslmode={mode}", server.port());
    let authority = Authority::new();
    let (ca, stranger) = (authority.file(), Authority::new());

    for (mode, kind) in
        [("disable", Schema), ("prefer", Schema), ("require", Denied), ("verify-full", Denied)]
    {
        let (found, told) = postgres(&address(mode), Some(&ca)).await;
        assert_eq!(found, kind, "{mode}: {told}");
        if kind == Denied {
            tells(&told, &["does not support TLS", "ssl = on", "postgres.url"]);
        }
    }

    server.enable_tls(&authority.issue("postgres", &["localhost"])).await;
    for mode in ["disable", "prefer", "require", "verify-ca", "verify-full"] {
        let (kind, told) = postgres(&address(mode), Some(&ca)).await;
        assert_eq!(kind, Schema, "{mode}: {told}");
    }
    // Without an authority these two look at nothing, as psql does not.
    for mode in ["prefer", "require"] {
        assert_eq!(postgres(&address(mode), None).await.0, Schema, "{mode}");
    }
    for mode in ["require", "verify-ca", "verify-full"] {
        let (kind, told) = postgres(&address(mode), Some(&stranger.file())).await;
        assert_eq!(kind, Denied, "{mode}: {told}");
        tells(&told, &["not trusted", "postgres.ca"]);
    }
    let without_mode = address("").replace("?sslmode=", "");
    let (kind, told) = postgres(&without_mode, Some(&stranger.file())).await;
    assert_eq!(kind, Denied, "who names an authority wants to be sure: {told}");

    let by_number = |mode: &str| address(mode).replace("localhost", "127.0.0.1");
    assert_eq!(postgres(&by_number("verify-ca"), Some(&ca)).await.0, Schema);
    let (kind, told) = postgres(&by_number("verify-full"), Some(&ca)).await;
    assert_eq!(kind, Denied);
    tells(&told, &["another name", "postgres.url"]);
}

#[tokio::test]
async fn postgres_with_a_password_from_a_file() {
    let server = PostgresServer::start().await;
    let authority = Authority::new();
    server.enable_tls(&authority.issue("postgres", &["localhost"])).await;
    let role =
        format!("CREATE ROLE reader LOGIN PASSWORD 'se cret' IN ROLE {}", PostgresServer::PASSWORD_ROLE);
    server.execute("postgres", &role).await;
    let password = authority.folder().join("password");
    std::fs::write(&password, "se cret\n").unwrap();
    let settings = PostgresSettings {
        url: format!("postgres://reader@localhost:{}/postgres", server.port()),
        ca: Some(authority.file()),
        password_file: Some(password.clone()),
        ..PostgresSettings::default()
    };
    let source = PostgresSource::new(&settings).unwrap();
    assert_eq!(source.check().await.unwrap_err().kind(), SourceErrorKind::Schema);
    let client = postgres_client(&server.url("postgres")).await;
    wait_until("the connection is encrypted", Duration::from_secs(20), async || {
        let encrypted = "SELECT count(*) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) \
                         WHERE ssl AND usename = 'reader'";
        client.query_one(encrypted, &[]).await.unwrap().get::<_, i64>(0) == 1
    })
    .await;

    std::fs::write(&password, "wrong").unwrap();
    let error = PostgresSource::new(&settings).unwrap().check().await.unwrap_err();
    assert_eq!(error.kind(), SourceErrorKind::Denied);
    std::fs::remove_file(&password).unwrap();
    let error = PostgresSource::new(&settings).unwrap_err();
    tells(&error.to_string(), &["postgres.password_file", "check the path"]);
}
