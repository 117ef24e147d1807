//! A million clients: what they take on the heap, and that nothing which grows with them is taken
//! for a sweep, or for a scrape except its snapshot. A binary of its own with one test, since
//! it counts every byte of the process.

use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use mqtt_presence_exporter::aliyun::RULES;
use mqtt_presence_exporter::clock::{Clock, Moment, Timestamp};
use mqtt_presence_exporter::config::{Collect, Config, Query, Quotas};
use mqtt_presence_exporter::exposition::ScrapeText;
use mqtt_presence_exporter::presence::{
    ApiResponse, BatchEntry, BoxFuture, CallError, Fleet, FleetBuilder, InstanceId, InstanceState,
    LabelName, PresenceSource, Shard, Snapshot, SweepResult,
};
use mqtt_presence_exporter::random::Random;
use mqtt_presence_exporter::sweep::{Limiter, SweepConfig, SweepDeps, Sweeps};
use mqtt_presence_exporter::telemetry::Metrics;
use peak_alloc::PeakAlloc;
use tokio::time::Instant;

#[global_allocator]
static HEAP: PeakAlloc = PeakAlloc;

const CLIENTS: usize = 1_000_000;
const MIB: usize = 1 << 20;

/// Says that every client is online.
#[derive(Debug)]
struct AllOnline;

impl PresenceSource for AllOnline {
    fn query<'a>(
        &'a self,
        _client: &'a str,
    ) -> BoxFuture<'a, Result<ApiResponse<bool>, CallError>> {
        Box::pin(async {
            Ok(ApiResponse {
                value: true,
                sent: Instant::now(),
                request_id: None,
            })
        })
    }

    fn query_batch<'a>(
        &'a self,
        clients: &'a [&'a str],
    ) -> BoxFuture<'a, Result<ApiResponse<Vec<BatchEntry>>, CallError>> {
        let entry = |client: &&str| BatchEntry {
            client: (*client).to_owned(),
            online: true,
        };
        Box::pin(async move {
            Ok(ApiResponse {
                value: clients.iter().map(entry).collect(),
                sent: Instant::now(),
                request_id: None,
            })
        })
    }

    fn refresh_credentials(&self) -> BoxFuture<'_, bool> {
        Box::pin(async { false })
    }

    fn clock_offset_millis(&self) -> i64 {
        0
    }
}

/// All clients but the first `without`, and as many others.
fn fleet(without: usize) -> Fleet {
    let mut fleet = FleetBuilder::new(InstanceId::new("post-cn-1").expect("an ID"));
    let (site, mut id) = (LabelName::new("site").expect("a name"), String::new());
    for n in without..without + CLIENTS {
        id.clear();
        write!(id, "GID_group{:03}@@@device-{n:07}", n % 1000).expect("a String");
        fleet.push(&id, [(&site, "hangzhou")]).expect("new");
    }
    fleet.build()
}

/// What `action` needs on the heap meanwhile, beyond what is there before it.
fn peak_of<T>(action: impl FnOnce() -> T) -> (usize, T) {
    let before = HEAP.current_usage();
    HEAP.reset_peak_usage();
    let result = action();
    (HEAP.peak_usage().saturating_sub(before), result)
}

/// Renders a scrape into one buffer; how many lines it has.
fn render(snapshot: Arc<Snapshot>) -> usize {
    let mut exposition = ScrapeText::new(snapshot, String::new(), true);
    let (mut buffer, mut lines) = (Vec::new(), 0);
    while exposition.fill(&mut buffer) {
        lines += std::str::from_utf8(&buffer).expect("text").lines().count();
        buffer.clear();
    }
    lines
}

fn sweeps(state: &Arc<InstanceState>) -> Sweeps {
    let instance = "{id: post-cn-1, region: cn-hangzhou, clients: [GID_test@@@a]}";
    let config = format!("collect: {{query: batch}}\ninstances: [{instance}]");
    let config = Config::parse(config, std::path::Path::new("size.yaml"), &RULES)
        .expect("valid")
        .config;
    let deps = SweepDeps {
        limiter: Arc::new(Limiter::new(
            Quotas::serve(&config, Shard::WHOLE),
            &Random::new(|| 0),
        )),
        metrics: Arc::new(Metrics::new(config.collect.call_timeout)),
        clock: Clock::manual(Timestamp::from_millis(1_700_000_000_000)),
        random: Random::new(|| 0),
    };
    let subject = SweepConfig {
        state: Arc::clone(state),
        source: Arc::new(AllOnline),
        account: None,
        place: "http://127.0.0.1".to_owned(),
        calls_per_second: 100,
    };
    Sweeps::new(
        vec![subject],
        &Collect {
            query: Query::Batch,
            ..config.collect
        },
        deps,
    )
}

/// A sweep from its start to its end, in paused time.
async fn sweep(sweeps: &Sweeps, state: &InstanceState) {
    sweeps.start();
    while state.stats().last_sweep.is_none() {
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

#[test]
fn a_million_clients() {
    let before = HEAP.current_usage();
    let state = Arc::new(InstanceState::new(fleet(0), Duration::from_secs(4000)));
    let taken = HEAP.current_usage() - before;
    let now_in_fleet = state.fleet();
    let text: usize = (0..CLIENTS)
        .map(|index| now_in_fleet.label_text(index).len())
        .sum();
    let each = (taken - text) as f64 / CLIENTS as f64;
    assert!(each <= 64.0, "{each} B a client beside its labels");

    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build();
    let runtime = runtime.expect("a runtime");
    let _context = runtime.enter();
    let sweeps = sweeps(&state);
    let (swept, ()) = peak_of(|| runtime.block_on(sweep(&sweeps, &state)));
    assert_eq!(
        state.stats().sweeps_ended(SweepResult::Complete),
        1,
        "{:?}",
        state.stats()
    );
    assert!(swept < 2 * MIB, "{swept} B for a sweep");

    let (peak, shared) = peak_of(|| (sweeps.snapshot(), sweeps.snapshot()));
    assert!(
        Arc::ptr_eq(&shared.0, &shared.1) && peak <= 16 * CLIENTS + MIB,
        "{peak} B for two scrapes"
    );
    let (rendered, lines) = peak_of(|| render(shared.0));
    assert!(
        lines > 4 * CLIENTS && rendered < MIB,
        "{rendered} B to render {lines} lines"
    );

    // Half of the fleet is exchanged, while scrapes go on.
    let next = fleet(CLIENTS / 2);
    let (begun, swapped) = (AtomicBool::new(false), AtomicBool::new(false));
    let now = Moment::from_micros(1_700_001_000_000_000);
    let meanwhile = std::thread::scope(|scope| {
        scope.spawn(|| {
            begun.store(true, Ordering::SeqCst);
            state.swap(next);
            swapped.store(true, Ordering::SeqCst);
        });
        while !begun.load(Ordering::SeqCst) {
            std::thread::yield_now();
        }
        let mut scrapes = 0;
        while !swapped.load(Ordering::SeqCst) {
            let snapshot = state.snapshot(now);
            let complete = !swapped.load(Ordering::SeqCst);
            scrapes += usize::from(
                complete && snapshot.fleet().len() == CLIENTS && snapshot.client(0).is_some(),
            );
        }
        scrapes
    });
    assert!(meanwhile > 0, "no scrape was answered during the swap");
    let snapshot = state.snapshot(now);
    let known = (0..CLIENTS)
        .filter(|&index| snapshot.client(index).is_some())
        .count();
    assert_eq!(
        known,
        CLIENTS / 2,
        "those that stay keep what is known of them"
    );
}
