//! `/sd`: the fleet as targets of `/probe`. That Prometheus understands them is shown by
//! `tests/stack`.

use std::sync::Arc;

use mqtt_presence_exporter::net::ServeOptions;
use mqtt_presence_exporter::presence::InstanceState;
use mqtt_presence_exporter::web::WebOptions;
use serde_json::{Value, json};
use tokio::sync::watch;

use crate::support::fleet::{Known, instance, web};
use crate::support::http::{Answer, Server};
use crate::support::source::Gated;

async fn server(instances: Vec<Arc<InstanceState>>, options: WebOptions) -> Server {
    let (_, gate) = watch::channel(false);
    let web = web(instances, &(Arc::new(Gated(gate)) as _), "", options);
    Server::start(
        web.router().expect("the flags fit"),
        ServeOptions::default(),
    )
    .await
}

fn two_instances() -> Vec<Arc<InstanceState>> {
    let pumps: [Known<'_>; 2] = [
        ("GID_pumps@@@\"1\"", &[("site", "hz")], None),
        ("GID_gates@@@1", &[("site", "sh")], Some((true, 1))),
    ];
    vec![
        instance("post-cn-1", &pumps),
        instance("post-cn-2", &[("GID_gates@@@1", &[], None)]),
    ]
}

fn targets(answer: &Answer) -> Vec<Value> {
    assert_eq!(
        (answer.status, answer.header("content-type")),
        (200, Some("application/json")),
        "{answer:?}"
    );
    serde_json::from_slice(&answer.body).expect("JSON")
}

/// The `instance` labels of the targets.
fn instances(targets: &[Value]) -> Vec<&str> {
    targets
        .iter()
        .map(|target| target["labels"]["instance"].as_str().expect("text"))
        .collect()
}

#[tokio::test]
async fn a_target_needs_no_relabelling_and_has_what_relabelling_needs() {
    let server = server(two_instances(), WebOptions::default()).await;
    let targets = targets(&server.get("/sd").await);
    assert_eq!(
        targets[0],
        json!({
            "targets": ["exporter"],
            "labels": {
                "instance": "post-cn-1/GID_pumps@@@\"1\"",
                "__metrics_path__": "/probe",
                "__param_client_id": "GID_pumps@@@\"1\"",
                "__param_instance_id": "post-cn-1",
                "__meta_mqtt_presence_client_id": "GID_pumps@@@\"1\"",
                "__meta_mqtt_presence_group_id": "GID_pumps",
                "__meta_mqtt_presence_instance_id": "post-cn-1",
                "__meta_mqtt_presence_label_site": "hz",
            },
        })
    );
    let expected = [
        "post-cn-1/GID_pumps@@@\"1\"",
        "post-cn-1/GID_gates@@@1",
        "post-cn-2/GID_gates@@@1",
    ];
    assert_eq!(
        instances(&targets),
        expected,
        "one of a kind, though client IDs are not"
    );
}

#[tokio::test]
async fn the_external_url_is_the_address() {
    let address = async |external_url: &str, route_prefix: Option<&str>, path: &str| {
        let options = WebOptions {
            external_url: Some(external_url.into()),
            route_prefix: route_prefix.map(Into::into),
            ..WebOptions::default()
        };
        let mut target = targets(&server(two_instances(), options).await.get(path).await).remove(0);
        let mut label = |name: &str| target["labels"][name].take();
        (
            label("__scheme__"),
            label("__metrics_path__"),
            target["targets"][0].take(),
        )
    };
    let expected = (
        json!("https"),
        json!("/presence/probe"),
        json!("ops.example"),
    );
    assert_eq!(
        address("https://ops.example/presence/", None, "/presence/sd").await,
        expected
    );
    assert_eq!(
        address("https://ops.example/presence/", Some("/"), "/sd").await,
        expected
    );
    let expected = (json!("http"), json!("/probe"), json!("[::1]:8080"));
    assert_eq!(address("http://[::1]:8080", None, "/sd").await, expected);
    let expected = (Value::Null, json!("/presence/probe"), json!("exporter"));
    assert_eq!(
        address("/presence", None, "/presence/sd").await,
        expected,
        "a path alone says no host"
    );
}

#[tokio::test]
async fn filters_select_targets_and_a_slip_is_refused() {
    let server = server(two_instances(), WebOptions::default()).await;
    for (query, expected) in [
        ("instance_id=post-cn-2", vec!["post-cn-2/GID_gates@@@1"]),
        (
            "group_id=GID_gates",
            vec!["post-cn-1/GID_gates@@@1", "post-cn-2/GID_gates@@@1"],
        ),
        ("label=site=sh", vec!["post-cn-1/GID_gates@@@1"]),
        ("group_id=GID_gates&label=site=hz", vec![]),
        ("instance_id=post-cn-3", vec![]),
    ] {
        assert_eq!(
            instances(&targets(&server.get(&format!("/sd?{query}")).await)),
            expected,
            "{query}"
        );
    }
    for query in ["status=online", "group=GID_gates", "label=site"] {
        assert_eq!(
            server.get(&format!("/sd?{query}")).await.status,
            400,
            "{query}"
        );
    }
}

#[tokio::test]
async fn a_large_fleet_comes_in_pieces_that_make_one_list() {
    let names: Vec<_> = (0..10_000).map(|n| format!("GID_pumps@@@{n}")).collect();
    let clients: Vec<Known<'_>> = names
        .iter()
        .map(|name| (name.as_str(), &[] as &[_], None))
        .collect();
    let server = server(
        vec![
            instance("post-cn-1", &clients),
            instance("post-cn-2", &clients),
        ],
        WebOptions::default(),
    )
    .await;
    let all = targets(&server.get("/sd").await);
    let all_of = |id: &str| {
        names
            .iter()
            .map(move |name| format!("{id}/{name}"))
            .collect::<Vec<_>>()
    };
    assert_eq!(
        instances(&all),
        [all_of("post-cn-1"), all_of("post-cn-2")].concat()
    );
    // The one that is wanted stands behind more clients than are looked at in a row.
    let last = targets(&server.get("/sd?text=@9999&instance_id=post-cn-2").await);
    assert_eq!(instances(&last), ["post-cn-2/GID_pumps@@@9999"]);
    assert_eq!(server.get("/sd?text=nowhere").await.text(), "[\n]\n");
}
