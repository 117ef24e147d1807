//! Rendering 100,000 clients: this exporter's way, the `prometheus` crate's, and a bare copy of
//! the same bytes, in one run, so that the ratios mean something.

mod support;

use std::cell::RefCell;
use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion, Throughput, criterion_group, criterion_main};
use mqtt_presence_exporter::clock::{Moment, WallOffset};
use mqtt_presence_exporter::exposition::{CHUNK, ScrapeText};
use mqtt_presence_exporter::presence::{
    FleetBuilder, InstanceId, InstanceSnapshot, InstanceState, LabelName, Observation, Operation,
    Snapshot,
};
use mqtt_presence_exporter::telemetry::Metric;
use mqtt_presence_exporter::telemetry::table::STATE;
use prometheus::{GaugeVec, Opts, Registry, TextEncoder};
use support::{median, row};
use tokio::time::Instant;

const CLIENTS: usize = 100_000;
const GROUPS: usize = 20;
const INSTANCE: &str = "post-cn-0pp12gl4x0b";
const START: u64 = 1_750_000_000_123;

/// What a device is called, and where it is.
struct Device {
    id: String,
    group: String,
    name: String,
}

fn devices() -> Vec<Device> {
    let device = |n| {
        let group = format!("GID_pumps_{}", n % GROUPS);
        Device {
            id: format!("{group}@@@pump-{n:06}"),
            group,
            name: format!("pump {n}"),
        }
    };
    (0..CLIENTS).map(device).collect()
}

/// Devices of which all is known; one in seven is offline.
fn snapshot(devices: &[Device]) -> Snapshot {
    let (site, name) = (
        LabelName::new("site").expect("a name"),
        LabelName::new("name").expect("a name"),
    );
    let mut fleet = FleetBuilder::new(InstanceId::new(INSTANCE).expect("an ID"));
    for device in devices {
        fleet
            .push(&device.id, [(&site, "hangzhou"), (&name, &*device.name)])
            .expect("each once");
    }
    let state = InstanceState::new(fleet.build(), Duration::from_secs(3600));
    for (n, device) in devices.iter().enumerate() {
        let at = Moment::from_micros((START + n as u64 * 5) * 1000);
        state.publish(
            &device.id,
            Observation {
                online: n % 7 != 0,
                at,
                answered: at,
                operation: Operation::Single,
            },
        );
    }
    let at = Moment::from_micros((START + CLIENTS as u64 * 5) * 1000);
    Snapshot {
        at,
        offset: WallOffset::default(),
        instances: vec![state.snapshot(at)],
    }
}

/// The same four families of clients in the `prometheus` crate.
fn registry(devices: &[Device], instance: &InstanceSnapshot) -> Registry {
    let registry = Registry::new();
    let family = |metric: Metric, configured: bool, value: &dyn Fn(usize) -> f64| {
        let labels: &[&str] = if configured { &["site", "name"] } else { &[] };
        let family = GaugeVec::new(
            Opts::new(metric.name, metric.help),
            &[metric.labels, labels].concat(),
        );
        let family = family.expect("valid names");
        for (n, Device { id, group, name }) in devices.iter().enumerate() {
            let labels: &[&str] = if configured { &["hangzhou", name] } else { &[] };
            family
                .with_label_values(&[&[id, group, INSTANCE], labels].concat())
                .set(value(n));
        }
        registry.register(Box::new(family)).expect("each once");
    };
    let seconds = |at| WallOffset::default().wall(at).as_seconds();
    let known = |n| instance.client(n).expect("all is known");
    family(STATE.client_info, true, &|_| 1.0);
    family(STATE.client_online, true, &|n| {
        f64::from(u8::from(known(n).0.online))
    });
    family(
        STATE.client_last_observation_timestamp_seconds,
        false,
        &|n| seconds(known(n).0.at),
    );
    family(STATE.client_status_since_timestamp_seconds, false, &|n| {
        seconds(known(n).1)
    });
    registry
}

/// Measures `render`, and gives back the median of its rounds, in milliseconds.
fn measured(group: &mut BenchmarkGroup<'_, WallTime>, name: &str, mut render: impl FnMut()) -> f64 {
    let rounds = RefCell::new(Vec::new());
    group.bench_function(name, |bencher| {
        bencher.iter_custom(|count| {
            let mut all = Duration::ZERO;
            for _ in 0..count {
                let start = Instant::now();
                render();
                let round = start.elapsed();
                rounds.borrow_mut().push(round.as_secs_f64() * 1e3);
                all += round;
            }
            all
        });
    });
    median(rounds.into_inner())
}

fn rendering(criterion: &mut Criterion) {
    let devices = devices();
    let snapshot = Arc::new(snapshot(&devices));
    let registry = registry(&devices, &snapshot.instances[0]);

    let mut text = Vec::new();
    let mut exposition = ScrapeText::new(Arc::clone(&snapshot), String::new(), true);
    while exposition.fill(&mut text) {}

    let mut group = criterion.benchmark_group("rendering");
    group
        .sample_size(10)
        .throughput(Throughput::Bytes(text.len() as u64));
    let mut chunk = Vec::with_capacity(2 * CHUNK);
    let ours = measured(&mut group, "exposition", || {
        let mut exposition = ScrapeText::new(Arc::clone(&snapshot), String::new(), true);
        loop {
            chunk.clear();
            if !exposition.fill(&mut chunk) {
                break;
            }
            black_box(&chunk);
        }
    });
    let copy = measured(&mut group, "copy", || {
        for bytes in text.chunks(CHUNK) {
            chunk.clear();
            chunk.extend_from_slice(bytes);
            black_box(&chunk);
        }
    });
    let mut out = String::new();
    let theirs = measured(&mut group, "prometheus", || {
        out.clear();
        TextEncoder
            .encode_utf8(&registry.gather(), &mut out)
            .expect("valid families");
        black_box(&out);
    });
    group.finish();
    let what = format!(
        "rendering 100,000 clients ({:.0} MB)",
        text.len() as f64 / 1e6
    );
    row(
        &what,
        "≥ 50 × the `prometheus` crate",
        &format!("{:.0} × ({ours:.1} ms)", theirs / ours),
        &format!("`GaugeVec` and `TextEncoder`: {theirs:.0} ms"),
        theirs >= 50.0 * ours,
    );
    row(
        &what,
        "≤ 2 × a copy",
        &format!("{:.2} × ({ours:.1} ms)", ours / copy),
        &format!("a copy of the same bytes: {copy:.1} ms"),
        ours <= 2.0 * copy,
    );
}

criterion_group!(benches, rendering);
criterion_main!(benches);
