//! The two operations.

use std::collections::BTreeSet;
use std::time::Duration;

use mqtt_presence_exporter::clock::Timestamp;
use mqtt_presence_exporter::presence::{ClientId, InstanceId};
use mqtt_presence_exporter::simulator::{SimulatedFleet, SimulatorOptions};
use tokio::time::{advance, sleep};

use super::caller::Stage;

async fn stage() -> Stage {
    Stage::new(SimulatorOptions::default()).await
}

#[tokio::test(start_paused = true)]
async fn a_single_call_says_what_is_true_now() {
    let stage = stage().await;
    let mut seen = [0, 0];
    for client in stage.clients() {
        let online = stage.single(client).send().await.unwrap().online();
        assert_eq!(
            online,
            stage
                .simulator
                .truth(stage.instance(), client, stage.clock.now())
        );
        seen[usize::from(online)] += 1;
        sleep(Duration::from_millis(20)).await;
    }
    assert!(seen[0] > 0 && seen[1] > seen[0], "{seen:?}");
    let client = &stage.clients()[0];
    for online in [true, false, true] {
        assert!(stage.simulator.set_online(client, online));
        assert_eq!(stage.single(client).send().await.unwrap().online(), online);
    }
}

#[tokio::test(start_paused = true)]
async fn who_is_not_there_is_offline_and_an_instance_that_is_not_is_refused() {
    let stage = stage().await;
    let client = &stage.clients()[0];
    assert!(stage.simulator.set_online(client, true));
    assert!(!stage.simulator.set_online("GID_test@@@nobody", true));
    assert!(
        !stage
            .single("GID_test@@@nobody")
            .send()
            .await
            .unwrap()
            .online()
    );
    let elsewhere = stage
        .single(client)
        .param("InstanceId", &stage.announcement.instance_ids[1]);
    assert!(!elsewhere.send().await.unwrap().online());
    let foreign = stage.single(client).param("InstanceId", "post-cn-foreign");
    assert_eq!(
        foreign.send().await.unwrap().error(),
        (400, "InstancePermissionCheckFailed".to_owned())
    );
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_a_client_id_is_refused() {
    let stage = stage().await;
    let refused = (400, "ParameterCheckFailed".to_owned());
    for client in ["GID_test@@@a b".to_owned(), "x".repeat(65)] {
        assert_eq!(stage.single(&client).send().await.unwrap().error(), refused);
        let batch = [stage.clients()[0].clone(), client];
        assert_eq!(stage.batch(&batch).send().await.unwrap().error(), refused);
    }
    for client in ["GID_test@0001", "plain", "GID_test@@@pümp*+~%"] {
        assert!(!stage.single(client).send().await.unwrap().online());
    }
}

#[tokio::test(start_paused = true)]
async fn a_batch_answers_for_ten_clients_in_any_order() {
    let stage = stage().await;
    let ten = &stage.clients()[..10];
    let answer = stage.batch(ten).send().await.unwrap();
    assert!(
        answer
            .clients()
            .keys()
            .eq(ten.iter().collect::<BTreeSet<_>>())
    );
    let in_order: Vec<&str> = ten.iter().map(String::as_str).collect();
    let as_answered = answer.json()["OnlineStatusList"].clone();
    let as_answered: Vec<&str> = as_answered
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| entry["ClientId"].as_str().unwrap())
        .collect();
    assert_ne!(as_answered, in_order);
    let eleven = stage.batch(&stage.clients()[..11]).send().await.unwrap();
    assert_eq!(eleven.error(), (400, "ParameterCheckFailed".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn a_batch_reads_a_cache_that_lags() {
    let options = SimulatorOptions {
        cache_refresh: Duration::from_secs(10),
        ..SimulatorOptions::default()
    };
    let stage = Stage::new(options).await;
    let client = &stage.clients()[..1];
    let refill = |now: Timestamp| now.as_millis() / 10_000;
    stage.simulator.set_online(&client[0], false);
    // Into the middle between two refills.
    advance(Duration::from_millis(
        25_000 - stage.clock.now().as_millis() % 10_000,
    ))
    .await;
    stage.simulator.set_online(&client[0], true);
    let imposed = stage.clock.now();

    let cached = stage.batch(client).send().await.unwrap().clients();
    let live = stage.single(&client[0]).send().await.unwrap();
    assert_eq!(refill(stage.clock.now()), refill(imposed));
    assert_eq!((cached[&client[0]], live.online()), (false, true));
    advance(Duration::from_secs(10)).await;
    assert!(stage.batch(client).send().await.unwrap().clients()[&client[0]]);
}

#[tokio::test(start_paused = true)]
async fn xml_is_spoken_where_it_is_asked_for() {
    let stage = stage().await;
    let client = &stage.clients()[0];
    stage.simulator.set_online(client, true);
    let request = stage.single(client).v2().common("Format", "XML");
    let answer = request.send().await.unwrap();
    assert_eq!(answer.headers["content-type"], "text/xml;charset=utf-8");
    assert!(
        answer
            .body
            .contains("<QuerySessionByClientIdResponse><RequestId>"),
        "{}",
        answer.body
    );
    assert!(
        answer.body.contains("<OnlineStatus>true</OnlineStatus>"),
        "{}",
        answer.body
    );
    let answer = request.send().await.unwrap();
    assert_eq!(answer.status, 400);
    assert!(
        answer.body.contains("<Error><RequestId>"),
        "{}",
        answer.body
    );
    assert!(
        answer.body.contains("<Code>SignatureNonceUsed</Code>"),
        "{}",
        answer.body
    );
}

#[tokio::test(start_paused = true)]
async fn a_list_of_ones_own_can_be_served() {
    let instance = InstanceId::new("mqtt-cn-mine").unwrap();
    let clients = ["GID_mine@@@1", "odd one"].map(|id| ClientId::new(id).unwrap());
    let fleet = SimulatedFleet::new(vec![(instance, clients.to_vec())]).unwrap();
    let stage = Stage::new(SimulatorOptions {
        fleet,
        ..SimulatorOptions::default()
    })
    .await;
    assert_eq!(stage.clients(), ["GID_mine@@@1", "odd one"]);
    stage.simulator.set_online("GID_mine@@@1", true);
    assert!(stage.single("GID_mine@@@1").send().await.unwrap().online());
}

#[tokio::test(start_paused = true)]
async fn the_same_seed_gives_the_same_world() {
    let first = stage().await;
    let second = stage().await;
    let other = Stage::new(SimulatorOptions {
        seed: 2,
        ..SimulatorOptions::default()
    })
    .await;
    let statuses = |stage: &Stage| -> Vec<bool> {
        let at = Timestamp::from_millis(1_700_000_123_000);
        stage
            .clients()
            .iter()
            .map(|client| stage.simulator.truth(stage.instance(), client, at))
            .collect()
    };
    assert_eq!(statuses(&first), statuses(&second));
    assert_ne!(statuses(&first), statuses(&other));
    assert_eq!(
        first.announcement.access_key_id,
        second.announcement.access_key_id
    );
    assert_ne!(
        first.announcement.access_key_id,
        other.announcement.access_key_id
    );
}
