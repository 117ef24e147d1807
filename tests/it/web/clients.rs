//! `/api/v1/clients`, and what `docs/api.md` says about it.

use std::sync::Arc;

use mqtt_presence_exporter::net::ServeOptions;
use mqtt_presence_exporter::web::{Web, WebOptions};
use serde_json::{Value, json};
use tokio::sync::watch;

use crate::support::fleet::{NOW, instance, web};
use crate::support::http::{Answer, Server};
use crate::support::source::Gated;

/// Two instances of a few clients each; nobody answers a call.
fn exporter() -> Web {
    let pumps = instance(
        "post-cn-1",
        &[
            (
                "GID_pumps@@@pump-2",
                &[("name", "Pumpe \"Süd\""), ("site", "hz")],
                Some((false, 20)),
            ),
            ("GID_pumps@@@pump-1", &[("site", "hz")], Some((true, 10))),
            ("GID_gates@@@gate-1", &[("site", "sh")], None),
        ],
    );
    let others = instance(
        "post-cn-2",
        &[
            ("plain", &[], Some((true, 30))),
            ("GID_pumps@@@pump-1", &[], None),
        ],
    );
    let (_, gate) = watch::channel(false);
    web(
        vec![pumps, others],
        &(Arc::new(Gated(gate)) as _),
        "",
        WebOptions::default(),
    )
}

async fn server() -> Server {
    Server::start(
        exporter().router().expect("the flags fit"),
        ServeOptions::default(),
    )
    .await
}

fn data(answer: &Answer) -> Value {
    assert_eq!(
        (answer.status, answer.header("content-type")),
        (200, Some("application/json")),
        "{answer:?}"
    );
    let mut body: Value = serde_json::from_slice(&answer.body).expect("JSON");
    assert_eq!(body["status"], "success");
    body["data"].take()
}

async fn select(server: &Server, query: &str) -> Value {
    data(&server.get(&format!("/api/v1/clients?{query}")).await)
}

/// The clients of an answer, as `instance/client`, without what they have in common.
fn names(data: &Value) -> Vec<String> {
    let name = |client: &Value| {
        let part = |key: &str| client[key].as_str().expect("text").to_owned();
        part("instance_id").replace("post-cn-", "")
            + "/"
            + part("client_id").split("@@@").last().expect("a part")
    };
    data["clients"]
        .as_array()
        .expect("a list")
        .iter()
        .map(name)
        .collect()
}

#[tokio::test]
async fn a_client_is_shown_with_everything_that_is_known_of_it() {
    let data = select(&server().await, "instance_id=post-cn-1&sort=status&limit=2").await;
    let at = data["timestamp_seconds"].as_f64().expect("a number");
    let now = 1_700_000_000.0;
    assert_eq!(NOW, 1_700_000_000);
    assert!((now..now + 60.0).contains(&at), "{at}");
    assert_eq!(
        data["counts"],
        json!({ "online": 1, "offline": 1, "unknown": 1 })
    );
    assert_eq!(
        (&data["total"], &data["offset"], &data["limit"]),
        (&json!(3), &json!(0), &json!(2))
    );
    let expected = json!([
        {
            "instance_id": "post-cn-1",
            "client_id": "GID_pumps@@@pump-2",
            "group_id": "GID_pumps",
            "labels": { "name": "Pumpe \"Süd\"", "site": "hz" },
            "status": "offline",
            "status_since_timestamp_seconds": now - 20.0,
            "last_observation_timestamp_seconds": now - 20.0,
        },
        {
            "instance_id": "post-cn-1",
            "client_id": "GID_gates@@@gate-1",
            "group_id": "GID_gates",
            "labels": { "site": "sh" },
            "status": "unknown",
            "status_since_timestamp_seconds": null,
            "last_observation_timestamp_seconds": null,
        },
    ]);
    assert_eq!(data["clients"], expected);
}

#[tokio::test]
async fn filters_select_and_combine() {
    let server = server().await;
    for (query, expected) in [
        ("", "1/gate-1 1/pump-1 2/pump-1 1/pump-2 2/plain"),
        (
            "status=&text=&instance_id=",
            "1/gate-1 1/pump-1 2/pump-1 1/pump-2 2/plain",
        ),
        ("status=online", "1/pump-1 2/plain"),
        ("status=online&status=offline", "1/pump-1 1/pump-2 2/plain"),
        ("instance_id=post-cn-2", "2/pump-1 2/plain"),
        ("instance_id=post-cn-3", ""),
        ("group_id=GID_pumps", "1/pump-1 2/pump-1 1/pump-2"),
        (
            "group_id=GID_gates&group_id=GID_pumps&instance_id=post-cn-1",
            "1/gate-1 1/pump-1 1/pump-2",
        ),
        ("label=site=hz", "1/pump-1 1/pump-2"),
        (
            "label=site%3Dhz&label=name%3DPumpe+%22S%C3%BCd%22",
            "1/pump-2",
        ),
        ("label=site=h", ""),
        ("text=PUMP-1", "1/pump-1 2/pump-1"),
        ("text=s%C3%9Cd", "1/pump-2"),
        ("text=sh&status=unknown", "1/gate-1"),
        ("text=post-cn", ""),
    ] {
        assert_eq!(
            names(&select(&server, query).await).join(" "),
            expected,
            "{query}"
        );
    }
    let counts = select(&server, "group_id=GID_pumps&status=offline").await["counts"].take();
    assert_eq!(
        counts,
        json!({ "online": 1, "offline": 1, "unknown": 1 }),
        "whatever the status that is asked for"
    );
}

#[tokio::test]
async fn every_order_has_its_reverse_and_unknown_times_come_last() {
    let server = server().await;
    for (sort, expected) in [
        ("client_id", "1/gate-1 1/pump-1 2/pump-1 1/pump-2 2/plain"),
        ("-client_id", "2/plain 1/pump-2 1/pump-1 2/pump-1 1/gate-1"),
        ("instance_id", "1/gate-1 1/pump-1 1/pump-2 2/pump-1 2/plain"),
        (
            "-instance_id",
            "2/pump-1 2/plain 1/gate-1 1/pump-1 1/pump-2",
        ),
        ("group_id", "2/plain 1/gate-1 1/pump-1 2/pump-1 1/pump-2"),
        ("status", "1/pump-2 1/gate-1 2/pump-1 1/pump-1 2/plain"),
        ("-status", "1/pump-1 2/plain 1/gate-1 2/pump-1 1/pump-2"),
        (
            "status_since",
            "2/plain 1/pump-2 1/pump-1 1/gate-1 2/pump-1",
        ),
        (
            "-status_since",
            "1/pump-1 1/pump-2 2/plain 1/gate-1 2/pump-1",
        ),
        (
            "last_observation",
            "2/plain 1/pump-2 1/pump-1 1/gate-1 2/pump-1",
        ),
        (
            "-last_observation",
            "1/pump-1 1/pump-2 2/plain 1/gate-1 2/pump-1",
        ),
    ] {
        let whole = select(&server, &format!("sort={sort}")).await;
        assert_eq!(names(&whole).join(" "), expected, "{sort}");
        let mut pages = Vec::new();
        for offset in [0, 2, 4, 6] {
            let page = select(&server, &format!("sort={sort}&limit=2&offset={offset}")).await;
            assert_eq!(page["total"], 5);
            pages.extend(names(&page));
        }
        assert_eq!(pages, names(&whole), "pages make the whole");
    }
}

#[tokio::test]
async fn a_wrong_query_is_told_what_is_wrong() {
    let server = server().await;
    for (query, error) in [
        (
            "grup_id=x",
            "unknown parameter `grup_id`; known parameters: `status`, `instance_id`,",
        ),
        (
            "status=up",
            "`status=up`: must be `online`, `offline` or `unknown`",
        ),
        ("label=site", "`label=site`: must be NAME=VALUE of a label"),
        ("sort=name", "`sort=name`: must be one of `client_id`,"),
        ("limit=0", "`limit=0`: must be a number from 1 to 1000"),
        (
            "limit=1001",
            "`limit=1001`: must be a number from 1 to 1000",
        ),
        ("offset=-1", "`offset=-1`: must be a whole number"),
    ] {
        let answer = server.get(&format!("/api/v1/clients?{query}")).await;
        assert_eq!(
            (answer.status, answer.header("content-type")),
            (400, Some("application/json")),
            "{query}"
        );
        let body: Value = serde_json::from_slice(&answer.body).expect("JSON");
        assert_eq!(
            (&body["status"], &body["errorType"]),
            (&json!("error"), &json!("bad_data"))
        );
        assert!(
            body["error"].as_str().expect("text").starts_with(error),
            "{body}"
        );
    }
}

#[tokio::test]
async fn nobody_is_asked_for_a_page() {
    let web = exporter();
    let metrics = Arc::clone(&web.metrics);
    let server = Server::start(
        web.router().expect("the flags fit"),
        ServeOptions::default(),
    )
    .await;
    select(&server, "").await;
    assert!(
        !metrics
            .gather_text()
            .contains("mqtt_presence_api_requests_total")
    );
}
