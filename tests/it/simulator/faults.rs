//! Each fault, as its victim sees it.

use std::io;
use std::time::{Duration, SystemTime};

use mqtt_presence_exporter::aliyun::sign;
use mqtt_presence_exporter::simulator::{Faults, Probability, SimulatorOptions, Stats};
use tokio::time::{Instant, advance, sleep, timeout};

use super::caller::{Answer, Request, Stage};
use crate::support::SINGLE;

fn always() -> Probability {
    Probability::try_from(1.0).unwrap()
}

async fn stage(faults: Faults) -> Stage {
    Stage::new(SimulatorOptions {
        faults,
        ..SimulatorOptions::default()
    })
    .await
}

fn single(stage: &Stage) -> Request {
    stage.single(&stage.clients()[0])
}

/// The answer to one call under `faults`, and how the simulator counts it.
async fn under(faults: Faults) -> (io::Result<Answer>, Stats) {
    let stage = stage(faults).await;
    let answer = single(&stage).send().await;
    (answer, stage.simulator.stats())
}

#[tokio::test(start_paused = true)]
async fn refusals_have_their_status_and_code() {
    let none = Faults::default;
    for (faults, status, code) in [
        (
            Faults {
                internal_error: always(),
                ..none()
            },
            500,
            "InternalError",
        ),
        (
            Faults {
                internal_error_417: always(),
                ..none()
            },
            417,
            "InternalError",
        ),
        (
            Faults {
                throttling: always(),
                ..none()
            },
            400,
            "Throttling.User",
        ),
        (
            Faults {
                system_overflow: always(),
                ..none()
            },
            403,
            "SystemOverFlow",
        ),
        (
            Faults {
                service_unavailable: always(),
                ..none()
            },
            503,
            "ServiceUnavailable",
        ),
    ] {
        let (answer, stats) = under(faults).await;
        let answer = answer.unwrap();
        assert_eq!(answer.error(), (status, code.to_owned()));
        assert!(!answer.headers.contains_key("x-acs-retry-after"));
        assert_eq!(stats.answers[code], 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_throttle_may_say_for_how_long() {
    let pause = Some(Duration::from_millis(1500).into());
    let (answer, _) = under(Faults {
        throttling: always(),
        retry_after: pause,
        ..Faults::default()
    })
    .await;
    assert_eq!(answer.unwrap().headers["x-acs-retry-after"], "1500");
}

#[tokio::test(start_paused = true)]
async fn a_fault_hides_no_mistake() {
    let stage = stage(Faults {
        internal_error: always(),
        ..Faults::default()
    })
    .await;
    let request = Request {
        secret: "wrong".to_owned(),
        ..single(&stage)
    };
    assert_eq!(
        request.send().await.unwrap().error(),
        (400, "SignatureDoesNotMatch".to_owned())
    );
}

#[tokio::test(start_paused = true)]
async fn answers_that_cannot_be_read() {
    let (answer, stats) = under(Faults {
        bad_gateway: always(),
        ..Faults::default()
    })
    .await;
    let answer = answer.unwrap();
    assert_eq!(
        (answer.status, answer.headers["content-type"].as_str()),
        (502, "text/html")
    );
    assert!(answer.body.starts_with("<html>"));
    assert_eq!(stats.answers["bad_gateway"], 1);

    let (answer, stats) = under(Faults {
        undecodable: always(),
        ..Faults::default()
    })
    .await;
    let answer = answer.unwrap();
    assert_eq!(answer.status, 200);
    assert!(serde_json::from_str::<serde_json::Value>(&answer.body).is_err());
    assert_eq!(stats.answers["undecodable"], 1);

    let (answer, stats) = under(Faults {
        truncated: always(),
        ..Faults::default()
    })
    .await;
    let answer = answer.unwrap();
    assert_eq!(answer.status, 200);
    let promised: usize = answer.headers["content-length"].parse().unwrap();
    assert!(!answer.body.is_empty());
    assert_eq!(answer.body.len(), promised / 2);
    assert_eq!(stats.answers["truncated"], 1);
}

#[tokio::test(start_paused = true)]
async fn a_reset_comes_before_any_byte() {
    let (answer, stats) = under(Faults {
        reset: always(),
        ..Faults::default()
    })
    .await;
    assert_eq!(answer.unwrap_err().kind(), io::ErrorKind::ConnectionReset);
    assert_eq!(stats.answers["reset"], 1);
}

#[tokio::test(start_paused = true)]
async fn a_hang_lasts() {
    let stage = stage(Faults {
        hang: always(),
        ..Faults::default()
    })
    .await;
    assert!(
        timeout(Duration::from_secs(20), single(&stage).send())
            .await
            .is_err()
    );
    assert_eq!(stage.simulator.stats().answers["hang"], 1);
}

#[tokio::test(start_paused = true)]
async fn an_answer_takes_its_latency() {
    let faults = Faults {
        latency: Duration::from_secs(2).into(),
        latency_jitter: Duration::from_secs(1).into(),
        ..Faults::default()
    };
    let stage = stage(faults).await;
    let mut took = Vec::new();
    for _ in 0..5 {
        let before = Instant::now();
        assert_eq!(single(&stage).send().await.unwrap().status, 200);
        took.push(before.elapsed());
    }
    let bounds = Duration::from_secs(2)..Duration::from_millis(3100);
    assert!(took.iter().all(|took| bounds.contains(took)), "{took:?}");
    let spread = took.iter().max().unwrap().as_millis() - took.iter().min().unwrap().as_millis();
    assert!(spread > 100, "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn a_skewed_server_refuses_timestamps_and_shows_its_time() {
    for seconds in [3600, -3600] {
        let stage = stage(Faults {
            clock_skew: seconds,
            ..Faults::default()
        })
        .await;
        let refused = single(&stage).send().await.unwrap();
        assert_eq!(
            refused.error(),
            (400, "InvalidTimeStamp.Expired".to_owned())
        );
        let date: SystemTime = httpdate::parse_http_date(&refused.headers["date"]).unwrap();
        let ours = i64::try_from(stage.clock.now().as_millis() / 1000).unwrap();
        let theirs = date
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap()
            .as_secs();
        assert!((i64::try_from(theirs).unwrap() - ours - seconds).abs() <= 1);
        let corrected = single(&stage).common("Timestamp", &sign::format_date(date.into()));
        assert_eq!(corrected.send().await.unwrap().status, 200);
    }
}

#[tokio::test(start_paused = true)]
async fn settings_beyond_all_reason_break_nothing() {
    for seconds in [i64::MAX, i64::MIN] {
        let (answer, _) = under(Faults {
            clock_skew: seconds,
            ..Faults::default()
        })
        .await;
        assert_eq!(
            answer.unwrap().error(),
            (400, "InvalidTimeStamp.Expired".to_owned())
        );
    }
    let (answer, _) = under(Faults {
        stall: always(),
        stall_hold: Duration::MAX.into(),
        ..Faults::default()
    })
    .await;
    assert_eq!(
        answer.unwrap().status,
        200,
        "the end of the stall cannot be told"
    );
}

#[tokio::test(start_paused = true)]
async fn a_batch_may_be_stale_and_lack_clients() {
    let omission = Probability::try_from(0.3).unwrap();
    let faults = Faults {
        omission,
        batch_staleness: Duration::from_secs(60).into(),
        ..Faults::default()
    };
    let stage = stage(faults).await;
    let ten = &stage.clients()[..10];
    for client in ten {
        assert!(stage.simulator.set_online(client, false));
    }
    advance(Duration::from_secs(70)).await;
    for client in ten {
        assert!(stage.simulator.set_online(client, true));
    }
    let mut answered = 0;
    for _ in 0..10 {
        let clients = stage.batch(ten).send().await.unwrap().clients();
        assert!(
            clients.values().all(|online| !online),
            "the cache does not know yet"
        );
        answered += clients.len();
    }
    assert!((50..90).contains(&answered), "{answered}");
}

#[tokio::test(start_paused = true)]
async fn a_poisoned_client_spoils_its_batch() {
    let stage = Stage::new(SimulatorOptions::default()).await;
    let clients = stage.clients();
    stage.simulator.set_faults(Faults {
        poison: vec![clients[1].clone()],
        ..Faults::default()
    });
    let refused = (400, "ParameterCheckFailed".to_owned());
    assert_eq!(
        stage.single(&clients[1]).send().await.unwrap().error(),
        refused
    );
    assert_eq!(
        stage.batch(&clients[..3]).send().await.unwrap().error(),
        refused
    );
    assert_eq!(
        stage.batch(&clients[2..3]).send().await.unwrap().status,
        200
    );
}

/// Sends one call every 100 ms and looks how many arrive together.
async fn peak(faults: Faults) -> u64 {
    let stage = stage(faults).await;
    let mut calls = tokio::task::JoinSet::new();
    for _ in 0..40 {
        let request = single(&stage);
        calls.spawn(async move { request.send().await.unwrap().status });
        sleep(Duration::from_millis(100)).await;
    }
    assert!(calls.join_all().await.iter().all(|status| *status == 200));
    stage.simulator.stats().max_arrivals_per_second[SINGLE]
}

#[tokio::test(start_paused = true)]
async fn a_stall_bunches_what_arrives() {
    let even = peak(Faults::default()).await;
    assert!((9..=11).contains(&even), "{even}");
    let bunched = peak(Faults {
        stall: always(),
        stall_hold: Duration::from_secs(2).into(),
        ..Faults::default()
    })
    .await;
    assert!((19..=21).contains(&bunched), "{bunched}");
    let half = Probability::try_from(0.5).unwrap();
    let torn = peak(Faults {
        stall: half,
        stall_hold: Duration::from_millis(900).into(),
        ..Faults::default()
    })
    .await;
    assert!(
        torn > 12,
        "held and prompt calls meet in one second: {torn}"
    );
}
