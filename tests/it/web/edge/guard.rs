//! Who comes in, how often, and what every answer carries.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use axum::http::header::X_FRAME_OPTIONS;
use axum::routing::get;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use mqtt_presence_exporter::net::ServeOptions;

use super::Guarded;

/// The hash of `password`, as cheap as it can be.
fn hash(password: &str) -> String {
    let hash = bcrypt::hash_with_salt_bytes(password, 4, [9; 16]).expect("a hash");
    String::from_utf8(hash.to_vec()).expect("ASCII")
}

fn basic(user: &str, password: &str) -> String {
    format!(
        "Authorization: Basic {}",
        STANDARD.encode(format!("{user}:{password}"))
    )
}

#[tokio::test]
async fn users_come_in_with_their_passwords_and_nobody_else() {
    let asked = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&asked);
    let router = Router::new().route(
        "/",
        get(async move || {
            counter.fetch_add(1, Ordering::SeqCst);
        }),
    );
    let config = format!(
        "basic_auth_users:\n  alice: {}\n  bob: {}\n",
        hash("wonder:land"),
        hash("pässword")
    );
    let guarded = Guarded::serve(&config, router, ServeOptions::default()).await;
    let status = async |header: &str| guarded.server.request("GET", "/", &[header]).await.status;
    for _ in 0..3 {
        assert_eq!(status(&basic("alice", "wonder:land")).await, 200);
        assert_eq!(status(&basic("bob", "pässword")).await, 200);
    }
    for header in [
        basic("alice", "wonderland"),
        basic("alice", "pässword"),
        basic("alice", ""),
        basic("Alice", "wonder:land"),
        basic("mallory", "wonder:land"),
        basic("", ""),
        "Authorization: Basic !".to_owned(),
        "Authorization: Bearer wonder:land".to_owned(),
        "X-Nothing: 1".to_owned(),
    ] {
        assert_eq!(status(&header).await, 401, "{header}");
    }
    assert_eq!(
        asked.load(Ordering::SeqCst),
        6,
        "nobody else got through to the endpoint"
    );

    let refused = guarded.server.request("GET", "/anything", &[]).await;
    assert_eq!(
        refused.status, 401,
        "what there is, too, is nobody's business"
    );
    assert!(
        refused
            .header("www-authenticate")
            .is_some_and(|challenge| challenge.starts_with("Basic realm="))
    );
}

#[tokio::test]
async fn headers_are_added_to_every_answer_and_replace_none() {
    let headers = "http_server_config:\n  headers:\n    X-Frame-Options: sameorigin\n    Strict-Transport-Security: max-age=60\n    X-XSS-Protection: ''\n";
    let router = Router::new().route("/own", get(async || ([(X_FRAME_OPTIONS, "deny")], "")));
    let users = format!("basic_auth_users:\n  alice: {}\n", hash("right"));
    let guarded = Guarded::serve(
        &format!("{headers}{users}"),
        router,
        ServeOptions::default(),
    )
    .await;
    let alice = &*basic("alice", "right");
    for (path, authorization, status, frame) in [
        ("/own", alice, 200, "deny"),
        ("/nowhere", alice, 404, "sameorigin"),
        ("/own", "X-Nothing: 1", 401, "sameorigin"),
    ] {
        let answer = guarded.server.request("GET", path, &[authorization]).await;
        assert_eq!(
            (answer.status, answer.header("x-frame-options")),
            (status, Some(frame)),
            "{path}"
        );
        assert_eq!(
            (
                answer.header("cross-origin-resource-policy"),
                answer.header("cache-control")
            ),
            (Some("same-origin"), Some("no-store")),
            "{path}"
        );
        assert_eq!(
            answer.header("strict-transport-security"),
            Some("max-age=60")
        );
        assert_eq!(answer.header("x-xss-protection"), None);
    }
}

#[tokio::test]
async fn more_requests_than_the_limit_are_refused() {
    let guarded = Guarded::start("rate_limit: {interval: 1h, burst: 3}\n").await;
    let mut statuses = Vec::new();
    for _ in 0..5 {
        statuses.push(guarded.server.get("/").await.status);
    }
    assert_eq!(statuses, [200, 200, 200, 429, 429]);
}
