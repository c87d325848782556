//! The page for people.

use crate::fixture::{self, Gateway, operator};

#[tokio::test]
async fn everybody_may_have_the_page_and_keeps_it_until_it_changes() {
    let mut settings = fixture::settings();
    settings.access.tokens = vec![operator()];
    let gateway = Gateway::without_servers_as(settings).await;
    let page = gateway.ok("/").await;
    assert_eq!(page.header("content-type"), "text/html; charset=utf-8");
    let policy = page.header("content-security-policy");
    assert!(
        policy.starts_with("default-src 'none'; script-src 'self'") && !policy.contains("unsafe"),
        "{policy}"
    );
    assert_eq!((page.header("cache-control"), page.header("referrer-policy")), ("no-cache", "no-referrer"));
    for (path, content_type) in [
        ("/assets/app.js", "text/javascript; charset=utf-8"),
        ("/assets/style.css", "text/css; charset=utf-8"),
    ] {
        let plain = gateway.ok(path).await;
        assert_eq!((plain.header("content-type"), plain.header("content-encoding")), (content_type, ""));
        let zipped = gateway.get_with(path, &[("accept-encoding", "gzip")]).await;
        assert_eq!(zipped.header("content-encoding"), "gzip");
        assert!(zipped.body.len() < plain.body.len() / 2);
        assert_ne!(zipped.header("etag"), plain.header("etag"));
        for tag in [zipped.header("etag"), plain.header("etag")] {
            let known = gateway.get_with(path, &[("if-none-match", tag)]).await;
            assert_eq!((known.status.as_u16(), known.body.len(), known.header("etag")), (304, 0, tag));
        }
        let other = gateway.get_with(path, &[("if-none-match", "\"other\"")]).await;
        assert_eq!(other.status, 200);
    }
    gateway.get("/assets/nothing.js").await.problem(404);
    gateway.get("/assets/../Cargo.toml").await.problem(404);
}
