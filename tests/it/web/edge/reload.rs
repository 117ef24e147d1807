//! Files that change while connections are served.

use std::time::Duration;

use tokio::time::sleep;

use super::{Guarded, PAIR};
use crate::support::http::{Client, request, soon};
use crate::support::pki::{Authority, TlsClient};

impl Guarded {
    fn reloaded(&self) -> (f64, f64) {
        let metrics = &self.metrics;
        (
            metrics.web_config_last_reload_successful.get(),
            metrics
                .web_config_last_reload_success_timestamp_seconds
                .get(),
        )
    }

    /// Waits until the files have been read again, with success or not.
    async fn taken_over(&self, successfully: bool) {
        soon(async {
            while (self.reloaded().0 > 0.0) != successfully {
                sleep(Duration::from_millis(20)).await;
            }
        })
        .await;
    }

    async fn until_let_in(&self, client: &TlsClient) {
        soon(async {
            while !self.lets_in(client).await {
                sleep(Duration::from_millis(20)).await;
            }
        })
        .await;
    }
}

#[tokio::test]
async fn a_new_certificate_is_shown_to_new_connections_and_old_ones_stay() {
    let guarded = Guarded::start(PAIR).await;
    let mut old = Client::secured(guarded.server.address, &guarded.client())
        .await
        .expect("let in");
    let other = Authority::new();
    let trusts_other = TlsClient::trusting(&other);
    assert!(!guarded.lets_in(&trusts_other).await);

    other.server().write(guarded.folder.path(), "server");
    guarded.until_let_in(&trusts_other).await;
    assert!(
        !guarded.lets_in(&guarded.client()).await,
        "the old one is gone"
    );
    old.send(&request("GET", "/", &[])).await;
    assert_eq!(old.answer("GET").await.expect("an answer").text(), "hello");
    assert!(guarded.reloaded().0 > 0.0);
}

#[tokio::test]
async fn broken_files_leave_what_was_in_force_and_are_reported() {
    let guarded = Guarded::start(PAIR).await;
    soon(async {
        while guarded.reloaded().1 == 0.0 {
            sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
    let (_, loaded) = guarded.reloaded();
    for broken in [
        "tls_server_config: {\n",
        "basic_auth_users: {alice: hello}\n",
        // TLS is not turned off by an edit, and least of all by a slip of one.
        "http_server_config: {http2: false}\n",
        "",
    ] {
        guarded.write(broken);
        guarded.taken_over(false).await;
        assert!(guarded.lets_in(&guarded.client()).await, "{broken:?}");
        assert!(guarded.reloaded().1 >= loaded);
        guarded.write(PAIR);
        guarded.taken_over(true).await;
    }
    for name in ["server.key", "server.pem", "web.yml"] {
        let good = std::fs::read(guarded.file(name)).expect("read");
        std::fs::remove_file(guarded.file(name)).expect("removed");
        guarded.taken_over(false).await;
        assert!(guarded.lets_in(&guarded.client()).await, "without {name}");
        std::fs::write(guarded.file(name), good).expect("written");
        guarded.taken_over(true).await;
    }
}

#[tokio::test]
async fn users_and_headers_change_for_connections_that_are_there() {
    let hash = |password: &str| {
        String::from_utf8(
            bcrypt::hash_with_salt_bytes(password, 4, [9; 16])
                .expect("a hash")
                .to_vec(),
        )
        .expect("ASCII")
    };
    let guarded = Guarded::start(&format!("basic_auth_users: {{alice: {}}}\n", hash("old"))).await;
    let mut client = guarded.server.client().await;
    let mut ask = async |password: &str| {
        use base64::Engine as _;
        let said = base64::engine::general_purpose::STANDARD.encode(format!("alice:{password}"));
        client
            .send(&request(
                "GET",
                "/",
                &[&format!("Authorization: Basic {said}")],
            ))
            .await;
        client.answer("GET").await.expect("an answer")
    };
    assert_eq!(
        (ask("old").await.status, ask("new").await.status),
        (200, 401)
    );
    guarded.write(&format!(
        "basic_auth_users: {{alice: {}}}\nhttp_server_config: {{headers: {{X-Frame-Options: deny}}}}\n",
        hash("new")
    ));
    soon(async { while ask("new").await.status == 401 {} }).await;
    let refused = ask("old").await;
    assert_eq!(
        (refused.status, refused.header("x-frame-options")),
        (401, Some("deny"))
    );
}

#[tokio::test]
async fn rotating_the_certificate_under_load_drops_no_request() {
    let guarded = Guarded::start(PAIR).await;
    let (address, client) = (guarded.server.address, guarded.client());
    let stop = tokio_util::sync::CancellationToken::new();
    let load: Vec<_> = (0..4)
        .map(|n| {
            let (client, stop) = (client.clone(), stop.clone());
            tokio::spawn(async move {
                let mut answered = 0;
                while !stop.is_cancelled() {
                    let mut connection = Client::secured(address, &client).await.expect("let in");
                    // Some keep their connection, some do not.
                    for _ in 0..=n * 10 {
                        connection.send(&request("GET", "/", &[])).await;
                        assert_eq!(
                            connection.answer("GET").await.expect("an answer").text(),
                            "hello"
                        );
                        answered += 1;
                    }
                }
                answered
            })
        })
        .collect();
    for _ in 0..2 {
        let shown = std::fs::read(guarded.file("server.pem")).expect("read");
        guarded
            .authority
            .server()
            .write(guarded.folder.path(), "server");
        assert_ne!(
            std::fs::read(guarded.file("server.pem")).expect("read"),
            shown
        );
        let (_, before) = guarded.reloaded();
        soon(async {
            while guarded.reloaded().1 <= before {
                sleep(Duration::from_millis(20)).await;
            }
        })
        .await;
    }
    stop.cancel();
    for task in load {
        assert!(task.await.expect("no request was dropped") > 0);
    }
}
