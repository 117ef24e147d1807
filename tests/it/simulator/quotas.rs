//! What happens to those who call too often.

use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use futures_util::{StreamExt as _, stream};
use mqtt_presence_exporter::presence::Operation;
use mqtt_presence_exporter::simulator::{Faults, Probability, SimulatorOptions};
use tokio::io::AsyncReadExt as _;
use tokio::io::AsyncWriteExt as _;
use tokio::time::{advance, sleep};

use super::caller::{Request, Stage, connect};

fn host(number: u8) -> IpAddr {
    Ipv4Addr::new(127, 0, 0, number).into()
}

fn call(stage: &Stage, operation: Operation, from: IpAddr) -> Request {
    let clients = stage.clients();
    let request = match operation {
        Operation::Single => stage.single(&clients[0]),
        Operation::Batch => stage.batch(&clients[..2]),
    };
    Request { from, ..request }
}

/// What `count` calls come to that are made as fast as the socket's backlog allows.
async fn volley(
    stage: &Stage,
    operation: Operation,
    from: IpAddr,
    count: usize,
) -> Vec<io::Result<u16>> {
    let calls = (0..count).map(|_| async {
        call(stage, operation, from)
            .send()
            .await
            .map(|answer| answer.status)
    });
    stream::iter(calls).buffer_unordered(50).collect().await
}

fn is_reset(result: &io::Result<u16>) -> bool {
    result
        .as_ref()
        .is_err_and(|error| error.kind() == io::ErrorKind::ConnectionReset)
}

#[tokio::test(start_paused = true)]
async fn an_address_that_calls_too_often_is_reset_for_a_while() {
    let stage = Stage::new(SimulatorOptions {
        block_for: Duration::from_secs(20),
        ..SimulatorOptions::default()
    })
    .await;
    let calls = volley(&stage, Operation::Single, host(1), 300).await;
    assert!(calls.iter().all(|call| matches!(call, Ok(200))));
    assert_eq!(stage.simulator.stats().blocks, 0);

    let one_more = call(&stage, Operation::Single, host(1)).send().await;
    assert!(is_reset(&one_more.map(|answer| answer.status)));
    let other_operation = call(&stage, Operation::Batch, host(1)).send().await;
    assert!(is_reset(&other_operation.map(|answer| answer.status)));
    assert_eq!(
        call(&stage, Operation::Single, host(2))
            .send()
            .await
            .unwrap()
            .status,
        200
    );
    let stats: serde_json::Value = stage.plain("GET", "/_simulator/stats", "").await.json();
    assert_eq!(
        stats["blocks"], 1,
        "the admin API answers a blocked address"
    );
    assert_eq!(stats["answers"]["blocked"], 2);
    assert_eq!(stats["arrivals"]["QuerySessionByClientId"], 302);
    assert_eq!(
        stats["max_arrivals_per_second"]["QuerySessionByClientId"],
        302
    );

    sleep(Duration::from_secs(20)).await;
    assert_eq!(
        call(&stage, Operation::Single, host(1))
            .send()
            .await
            .unwrap()
            .status,
        200
    );
    assert!((stage.simulator.stats().blocked_seconds - 20.0).abs() < f64::EPSILON);
}

#[tokio::test(start_paused = true)]
async fn a_block_cuts_calls_in_flight() {
    let stage = Stage::new(SimulatorOptions::default()).await;
    volley(&stage, Operation::Single, host(1), 290).await;
    stage.simulator.set_faults(Faults {
        latency: Duration::from_secs(3).into(),
        ..Faults::default()
    });
    let calls = volley(&stage, Operation::Single, host(1), 11).await;
    assert!(calls.iter().all(is_reset));
    assert_eq!(stage.simulator.stats().answers["blocked"], 11);
}

#[tokio::test(start_paused = true)]
async fn an_account_is_throttled_past_its_quota() {
    let stage = Stage::new(SimulatorOptions::default()).await;
    let calls = volley(&stage, Operation::Batch, host(1), 150).await;
    let passed = calls.iter().filter(|call| matches!(call, Ok(200))).count();
    assert_eq!(passed, 100);
    assert_eq!(stage.simulator.stats().answers["Throttling.User"], 50);

    for number in [1, 2] {
        volley(&stage, Operation::Single, host(number), 290).await;
    }
    let stats = stage.simulator.stats();
    assert_eq!(stats.answers["Throttling.User"], 50 + 80);
    assert_eq!(stats.blocks, 0);
    advance(Duration::from_secs(1)).await;
    assert_eq!(
        call(&stage, Operation::Single, host(1))
            .send()
            .await
            .unwrap()
            .status,
        200
    );
}

#[tokio::test(start_paused = true)]
async fn without_quotas_everybody_is_answered() {
    let stage = Stage::new(SimulatorOptions {
        quotas: false,
        ..SimulatorOptions::default()
    })
    .await;
    let calls = volley(&stage, Operation::Batch, host(1), 400).await;
    assert!(calls.iter().all(|call| matches!(call, Ok(200))));
}

#[tokio::test(start_paused = true)]
async fn an_idle_connection_is_closed_after_25_seconds() {
    let stage = Stage::new(SimulatorOptions::default()).await;
    let mut stream = connect(host(1), stage.address()).await.unwrap();
    for _ in 0..2 {
        stream
            .write_all(
                call(&stage, Operation::Single, host(1))
                    .text("keep-alive")
                    .as_bytes(),
            )
            .await
            .unwrap();
        let mut buffer = [0; 4096];
        let length = stream.read(&mut buffer).await.unwrap();
        let answer = String::from_utf8_lossy(&buffer[..length]);
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        assert!(answer.contains("keep-alive: timeout=25"), "{answer}");
        sleep(Duration::from_secs(24)).await;
    }
    let before = tokio::time::Instant::now();
    assert_eq!(stream.read(&mut [0; 1]).await.unwrap(), 0);
    assert!(before.elapsed() < Duration::from_secs(2));
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_ends_every_connection() {
    let faults = Faults {
        hang: Probability::try_from(1.0).unwrap(),
        ..Faults::default()
    };
    let stage = Stage::new(SimulatorOptions {
        faults,
        ..SimulatorOptions::default()
    })
    .await;
    let mut idle = connect(host(1), stage.address()).await.unwrap();
    let hanging = tokio::spawn({
        let request = call(&stage, Operation::Single, host(1));
        async move { request.send().await }
    });
    while !stage.simulator.stats().answers.contains_key("hang") {
        sleep(Duration::from_millis(1)).await;
    }
    stage.shutdown.cancel();
    stage.simulator.stopped().await;
    assert!(hanging.await.unwrap().is_err());
    assert_eq!(idle.read(&mut [0; 1]).await.unwrap(), 0);
    assert!(connect(host(1), stage.address()).await.is_err());
}
