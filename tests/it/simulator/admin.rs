//! The admin API and the announcement.

use std::time::Duration;

use clap::Parser;
use mqtt_presence_exporter::app::{SimulateArgs, simulate};
use mqtt_presence_exporter::clock::Clock;
use mqtt_presence_exporter::simulator::{Announcement, SimulatorOptions};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::caller::Stage;

async fn stage() -> Stage {
    Stage::new(SimulatorOptions::default()).await
}

#[tokio::test(start_paused = true)]
async fn faults_are_set_while_it_runs() {
    let stage = stage().await;
    let client = stage.clients()[0].clone();
    let set = stage
        .plain(
            "PUT",
            "/_simulator/faults",
            r#"{"latency": "20ms", "internal_error": 1}"#,
        )
        .await;
    assert_eq!(set.status, 200);
    assert_eq!(stage.single(&client).send().await.unwrap().status, 500);
    let shown = stage.plain("GET", "/_simulator/faults", "").await.json();
    assert_eq!(
        (&shown["latency"], &shown["internal_error"]),
        (&json!("20ms"), &json!(1.0))
    );

    let refused = stage
        .plain("PUT", "/_simulator/faults", r#"{"latecny": "20ms"}"#)
        .await;
    assert_eq!(refused.status, 400);
    assert!(refused.body.contains("latecny"), "{}", refused.body);
    assert_eq!(
        stage.single(&client).send().await.unwrap().status,
        500,
        "the old ones are still in force"
    );

    let cleared = stage.plain("PUT", "/_simulator/faults", "{}").await;
    assert_eq!(cleared.json()["latency"], "0s");
    assert_eq!(stage.single(&client).send().await.unwrap().status, 200);
}

#[tokio::test(start_paused = true)]
async fn the_services_that_give_credentials_are_shown_and_steered() {
    let stage = stage().await;
    let identity = stage.plain("GET", "/_simulator/identity", "").await.json();
    let uri = identity["credentials_uri"].as_str().unwrap().to_owned();
    let path = uri.strip_prefix(&stage.announcement.endpoint).unwrap();
    let given = stage.plain("GET", path, "").await.json();
    assert_eq!(given["Code"], "Success");
    assert!(
        given["AccessKeyId"]
            .as_str()
            .unwrap()
            .starts_with("STS.presence-reader.")
    );

    let set = stage
        .plain(
            "PUT",
            "/_simulator/credential-faults",
            r#"{"internal_error": 1}"#,
        )
        .await;
    assert_eq!(set.json()["internal_error"], 1.0);
    assert_eq!(stage.plain("GET", path, "").await.status, 500);
    let client = stage.clients()[0].clone();
    assert_eq!(
        stage.single(&client).send().await.unwrap().status,
        200,
        "the API has its own faults"
    );
    assert_eq!(
        stage.plain("GET", "/_simulator/faults", "").await.json()["internal_error"],
        0.0
    );
    assert_eq!(
        stage
            .plain("PUT", "/_simulator/credential-faults", "[]")
            .await
            .status,
        400
    );
    assert_eq!(
        stage
            .plain("PUT", "/_simulator/identity", "{}")
            .await
            .status,
        405
    );
}

#[tokio::test(start_paused = true)]
async fn clients_are_shown_and_steered() {
    let stage = stage().await;
    let client = stage.clients()[0].clone();
    let put = |online: Value| {
        let body = json!({"client_id": client, "online": online}).to_string();
        let stage = &stage;
        async move {
            stage
                .plain("PUT", "/_simulator/clients", &body)
                .await
                .status
        }
    };
    let shown = || async {
        let clients = stage.plain("GET", "/_simulator/clients", "").await.json();
        let clients = clients.as_array().unwrap().clone();
        assert_eq!(clients.len(), 300);
        clients
            .into_iter()
            .find(|entry| entry["client_id"] == client)
            .unwrap()
    };
    for online in [true, false] {
        assert_eq!(put(json!(online)).await, 204);
        assert_eq!(
            shown().await,
            json!({"client_id": client, "instance_id": stage.instance(), "online": online})
        );
        assert_eq!(stage.single(&client).send().await.unwrap().online(), online);
    }
    assert_eq!(put(Value::Null).await, 204);
    let scripted = stage.simulator.truth(
        stage.instance(),
        &client,
        stage.clock.now() + Duration::from_secs(1),
    );
    assert_eq!(shown().await["online"], scripted);
    let nobody = stage
        .plain(
            "PUT",
            "/_simulator/clients",
            r#"{"client_id": "nobody", "online": true}"#,
        )
        .await;
    assert_eq!(nobody.status, 404);
}

#[tokio::test(start_paused = true)]
async fn the_last_requests_are_kept_as_they_came() {
    let stage = stage().await;
    let client = stage.clients()[0].clone();
    stage.single(&client).v2().send().await.unwrap();
    for _ in 0..100 {
        stage.single(&client).send().await.unwrap();
    }
    let kept = stage.plain("GET", "/_simulator/requests", "").await.json();
    let kept = kept.as_array().unwrap();
    assert_eq!(kept.len(), 100);
    let last = kept.last().unwrap();
    assert_eq!(last["method"], "POST");
    assert!(
        last["target"]
            .as_str()
            .unwrap()
            .starts_with("/?ClientId=GID_pumps%40%40%40pump-0001&InstanceId=")
    );
    let header = |name: &str| {
        let headers = last["headers"].as_array().unwrap();
        headers
            .iter()
            .find(|pair| pair[0] == name)
            .map(|pair| pair[1].as_str().unwrap().to_owned())
    };
    assert_eq!(
        header("x-acs-action").as_deref(),
        Some("QuerySessionByClientId")
    );
    assert!(
        header("authorization")
            .unwrap()
            .starts_with("ACS3-HMAC-SHA256 Credential=simulator-key-")
    );
    assert!(
        kept[0]["headers"].to_string().contains("authorization"),
        "the first of all is gone"
    );
}

#[tokio::test(start_paused = true)]
async fn what_is_not_there_is_said_so() {
    let stage = stage().await;
    assert_eq!(
        stage.plain("GET", "/_simulator/weather", "").await.status,
        404
    );
    assert_eq!(
        stage.plain("DELETE", "/_simulator/faults", "").await.status,
        405
    );
}

#[derive(Parser)]
struct Command {
    #[command(flatten)]
    simulate: SimulateArgs,
}

/// What `simulate` prints, once it is ready, and nothing more until it ends.
async fn printed(flags: &[&str]) -> String {
    let args =
        Command::parse_from(std::iter::once("simulate").chain(flags.iter().copied())).simulate;
    let shutdown = CancellationToken::new();
    shutdown.cancel();
    let mut out = Vec::new();
    simulate(args, Clock::system(), shutdown, &mut out)
        .await
        .unwrap();
    String::from_utf8(out).unwrap()
}

#[tokio::test]
async fn simulate_prints_one_line_of_json() {
    let text = printed(&[
        "--clients=1000",
        "--seed=1",
        "--instances=3",
        "--fault.latency=20ms",
    ])
    .await;
    let line = text.strip_suffix('\n').unwrap();
    assert!(!line.contains('\n'));
    let announced: Value = serde_json::from_str(line).unwrap();
    let keys: Vec<&str> = announced
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    let expected = [
        "access_key_id",
        "access_key_secret",
        "clients",
        "endpoint",
        "instance_ids",
        "region",
    ];
    assert_eq!(keys, expected);
    let announced: Announcement = serde_json::from_str(line).unwrap();
    assert!(announced.endpoint.starts_with("http://127.0.0.1:"));
    assert_eq!(announced.instance_ids.len(), 3);
    assert_eq!(
        announced.clients.values().map(Vec::len).sum::<usize>(),
        1000
    );
    assert!(
        announced
            .instance_ids
            .iter()
            .all(|id| !announced.clients[id].is_empty())
    );
}

#[test]
fn flags_that_make_no_sense_are_refused() {
    for flag in [
        "--fault.hang=2",
        "--fault.latency=20",
        "--instances=0",
        "--fault.hangs=0.1",
    ] {
        assert!(
            Command::try_parse_from(["simulate", flag]).is_err(),
            "{flag}"
        );
    }
    let args = Command::parse_from([
        "simulate",
        "--fault.clock-skew=-1200",
        "--fault.poison=a",
        "--fault.poison=b",
    ]);
    assert_eq!(args.simulate.faults.clock_skew, -1200);
    assert_eq!(args.simulate.faults.poison, ["a", "b"]);
}
