//! Steps of the wall clock, answers that arrive late, and fetches of credentials that take long.

use std::fmt;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use mqtt_presence_exporter::clock::{Clock, Timestamp};
use mqtt_presence_exporter::config::{Collect, Quotas};
use mqtt_presence_exporter::presence::{
    ApiResponse, BatchEntry, BoxFuture, CallError, ErrorClass, FleetBuilder, InstanceId,
    InstanceState, PresenceSource, Status,
};
use mqtt_presence_exporter::random::Random;
use mqtt_presence_exporter::simulator::Faults;
use mqtt_presence_exporter::sweep::{Limiter, SweepConfig, SweepDeps, Sweeps};
use mqtt_presence_exporter::telemetry::Metrics;
use tokio::time::{Instant, sleep};

use crate::support::exposition::Scrape;
use crate::support::rig::Rig;
use crate::support::source::{Said, failure};

const HOUR: i64 = 3_600_000;
const MILLISECOND: Duration = Duration::from_millis(1);

/// Devices that are offline or unknown, by the exposition.
fn not_online(scrape: &Scrape) -> [Option<f64>; 2] {
    ["offline", "unknown"].map(|status| {
        let clients = scrape.sum("mqtt_presence_clients", &[("status", status)]);
        Some(clients)
    })
}

fn since(scrape: &Scrape, client: &str) -> f64 {
    let name = "mqtt_presence_client_status_since_timestamp_seconds";
    let since = scrape.value(name, &[("client_id", client)]);
    since.expect("a status")
}

/// The devices change after each step of the wall clock of the exporter, and are seen to.
async fn statuses_follow_devices_across(steps: &[i64], collect: &str) {
    let rig = Rig::new(5, Faults::default()).await;
    let clients: Vec<_> = rig.clients().cloned().collect();
    let set = |online: bool| {
        for client in &clients[1..] {
            assert!(rig.simulator.set_online(client, online));
        }
    };
    assert!(rig.simulator.set_online(&clients[0], true));
    set(true);
    let clock = Clock::manual(rig.clock.now());
    let exporter = rig.start_at(&clock, &rig.configuration(collect, "")).await;
    sleep(Duration::from_secs(12)).await;
    let mut before = exporter.scrape().await;
    assert_eq!(not_online(&before), [Some(0.0), Some(0.0)]);
    let mut online = true;
    for step in steps {
        clock.step_millis(*step);
        sleep(1100 * MILLISECOND).await;
        let scrape = exporter.scrape().await;
        let [_, unknown] = not_online(&scrape);
        assert_eq!(unknown, Some(0.0), "nothing ages by a step of {step} ms");
        let moved = since(&scrape, &clients[0]) - since(&before, &clients[0]);
        assert_eq!(Some((moved * 1000.0).round()), Some(*step as f64));

        online = !online;
        set(online);
        sleep(Duration::from_secs(12)).await;
        let scrape = exporter.scrape().await;
        let offline = if online { 0.0 } else { 4.0 };
        assert_eq!(
            not_online(&scrape),
            [Some(offline), Some(0.0)],
            "after {step} ms"
        );
        assert_eq!(
            scrape.value("mqtt_presence_sweep_coverage_ratio", &[]),
            Some(1.0)
        );
        let now = clock.now().as_seconds();
        let ages = scrape
            .series("mqtt_presence_client_last_observation_timestamp_seconds")
            .into_iter()
            .chain(scrape.series("mqtt_presence_sweep_last_end_timestamp_seconds"))
            .map(|sample| now - sample.value);
        let ages: Vec<_> = ages.collect();
        assert!(
            ages.len() == 6 && ages.iter().all(|age| (-0.1..12.5).contains(age)),
            "{ages:?}"
        );
        before = scrape;
    }
    exporter.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_wall_clock_that_is_set_changes_no_status() {
    let steps = [-120_000, -8 * HOUR, 8 * HOUR, 600_000];
    statuses_follow_devices_across(&steps, "collect: {max_age: 5s}").await;
}

#[tokio::test(start_paused = true)]
async fn a_jump_of_the_wall_clock_starts_a_sweep() {
    let rig = Rig::new(20, Faults::default()).await;
    let clock = Clock::manual(rig.clock.now());
    let configuration = rig.configuration("collect: {mode: poll, interval: 10m}", "");
    let exporter = rig.start_at(&clock, &configuration).await;
    sleep(Duration::from_secs(700)).await;
    let calls = || rig.simulator.stats().arrivals["QuerySessionByClientId"];
    let before = calls();
    clock.step_millis(4000);
    sleep(Duration::from_secs(5)).await;
    assert!(
        calls() - before <= 1,
        "no sweep but the one that is spread: {}",
        calls() - before
    );
    // The first one ends the sweep in flight, the second one finds none.
    for step in [600_000, -600_000] {
        let before = calls();
        clock.step_millis(step);
        sleep(Duration::from_secs(3)).await;
        let calls = calls() - before;
        assert!((20..=21).contains(&calls), "{calls} calls after {step} ms");
    }
    exporter.stop().await;
}

/// Says of a client, at its n-th query, what a function says: after how long, and what.
struct Delayed<F> {
    calls: AtomicUsize,
    answer: F,
    refresh: Duration,
}

impl<F> fmt::Debug for Delayed<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Delayed")
    }
}

impl<F: Fn(&str, usize) -> (Duration, Said) + Send + Sync> PresenceSource for Delayed<F> {
    fn query<'a>(&'a self, client: &'a str) -> BoxFuture<'a, Result<ApiResponse<bool>, CallError>> {
        let (after, said) = (self.answer)(client, self.calls.fetch_add(1, Ordering::Relaxed));
        Box::pin(async move {
            let sent = Instant::now();
            sleep(after).await;
            Ok(ApiResponse {
                value: said.map_err(|error| *error)?,
                sent,
                request_id: None,
            })
        })
    }

    fn query_batch<'a>(
        &'a self,
        _clients: &'a [&'a str],
    ) -> BoxFuture<'a, Result<ApiResponse<Vec<BatchEntry>>, CallError>> {
        panic!("no batches here")
    }

    fn refresh_credentials(&self) -> BoxFuture<'_, bool> {
        Box::pin(async {
            sleep(self.refresh).await;
            true
        })
    }

    fn clock_offset_millis(&self) -> i64 {
        0
    }
}

/// Sweeps of `clients`, which query `source`.
fn sweeps(clients: &[&str], source: Arc<dyn PresenceSource>) -> (Sweeps, Arc<InstanceState>) {
    let mut fleet = FleetBuilder::new(InstanceId::new("post-cn-1").expect("an ID"));
    for client in clients {
        fleet.push(client, []).expect("each once");
    }
    let state = Arc::new(InstanceState::new(fleet.build(), Duration::from_secs(300)));
    let subject = SweepConfig {
        state: Arc::clone(&state),
        source,
        account: None,
        place: "http://127.0.0.1".to_owned(),
        calls_per_second: 100,
    };
    let collect = Collect {
        max_age: Duration::from_millis(100),
        ..Collect::default()
    };
    let deps = SweepDeps {
        limiter: Arc::new(Limiter::new(Quotas::query(), &Random::new(|| 0))),
        metrics: Arc::new(Metrics::new(Duration::from_secs(5))),
        clock: Clock::manual(Timestamp::from_millis(1_700_000_000_000)),
        random: Random::new(|| 0),
    };
    (Sweeps::new(vec![subject], &collect, deps), state)
}

#[tokio::test(start_paused = true)]
async fn a_late_answer_of_a_sweep_does_not_undo_that_of_a_probe() {
    // The call of the second sweep meets a device that is offline, and its answer takes 3 s; the
    // device is online again when the probe comes, and stays so.
    let source = Arc::new(Delayed {
        calls: AtomicUsize::new(0),
        answer: |_: &str, call: usize| match call {
            1 => (3010 * MILLISECOND, Ok(false)),
            _ => (MILLISECOND, Ok(true)),
        },
        refresh: Duration::ZERO,
    });
    let (sweeps, state) = sweeps(&["a"], Arc::clone(&source) as Arc<dyn PresenceSource>);
    sweeps.start();
    sleep(Duration::from_secs(5)).await;
    let soon = Instant::now() + 5 * MILLISECOND;
    assert_eq!(
        sweeps.scrape(soon).await.instances[0].status(0),
        Status::Online
    );
    sleep(410 * MILLISECOND).await;
    let prober = sweeps.prober(None).expect("an instance");
    let deadline = Instant::now() + Duration::from_secs(2);
    let seen = prober.probe("a", deadline).await.expect("an answer");
    assert!(seen.online);
    for _ in 0..60 {
        sleep(100 * MILLISECOND).await;
        let snapshot = sweeps.snapshot();
        assert_eq!(snapshot.instances[0].status(0), Status::Online);
        assert_eq!(snapshot.instances[0].groups()[0].disconnects, 0);
    }
    // Two sweeps, a probe, and one more call to find out which answer is the newer one.
    assert_eq!(source.calls.load(Ordering::Relaxed), 4);
    assert_eq!(state.stats().sweeps, [2, 0, 0]);
    sweeps.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_probe_that_a_call_in_flight_contradicts_queries_once_more() {
    // The device goes offline at once after the sweep's call met it, whose answer arrives first.
    let source = Arc::new(Delayed {
        calls: AtomicUsize::new(0),
        answer: |_: &str, call: usize| match call {
            0 => (500 * MILLISECOND, Ok(true)),
            1 => (600 * MILLISECOND, Ok(false)),
            _ => (MILLISECOND, Ok(false)),
        },
        refresh: Duration::ZERO,
    });
    let (sweeps, state) = sweeps(&["a"], Arc::clone(&source) as Arc<dyn PresenceSource>);
    sweeps.start();
    while source.calls.load(Ordering::Relaxed) == 0 {
        sleep(MILLISECOND).await;
    }
    let prober = sweeps.prober(None).expect("an instance");
    let mut results = Vec::new();
    let mut completed = |result| {
        results.push(result);
        ControlFlow::Continue(())
    };
    let queried = prober.query_each(["a".into()], &mut completed).await;
    queried.expect("the breaker is closed");
    assert_eq!(results.len(), 1, "{results:?}");
    assert!(!results[0].result.as_ref().expect("an answer").online);
    assert_eq!(source.calls.load(Ordering::Relaxed), 3);
    let snapshot = sweeps.snapshot();
    assert_eq!(snapshot.instances[0].status(0), Status::Offline);
    assert_eq!(state.stats().sweeps, [1, 0, 0]);
    sweeps.stop().await;
}

#[tokio::test(start_paused = true)]
async fn answers_are_published_while_credentials_are_fetched() {
    let source = Arc::new(Delayed {
        calls: AtomicUsize::new(0),
        answer: |client: &str, call: usize| match (client, call) {
            ("a", 0..2) => {
                let refused = failure(ErrorClass::Credentials, "InvalidAccessKeyId.NotFound");
                (
                    200 * MILLISECOND,
                    if call == 0 { Ok(true) } else { Err(refused) },
                )
            }
            ("a", _) => (MILLISECOND, Ok(true)),
            _ => (500 * MILLISECOND, Ok(true)),
        },
        refresh: Duration::from_secs(20),
    });
    let (sweeps, state) = sweeps(
        &["a", "b", "c"],
        Arc::clone(&source) as Arc<dyn PresenceSource>,
    );
    let prober = sweeps.prober(None).expect("an instance");
    // Credentials that were accepted, so that the next query makes all calls at once.
    let mut ignored = |_| ControlFlow::Continue(());
    let queried = prober.query_each(["a".into()], &mut ignored).await;
    queried.expect("the breaker is closed");
    let started = Instant::now();
    let mut results = Vec::new();
    let mut completed = |result| {
        results.push((result, started.elapsed()));
        ControlFlow::Continue(())
    };
    let clients = ["a", "b", "c"].map(Into::into);
    let queried = prober.query_each(clients, &mut completed).await;
    queried.expect("the breaker is closed");
    let order: Vec<_> = results.iter().map(|(result, _)| &*result.client).collect();
    assert_eq!(order, ["b", "c", "a"]);
    let took: Vec<_> = results.iter().map(|(_, took)| took.as_secs()).collect();
    assert!(
        took[..2] == [0, 0] && (20..22).contains(&took[2]),
        "{took:?}"
    );
    assert!(results.iter().all(|(result, _)| result.result.is_ok()));
    assert_eq!(state.fleet().len(), 3);
    sweeps.stop().await;
}
