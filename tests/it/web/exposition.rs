//! The text of a scrape, read back by a reader that shares no code with its writer.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use mqtt_presence_exporter::clock::{Moment, WallOffset};
use mqtt_presence_exporter::exposition::ScrapeText;
use mqtt_presence_exporter::presence::{
    ClientId, FleetBuilder, InstanceId, InstanceState, LabelName, Observation, Operation, Snapshot,
    SweepSummary,
};
use mqtt_presence_exporter::telemetry::{Metrics, table};
use proptest::prelude::*;

use crate::support::exposition::{Sample, Scrape};

const STALE_AFTER: Duration = Duration::from_secs(300);
const NOW: u64 = 1_700_000_000_000;

/// What the API said about one client: online or not, and so many milliseconds before [`NOW`].
type Said = Vec<(bool, u64)>;

/// One client: its ID, its configured labels, and what was said of it, in order.
#[derive(Clone, Debug)]
struct Client {
    id: String,
    labels: BTreeMap<String, String>,
    said: Said,
}

/// One instance.
#[derive(Clone, Debug)]
struct Instance {
    id: String,
    clients: Vec<Client>,
    api_up: Option<bool>,
    sweeps: [u64; 3],
    last_sweep: Option<(u64, u64)>,
    clock_offset_millis: i64,
}

impl Instance {
    fn state(&self) -> InstanceState {
        let names: Vec<_> = ["site", "name"]
            .map(|name| LabelName::new(name).expect("a name"))
            .into();
        let mut fleet = FleetBuilder::new(InstanceId::new(&self.id).expect("an ID"));
        for client in &self.clients {
            let labels = names
                .iter()
                .filter_map(|name| Some((name, &**client.labels.get(name.as_str())?)));
            fleet.push(&client.id, labels).expect("each once");
        }
        let state = InstanceState::new(fleet.build(), STALE_AFTER);
        for client in &self.clients {
            for &(online, before) in &client.said {
                let at = Moment::from_micros((NOW - before) * 1000);
                state.publish(
                    &client.id,
                    Observation {
                        online,
                        at,
                        answered: at,
                        operation: Operation::Single,
                    },
                );
            }
        }
        state.record(|stats| {
            stats.api_up = self.api_up;
            stats.sweeps = self.sweeps;
            stats.last_sweep = self.last_sweep.map(|(millis, before)| SweepSummary {
                duration: Duration::from_millis(millis),
                end: Moment::from_micros((NOW - before) * 1000),
                coverage: 0.75,
            });
            stats.clock_offset_millis = self.clock_offset_millis;
        });
        state
    }
}

fn text(instances: &[Instance], own: String, per_client: bool) -> String {
    let (at, offset) = (Moment::from_micros(NOW * 1000), WallOffset::default());
    let instances = instances
        .iter()
        .map(|instance| instance.state().snapshot(at))
        .collect();
    let mut exposition = ScrapeText::new(
        Arc::new(Snapshot {
            at,
            offset,
            instances,
        }),
        own,
        per_client,
    );
    let mut text = Vec::new();
    while exposition.fill(&mut text) {}
    String::from_utf8(text).expect("text")
}

/// The series that `instances` are to have, by another way than the exporter's.
fn expected(instances: &[Instance], per_client: bool) -> Vec<Sample> {
    let mut all = Vec::new();
    let mut add =
        |name: &str, labels: &[(&str, &str)], more: &BTreeMap<String, String>, value: f64| {
            let labels = labels
                .iter()
                .map(|&(name, value)| (name.into(), value.into()));
            let more = more
                .iter()
                .filter(|(_, value)| !value.is_empty())
                .map(|(name, value)| (name.clone(), value.clone()));
            all.push(Sample {
                name: format!("mqtt_presence_{name}"),
                labels: labels.chain(more).collect(),
                value,
            });
        };
    let none = BTreeMap::new();
    let seconds = |millis: u64| millis as f64 / 1000.0;
    for instance in instances {
        let id = ("instance_id", &*instance.id);
        let groups: BTreeSet<_> = instance
            .clients
            .iter()
            .map(|client| ClientId::group_of(&client.id))
            .collect();
        for group in groups {
            let (mut counts, mut connects, mut disconnects) = ([0.0; 3], 0.0, 0.0);
            for client in instance
                .clients
                .iter()
                .filter(|client| ClientId::group_of(&client.id) == group)
            {
                for pair in client.said.windows(2) {
                    connects += f64::from(u8::from(!pair[0].0 && pair[1].0));
                    disconnects += f64::from(u8::from(pair[0].0 && !pair[1].0));
                }
                let ids = [("client_id", &*client.id), ("group_id", group), id];
                if per_client {
                    add("client_info", &ids, &client.labels, 1.0);
                }
                let Some(&(online, before)) = client.said.last().filter(|said| said.1 <= 300_000)
                else {
                    counts[2] += 1.0;
                    continue;
                };
                counts[usize::from(!online)] += 1.0;
                if per_client {
                    let mut since = before;
                    for &(was, earlier) in client.said.iter().rev().skip(1) {
                        if was != online || earlier - since > 300_000 {
                            break;
                        }
                        since = earlier;
                    }
                    add(
                        "client_online",
                        &ids,
                        &client.labels,
                        f64::from(u8::from(online)),
                    );
                    add(
                        "client_last_observation_timestamp_seconds",
                        &ids,
                        &none,
                        seconds(NOW - before),
                    );
                    add(
                        "client_status_since_timestamp_seconds",
                        &ids,
                        &none,
                        seconds(NOW - since),
                    );
                }
            }
            let ids = [("group_id", group), id];
            for (status, count) in ["online", "offline", "unknown"].into_iter().zip(counts) {
                add("clients", &[ids[0], id, ("status", status)], &none, count);
            }
            add("connects_total", &ids, &none, connects);
            add("disconnects_total", &ids, &none, disconnects);
        }
        if let Some(up) = instance.api_up {
            add("api_up", &[id], &none, f64::from(u8::from(up)));
        }
        for (result, times) in ["complete", "incomplete", "stopped"]
            .into_iter()
            .zip(instance.sweeps)
        {
            add(
                "sweeps_total",
                &[id, ("result", result)],
                &none,
                times as f64,
            );
        }
        if let Some((millis, before)) = instance.last_sweep {
            add("sweep_duration_seconds", &[id], &none, seconds(millis));
            add(
                "sweep_last_end_timestamp_seconds",
                &[id],
                &none,
                seconds(NOW - before),
            );
            add("sweep_coverage_ratio", &[id], &none, 0.75);
        }
        add("stale_after_seconds", &[id], &none, 300.0);
        add(
            "clock_offset_seconds",
            &[id],
            &none,
            instance.clock_offset_millis as f64 / 1000.0,
        );
    }
    all
}

/// Texts that a careless writer gets wrong.
fn awkward() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-zA-Z0-9_@ -]{1,8}",
        r#"[\\"\n{},=#é日 ]{1,8}"#,
        "GID_[ab]@@@[0-9\"]{1,3}",
        "\\PC{1,8}",
        Just("} 1\n# TYPE x gauge".into()),
    ]
}

fn said() -> impl Strategy<Value = Said> {
    let sorted = |mut said: Said| {
        said.sort_by_key(|&(_, before)| std::cmp::Reverse(before));
        said.dedup_by_key(|&mut (_, before)| before);
        said
    };
    prop::collection::vec(
        (any::<bool>(), prop_oneof![0_u64..2000, 0_u64..1_000_000]),
        0..5,
    )
    .prop_map(sorted)
}

fn clients() -> impl Strategy<Value = Vec<Client>> {
    let labels = prop::collection::btree_map(
        prop_oneof![Just("site".into()), Just("name".into())],
        "|[a\\\\\"\n]{1,4}",
        0..3,
    );
    prop::collection::btree_map(awkward(), (labels, said()), 0..8).prop_map(|clients| {
        clients
            .into_iter()
            .map(|(id, (labels, said))| Client { id, labels, said })
            .collect()
    })
}

fn instances() -> impl Strategy<Value = Vec<Instance>> {
    let stats = (
        any::<Option<bool>>(),
        any::<[u32; 3]>(),
        prop::option::of((0_u64..100_000, 0_u64..100_000)),
        any::<i32>(),
    );
    prop::collection::btree_map(awkward(), (clients(), stats), 0..4).prop_map(|instances| {
        let instance = |(id, (clients, (api_up, sweeps, last_sweep, offset)))| Instance {
            id,
            clients,
            api_up,
            sweeps: <[u32; 3]>::map(sweeps, u64::from),
            last_sweep,
            clock_offset_millis: i64::from(offset),
        };
        instances.into_iter().map(instance).collect()
    })
}

/// In an order of their own, since that of a text is not what is asked for here.
fn sorted(mut samples: Vec<Sample>) -> Vec<Sample> {
    samples.sort_by(|a, b| (&a.name, &a.labels).cmp(&(&b.name, &b.labels)));
    samples
}

proptest! {
    #[test]
    fn a_scrape_says_what_is_known_and_nothing_else(instances in instances(), per_client: bool) {
        let text = text(&instances, String::new(), per_client);
        let scrape = Scrape::parse(&text).map_err(TestCaseError::fail)?;
        let samples = scrape.families.into_iter().flat_map(|family| family.samples).collect();
        prop_assert_eq!(sorted(samples), sorted(expected(&instances, per_client)));
    }
}

/// Two pumps and a valve, of which one is unknown, and an instance of which nothing is known yet.
fn example() -> Vec<Instance> {
    let client = |id: &str, name: &str, said: &[(bool, u64)]| Client {
        id: id.into(),
        labels: [
            ("site".into(), "hangzhou".into()),
            ("name".into(), name.into()),
        ]
        .into(),
        said: said.into(),
    };
    let clients = vec![
        client(
            "GID_pump@@@1",
            "pump \"one\"",
            &[(false, 61_000), (true, 46_000), (true, 1_877)],
        ),
        client("GID_pump@@@2", "pump 2", &[(true, 16_000), (false, 1_000)]),
        client("valve", "", &[(true, 300_001)]),
    ];
    let known = Instance {
        id: "post-cn-1".into(),
        clients,
        api_up: Some(true),
        sweeps: [7, 1, 0],
        last_sweep: Some((13_636, 950)),
        clock_offset_millis: -250,
    };
    let fresh = Instance {
        id: "post-cn-2".into(),
        clients: vec![client("GID_gate@@@1", "gate", &[])],
        api_up: None,
        sweeps: [0; 3],
        last_sweep: None,
        clock_offset_millis: 0,
    };
    vec![known, fresh]
}

#[test]
fn a_scrape_looks_like_this() {
    insta::assert_snapshot!(text(&example(), String::new(), true));
}

#[test]
fn every_metric_of_the_table_is_in_a_scrape_and_none_beside_them() {
    let metrics = Metrics::new(Duration::from_secs(5));
    metrics.touch_instance("post-cn-1", &["Query"], &["timeout"]);
    metrics
        .limiter_calls_per_second
        .with_label_values(&["egress", "", "Query"])
        .set(220.0);
    metrics
        .limiter_wait_seconds_total
        .with_label_values(&["egress", "", "Query"])
        .inc_by(0.25);
    metrics
        .projected_calls_per_second
        .with_label_values(&["post-cn-1", "Query"])
        .set(6.7);
    metrics
        .quota_calls_per_second
        .with_label_values(&["Query"])
        .set(220.0);
    metrics.shard_info.with_label_values(&["0", "1"]).set(1.0);
    metrics.touch_credentials("env");
    metrics
        .credential_expiry_timestamp_seconds
        .with_label_values(&["env"])
        .set(1.7e9);
    metrics
        .discovery_clients
        .with_label_values(&["clients/*.yaml"])
        .set(3.0);
    metrics
        .discovery_failures_total
        .with_label_values(&["clients/*.yaml"])
        .inc();
    metrics
        .discovery_last_success_timestamp_seconds
        .with_label_values(&["clients/*.yaml"])
        .set(1.7e9);
    let scrape = Scrape::parse(&text(&example(), metrics.gather_text(), true)).unwrap();

    let names: BTreeSet<_> = scrape.families.iter().map(|family| &*family.name).collect();
    let linux = |name: &&str| cfg!(target_os = "linux") || !name.starts_with("process_");
    assert_eq!(
        names,
        table::all()
            .map(|metric| metric.name)
            .filter(linux)
            .collect()
    );
    for metric in table::all().filter(|metric| linux(&metric.name)) {
        let family = scrape.family(metric.name).unwrap();
        assert_eq!(
            (&*family.help, &*family.kind),
            (metric.help, &*metric.kind.to_string())
        );
        for sample in &family.samples {
            let mut labels: BTreeSet<_> = sample.labels.keys().map(String::as_str).collect();
            labels.remove("le");
            if metric.configured_labels {
                labels.retain(|label| !["site", "name"].contains(label));
            }
            assert_eq!(
                labels,
                metric.labels.iter().copied().collect(),
                "{sample:?}"
            );
        }
    }
    assert_eq!(
        scrape.value(
            "mqtt_presence_client_online",
            &[("client_id", "GID_pump@@@2")]
        ),
        Some(0.0)
    );
    assert!(
        (scrape.sum("mqtt_presence_clients", &[("instance_id", "post-cn-1")]) - 3.0).abs() < 1e-9
    );
    assert_eq!(scrape.series("mqtt_presence_api_errors_total").len(), 1);
}
