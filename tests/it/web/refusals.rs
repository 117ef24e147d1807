//! Requests that are refused because of their host or of the page that sent them, and many reloads
//! at once.

use std::sync::Arc;

use futures_util::future::join_all;
use mqtt_presence_exporter::net::ServeOptions;
use mqtt_presence_exporter::web::{Reload, ReloadRequests, Web, WebOptions};
use tokio::sync::watch;

use crate::support::fleet::{instance, web};
use crate::support::http::{Answer, Server, soon};
use crate::support::source::Gated;

fn exporter(options: WebOptions) -> (Web, ReloadRequests) {
    let fleet = instance(
        "post-cn-1",
        &[("GID_pumps@@@pump-1", &[], Some((true, 10)))],
    );
    let (_, gate) = watch::channel(false);
    let mut web = web(vec![fleet], &(Arc::new(Gated(gate)) as _), "", options);
    let (reload, requests) = Reload::channel();
    web.reload = Some(reload);
    (web, requests)
}

async fn start(web: Web) -> Server {
    let router = web.router().expect("the flags fit");
    Server::start(router, ServeOptions::default()).await
}

/// The answer to the lines of a head.
async fn answer(server: &Server, lines: &[&str]) -> Answer {
    let mut client = server.client().await;
    let head = [lines, &["", ""]].concat().join("\r\n");
    client.send(&head).await;
    let method = lines[0].split(' ').next().expect("a method");
    client.answer(method).await.expect("an answer")
}

async fn status(server: &Server, lines: &[&str]) -> u16 {
    answer(server, lines).await.status
}

#[tokio::test]
async fn http_1_1_needs_exactly_one_valid_host() {
    let server = start(exporter(WebOptions::default()).0).await;
    let start = "GET /-/healthy HTTP/1.1";
    for hosts in [
        &[][..],
        &["Host: a", "Host: a"],
        &["Host: a", "host: b"],
        &["Host: a b"],
        &["Host: user:password@a"],
        &["Host: http://a/"],
    ] {
        let refused = answer(&server, &[&[start], hosts].concat()).await;
        assert_eq!(refused.status, 400, "{hosts:?}");
        assert!(refused.text().contains("`Host`"), "{}", refused.text());
    }
    for host in [
        "Host:",
        "Host: any.example",
        "Host: a:10120",
        "Host: [::1]:1",
    ] {
        assert_eq!(status(&server, &[start, host]).await, 200, "{host}");
    }
}

#[tokio::test]
async fn an_unexpected_host_is_refused_where_hosts_are_configured() {
    let options = WebOptions {
        external_url: Some("https://Ops.example:8443/presence".into()),
        allowed_hosts: vec!["exporter.internal".into()],
        route_prefix: Some("/".into()),
        ..WebOptions::default()
    };
    let server = start(exporter(options).0).await;
    let paths = ["/", "/metrics", "/sd", "/-/healthy", "/nowhere"];
    for host in [
        "evil.example",
        "evil.example:10120",
        "x.ops.example",
        "ops.example.evil",
        "1.2.3.4.5",
    ] {
        for path in paths {
            let line = format!("GET {path} HTTP/1.1");
            let refused = answer(&server, &[&line, &format!("Host: {host}")]).await;
            assert_eq!(refused.status, 403, "{host} {path}");
            assert!(
                refused.text().contains("--web.allowed-hosts"),
                "{}",
                refused.text()
            );
        }
    }
    let absolute = "GET http://evil.example/-/healthy HTTP/1.1";
    assert_eq!(status(&server, &[absolute, "Host: ops.example"]).await, 403);
    for host in [
        "ops.example",
        "OPS.EXAMPLE.",
        "ops.example:8443",
        "exporter.internal:10120",
        "localhost:10120",
        "exporter",
        "10.0.0.5:10120",
        "[::1]:10120",
        "[::ffff:10.0.0.5]",
        "",
    ] {
        let host = format!("Host: {host}");
        assert_eq!(
            status(&server, &["GET /-/healthy HTTP/1.1", &host]).await,
            200,
            "{host}"
        );
    }
    // A path alone names no host.
    let path_only = WebOptions {
        external_url: Some("/".into()),
        ..WebOptions::default()
    };
    let server = start(exporter(path_only).0).await;
    assert_eq!(
        status(&server, &["GET /-/healthy HTTP/1.1", "Host: any.example"]).await,
        200
    );
}

#[tokio::test]
async fn pages_of_other_sites_cause_neither_calls_nor_reloads() {
    let (web, mut requests) = exporter(WebOptions::default());
    let metrics = Arc::clone(&web.metrics);
    let server = start(web).await;
    let probe = "/probe?client_id=GID_pumps@@@pump-1";
    for (method, path) in [
        ("GET", "/metrics"),
        ("GET", probe),
        ("POST", "/-/reload"),
        ("PUT", "/-/reload"),
    ] {
        let headers = ["Content-Length: 0", "Sec-Fetch-Site: cross-site"];
        let refused = server.request(method, path, &headers).await;
        assert_eq!(refused.status, 403, "{method} {path}");
        assert!(refused.text().contains("other sites"), "{}", refused.text());
    }
    assert!(requests.try_recv().is_err(), "no reload was requested");
    let calls = metrics.gather_text();
    assert!(
        !calls.contains("mqtt_presence_api_requests_total{"),
        "{calls}"
    );
    for site in ["same-origin", "same-site", "none"] {
        let site = format!("Sec-Fetch-Site: {site}");
        let hurried = "X-Prometheus-Scrape-Timeout-Seconds: 0.001";
        assert_eq!(
            server
                .request("GET", "/metrics", &[&site, hurried])
                .await
                .status,
            200
        );
    }
    // A link on another site leads to the status page.
    assert_eq!(
        server
            .request("GET", "/", &["Sec-Fetch-Site: cross-site"])
            .await
            .status,
        200
    );
}

#[tokio::test]
async fn no_answer_can_be_embedded_by_a_page_of_another_origin() {
    let server = start(exporter(WebOptions::default()).0).await;
    for (method, path) in [
        ("GET", "/"),
        ("HEAD", "/metrics"),
        ("GET", "/sd"),
        ("GET", "/nowhere"),
        ("POST", "/config"),
    ] {
        let answer = server.request(method, path, &["Content-Length: 0"]).await;
        let policy = answer.header("cross-origin-resource-policy");
        assert_eq!(policy, Some("same-origin"), "{method} {path}");
    }
    let refused = answer(&server, &["GET / HTTP/1.1"]).await;
    assert_eq!(
        refused.header("cross-origin-resource-policy"),
        Some("same-origin")
    );
}

#[tokio::test]
async fn all_reload_requests_that_wait_are_there_for_one_reload() {
    let (web, mut requests) = exporter(WebOptions::default());
    let server = start(web).await;
    let asked =
        join_all((0..100).map(|_| server.request("POST", "/-/reload", &["Content-Length: 0"])));
    let reload = async {
        soon(async {
            while requests.len() < 100 {
                tokio::task::yield_now().await;
            }
        })
        .await;
        let mut waiting = Vec::new();
        requests.recv_many(&mut waiting, usize::MAX).await;
        for request in waiting {
            request
                .send(Ok("reloaded once".to_owned()))
                .expect("it waits");
        }
    };
    let (answers, ()) = tokio::join!(asked, reload);
    let answered = |answer: &Answer| (answer.status, answer.text()) == (200, "reloaded once\n");
    assert!(answers.iter().all(answered), "{answers:?}");
}
