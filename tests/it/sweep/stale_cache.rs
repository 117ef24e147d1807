//! Batches from a cache that is behind the devices: what is published is true all the same.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use mqtt_presence_exporter::aliyun::RULES;
use mqtt_presence_exporter::aliyun::credentials::CredentialProvider;
use mqtt_presence_exporter::aliyun::{ApiClient, ApiClientOptions};
use mqtt_presence_exporter::clock::{Moment, Timestamp};
use mqtt_presence_exporter::config::{
    self, Collect, Config, Env, Mode, Query, Quotas, SecretSource, Signature,
};
use mqtt_presence_exporter::net;
use mqtt_presence_exporter::presence::{
    ClientId, FleetBuilder, InstanceId, InstanceSnapshot, InstanceState, Observation, Operation,
    Shard,
};
use mqtt_presence_exporter::random::Random;
use mqtt_presence_exporter::secret::Secret;
use mqtt_presence_exporter::simulator::{
    DurationSetting, Faults, SimulatedFleet, SimulatorOptions,
};
use mqtt_presence_exporter::sweep::{Limiter, SweepConfig, SweepDeps, Sweeps};
use mqtt_presence_exporter::telemetry::Metrics;
use tokio::time::sleep;

use crate::support::BATCH;
use crate::support::recorder::{Record, Recorder, Said};
use crate::support::rig::Rig;
use crate::support::tools::tools;

const CLIENTS: usize = 10_000;
/// Clients that change now and then, but stay so long that the cache can follow.
const SLOW: std::ops::Range<usize> = 1000..4000;
/// Clients that change faster than the cache.
const FAST: std::ops::Range<usize> = 4000..4040;
const STALENESS: Duration = Duration::from_secs(30);
const INTERVAL: Duration = Duration::from_secs(30);
/// A slow client stays for longer than the cache lags and a sweep takes, so that a confirmation
/// meets what the cache showed.
const SLOW_STAYS: u64 = 100;

fn client(n: usize) -> String {
    format!("GID_group{:02}@@@device-{n}", n % 50)
}

/// Numbers that look random, the same in every run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).expect("31 bits") % end
    }
}

/// The devices: what they are, and when each of them changed last.
struct Devices<'a> {
    rig: &'a Rig,
    online: Vec<bool>,
    changed: Vec<u64>,
    dice: Dice,
}

impl<'a> Devices<'a> {
    /// Nine of ten are online.
    fn new(rig: &'a Rig) -> Self {
        let online: Vec<_> = (0..CLIENTS).map(|n| n % 10 != 0).collect();
        for (n, &online) in online.iter().enumerate() {
            assert!(rig.simulator.set_online(&client(n), online));
        }
        Self {
            rig,
            online,
            changed: vec![0; CLIENTS],
            dice: Dice(7),
        }
    }

    fn flip(&mut self, n: usize, second: u64) {
        self.online[n] = !self.online[n];
        self.changed[n] = second;
        assert!(self.rig.simulator.set_online(&client(n), self.online[n]));
    }

    /// One second in which five slow and three fast ones change.
    fn live(&mut self, second: u64) {
        for _ in 0..5 {
            let n = SLOW.start + self.dice.below(SLOW.len());
            if second >= self.changed[n] + SLOW_STAYS {
                self.flip(n, second);
            }
        }
        for _ in 0..3 {
            let n = FAST.start + self.dice.below(FAST.len());
            self.flip(n, second);
        }
    }
}

/// Sweeps by batches every 30 s, in front of the rig's simulator, with every answer recorded.
fn sweeps(rig: &Rig) -> (Sweeps, Arc<InstanceState>, Record) {
    let endpoint = reqwest::Url::parse(&rig.announcement.endpoint).expect("a URL");
    let http = net::client::client(
        &endpoint,
        None,
        Duration::from_secs(2),
        &net::Resolver::system(),
    )
    .expect("plain HTTP");
    let provider = config::Provider::AccessKey {
        id: rig.announcement.access_key_id.clone(),
        secret: SecretSource::Inline(Secret::new(rig.announcement.access_key_secret.clone())),
        token: None,
    };
    let instance = InstanceId::new(&rig.announcement.instance_ids[0]).expect("an ID");
    let mut fleet = FleetBuilder::new(instance.clone());
    (0..CLIENTS).for_each(|n| fleet.push(&client(n), []).expect("new"));
    let state = Arc::new(InstanceState::new(fleet.build(), Duration::from_secs(300)));
    let options = ApiClientOptions {
        instance,
        endpoint,
        signature: Signature::V3,
        call_timeout: Duration::from_secs(5),
    };
    let source = ApiClient::new(
        http,
        Arc::new(CredentialProvider::new(
            "test",
            &provider,
            &tools(rig.clock.clone(), &Env::default()),
        )),
        rig.clock.clone(),
        options,
    );
    let (source, record) = Recorder::new(source, rig.clock.clone());
    let subject = SweepConfig {
        state: Arc::clone(&state),
        source: Arc::new(source),
        account: None,
        place: "http://127.0.0.1".to_owned(),
        calls_per_second: 100,
    };
    let config = rig.configuration("collect: {mode: poll, query: batch}", "");
    let config = Config::parse(config, std::path::Path::new("rig.yaml"), &RULES)
        .expect("valid")
        .config;
    let deps = SweepDeps {
        limiter: Arc::new(Limiter::new(
            Quotas::serve(&config, Shard::WHOLE),
            &Random::new(|| 0),
        )),
        metrics: Arc::new(Metrics::new(config.collect.call_timeout)),
        clock: rig.clock.clone(),
        random: Random::new(|| 0),
    };
    let collect = Collect {
        mode: Mode::Poll,
        interval: INTERVAL,
        query: Query::Batch,
        ..Collect::default()
    };
    (Sweeps::new(vec![subject], &collect, deps), state, record)
}

/// What the devices were at the moment of which an observation speaks.
fn truths(rig: &Rig, client: &str, seen: Observation) -> [bool; 2] {
    let instance = &rig.announcement.instance_ids[0];
    // An answer is made a little after its call was sent, perhaps after the cache was filled anew.
    [0, 60].map(|after| {
        let at = seen.at.as_micros() / 1000 + after;
        let of = match seen.operation {
            Operation::Single => at,
            Operation::Batch => at - at % 2000 - 30_000,
        };
        rig.simulator
            .truth(instance, client, Timestamp::from_millis(of))
    })
}

/// Watches what is shown, and what was said for it.
#[derive(Default)]
struct Witness {
    /// The status of each client and since when it has had it.
    runs: HashMap<usize, (bool, Moment)>,
    /// What single calls said: of whom, when, and whether it was online.
    single: HashSet<(String, Moment, bool)>,
    heard: usize,
}

impl Witness {
    /// Everything that is shown was true when the API said it, or as old as its cache then was;
    /// and every change was said by a single call.
    fn look(&mut self, rig: &Rig, snapshot: &InstanceSnapshot, said: &[Said]) {
        for (client, seen) in said[self.heard..]
            .iter()
            .filter(|(_, seen)| seen.operation == Operation::Single)
        {
            assert!(
                truths(rig, client, *seen).contains(&seen.online),
                "{client}: {seen:?}"
            );
            self.single.insert((client.clone(), seen.at, seen.online));
        }
        self.heard = said.len();
        for n in 0..CLIENTS {
            let Some((seen, since)) = snapshot.client(n) else {
                continue;
            };
            let client = client(n);
            assert!(
                truths(rig, &client, seen).contains(&seen.online),
                "{client}: {seen:?}"
            );
            let run = (seen.online, since);
            let before = self.runs.insert(n, run);
            let is_change = before.map_or(!seen.online, |before| before != run);
            assert!(
                !is_change || self.single.contains(&(client, since, seen.online)),
                "{}: {run:?}",
                self::client(n)
            );
        }
    }
}

/// Which fast client this is, if it is one.
fn is_fast(client: &str) -> bool {
    client
        .rsplit_once('-')
        .is_some_and(|(_, n)| FAST.contains(&n.parse().expect("a number")))
}

/// How often a client's status in batches was another one than before, or offline at first.
fn changes_shown(said: &[Said]) -> HashMap<&str, usize> {
    let (mut last, mut changes) = (HashMap::new(), HashMap::new());
    for (client, seen) in said
        .iter()
        .filter(|(_, seen)| seen.operation == Operation::Batch)
    {
        if last.insert(client.as_str(), seen.online).unwrap_or(true) != seen.online {
            *changes.entry(client.as_str()).or_default() += 1;
        }
    }
    changes
}

fn confirmations(said: &[Said]) -> HashMap<&str, usize> {
    let mut calls = HashMap::new();
    for (client, _) in said
        .iter()
        .filter(|(_, seen)| seen.operation == Operation::Single)
    {
        *calls.entry(client.as_str()).or_default() += 1;
    }
    calls
}

#[tokio::test(start_paused = true)]
async fn ten_minutes_of_a_cache_that_is_half_a_minute_behind() {
    let ids = (0..CLIENTS)
        .map(|n| ClientId::new(client(n)).expect("an ID"))
        .collect();
    let fleet = SimulatedFleet::new(vec![(InstanceId::new("post-cn-1").expect("an ID"), ids)])
        .expect("each once");
    let faults = Faults {
        batch_staleness: DurationSetting::from(STALENESS),
        latency: DurationSetting::from(Duration::from_millis(20)),
        ..Faults::default()
    };
    let rig = Rig::with(SimulatorOptions {
        fleet,
        faults,
        ..SimulatorOptions::default()
    })
    .await;
    let mut devices = Devices::new(&rig);
    // Until the cache knows what the devices were set to.
    sleep(STALENESS + Duration::from_secs(3)).await;
    let (sweeps, state, record) = sweeps(&rig);
    sweeps.start();
    let start = rig.clock.moment();
    let mut witness = Witness::default();
    for second in 0..600 {
        devices.live(second);
        sleep(Duration::from_secs(1)).await;
        if second % 10 == 9 {
            witness.look(&rig, &state.snapshot(rig.clock.moment()), &record.said());
        }
    }
    sweeps.stop().await;

    let instance = state.stats();
    assert!(
        instance.sweeps[0] >= 19 && instance.sweeps[1..] == [0, 0],
        "{instance:?}"
    );
    let said = record.said();
    let (shown, confirmed) = (changes_shown(&said), confirmations(&said));
    // Nobody is asked again but for a change that the cache shows, and everybody then.
    let slow: usize = shown
        .iter()
        .filter(|(client, _)| !is_fast(client))
        .map(|(_, &changes)| changes)
        .sum();
    assert!(
        slow > 2500,
        "{slow} changes of clients that the cache can follow"
    );
    for (client, &calls) in confirmed.iter().filter(|(client, _)| !is_fast(client)) {
        assert_eq!(shown.get(client), Some(&calls), "{client}");
    }
    let calls: usize = confirmed
        .iter()
        .filter(|(client, _)| !is_fast(client))
        .map(|(_, &calls)| calls)
        .sum();
    assert!(
        slow - calls <= 10,
        "{calls} calls for {slow} changes, some of which are on their way at the end"
    );
    // Those that the cache cannot follow cost one call a sweep at most.
    let fast = confirmed.iter().filter(|(client, _)| is_fast(client));
    assert!(fast.clone().count() > FAST.len() / 2 && fast.clone().all(|(_, &calls)| calls <= 21));
    // By sweeps: a tenth of the clients, and one for each change.
    let sweep_of = |at: Moment| {
        usize::try_from(at.since(start).as_secs() / INTERVAL.as_secs()).expect("small")
    };
    let mut batches = vec![0_usize; 21];
    record
        .batches()
        .into_iter()
        .for_each(|at| batches[sweep_of(at)] += 1);
    assert!(
        batches[1..20]
            .iter()
            .all(|&batches| batches.abs_diff(CLIENTS / 10) <= 1),
        "{batches:?}"
    );
    let arrived = rig.simulator.stats();
    assert_eq!(
        (arrived.blocks, arrived.answers.len()),
        (0, 1),
        "{arrived:?}"
    );
    assert!(arrived.max_arrivals_per_second[BATCH] <= 95, "{arrived:?}");
}
