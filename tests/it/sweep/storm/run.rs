//! Runs a storm, and waits for the calm after it.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use mqtt_presence_exporter::aliyun::RULES;
use mqtt_presence_exporter::config::{Collect, Config, Quotas};
use mqtt_presence_exporter::presence::{
    Fleet, FleetBuilder, InstanceId, InstanceState, PresenceSource, Shard, Status,
};
use mqtt_presence_exporter::random::Random;
use mqtt_presence_exporter::sweep::{Limiter, SweepConfig, SweepDeps, Sweeps};
use mqtt_presence_exporter::telemetry::Metrics;
use tokio::runtime::Handle;
use tokio::task::JoinSet;
use tokio::time::{Instant, advance, sleep, sleep_until, timeout};

use super::dice::Dice;
use super::plan::{Event, Plan, Reload, client_id, instance_id};
use super::stage::Stage;
use super::witness::Witness;

/// The most calls of each operation that may arrive in a second.
const MOST: [u64; 2] = [290, 95];

/// A storm is over for the exporter at the latest this long after its last fault: it waits five
/// minutes for a frozen place and for refused credentials.
const CALM: Duration = Duration::from_secs(900);

/// What scrapers and probes need.
#[derive(Clone)]
struct Reader {
    sweeps: Arc<Sweeps>,
    witness: Witness,
    /// For how many milliseconds the process did not run.
    paused: Arc<AtomicU64>,
}

/// The exporter in the storm.
struct Exporter {
    stage: Arc<dyn Stage>,
    reader: Reader,
    limiter: Arc<Limiter>,
    config: Config,
    collect: Collect,
    instances: Vec<Instance>,
    tasks: JoinSet<()>,
}

struct Instance {
    number: usize,
    members: Vec<usize>,
    account: Option<String>,
    calls_per_second: u32,
    /// While it is in the configuration.
    listed: Option<(Arc<InstanceState>, Arc<dyn PresenceSource>)>,
}

impl Instance {
    fn clients(&self) -> impl Iterator<Item = String> {
        let clients = self.members.iter();
        clients.map(|device| client_id(self.number, *device))
    }

    fn fleet(&self) -> Fleet {
        let id = InstanceId::new(&instance_id(self.number)).expect("an ID");
        let mut fleet = FleetBuilder::new(id);
        self.clients()
            .for_each(|client| fleet.push(&client, []).expect("new"));
        fleet.build()
    }
}

impl Reader {
    /// How long something that should take `at_most` may have taken since `begun`.
    fn check_time(&self, what: &str, begun: Instant, at_most: Duration, paused_before: u64) {
        let paused = self.paused.load(Ordering::Relaxed) - paused_before;
        let took = begun.elapsed();
        if took > at_most + Duration::from_millis(paused + 20) {
            let late = format!("a {what} took {took:?} of {at_most:?}");
            self.witness.violation(late);
        }
    }

    async fn scrape(&self, within: Duration) {
        let paused = self.paused.load(Ordering::Relaxed);
        let begun = Instant::now();
        let snapshot = self.sweeps.scrape(begun + within).await;
        self.check_time("scrape", begun, within, paused);
        for shown in &snapshot.instances {
            let id = shown.id().as_str();
            let number = id.trim_start_matches("post-cn-storm");
            self.witness.check(number.parse().expect("a number"), shown);
        }
    }

    async fn probe(self, instance: usize, client: String, within: Duration) {
        let Some(prober) = self.sweeps.prober(Some(&instance_id(instance))) else {
            return;
        };
        let paused = self.paused.load(Ordering::Relaxed);
        let begun = Instant::now();
        let result = prober.probe(&client, begun + within).await;
        self.check_time("probe", begun, within, paused);
        if let Ok(seen) = result {
            self.witness.check_probe(instance, &client, seen.online);
        }
    }
}

impl Exporter {
    fn new(plan: &Plan, stage: Arc<dyn Stage>) -> Self {
        let text = "instances: [{id: post-cn-1, region: cn-hangzhou, clients: []}]".to_owned();
        let mut config = Config::parse(text, Path::new("storm.yaml"), &RULES)
            .expect("valid")
            .config;
        config.collect = plan.collect.clone();
        let dice = std::sync::Mutex::new(Dice::new(plan.seed ^ 0xbeef));
        let random = Random::new(move || dice.lock().expect("no panic").number());
        let limiter = Arc::new(Limiter::new(Quotas::serve(&config, Shard::WHOLE), &random));
        let deps = SweepDeps {
            limiter: Arc::clone(&limiter),
            metrics: Arc::new(Metrics::new(plan.collect.call_timeout)),
            clock: stage.clock(),
            random,
        };
        let sweeps = Arc::new(Sweeps::new(Vec::new(), &plan.collect, deps));
        let instances = plan.instances.iter().enumerate();
        let instances = instances.map(|(number, of)| Instance {
            number,
            members: of.members.clone(),
            account: of.account.clone(),
            calls_per_second: of.calls_per_second,
            listed: None,
        });
        Self {
            reader: Reader {
                sweeps,
                witness: Witness::new(plan.stale_after),
                paused: Arc::default(),
            },
            instances: instances.collect(),
            collect: plan.collect.clone(),
            tasks: JoinSet::new(),
            config,
            limiter,
            stage,
        }
    }

    fn source(&self, instance: usize) -> Arc<dyn PresenceSource> {
        let source = self.stage.source(instance, self.collect.call_timeout);
        self.reader.witness.watch(instance, source)
    }

    /// Adds an instance to the configuration, or removes it.
    fn list(&mut self, number: usize, listed: bool, stale_after: Duration) {
        let witness = self.reader.witness.clone();
        let instance = &self.instances[number];
        if listed == instance.listed.is_some() {
            return;
        }
        self.instances[number].listed = listed.then(|| {
            witness.added(number, instance.clients());
            let state = Arc::new(InstanceState::new(instance.fleet(), stale_after));
            (state, self.source(number))
        });
        if !listed {
            witness.removed(number);
        }
    }

    async fn replace(&self) {
        let listed = self.instances.iter().filter_map(|instance| {
            let (state, source) = instance.listed.clone()?;
            Some(SweepConfig {
                state,
                source,
                account: instance.account.clone(),
                calls_per_second: instance.calls_per_second,
                place: self.stage.place(instance.number),
            })
        });
        let listed = listed.collect();
        self.limiter
            .reconfigure(Quotas::serve(&self.config, Shard::WHOLE));
        self.reader.sweeps.replace(listed, &self.collect).await;
    }

    async fn reload(&mut self, reload: &Reload, stale_after: Duration) {
        match reload {
            Reload::Same => {}
            Reload::Collect(collect) => {
                let other_clients = collect.call_timeout != self.collect.call_timeout;
                self.collect = collect.clone();
                self.config.collect = collect.clone();
                if other_clients {
                    (0..self.instances.len()).for_each(|number| self.renew(number));
                }
            }
            Reload::Identity(number) => self.renew(*number),
            Reload::CallsPerSecond(number, calls) => {
                self.instances[*number].calls_per_second = *calls;
            }
            Reload::Listed(number, listed) => self.list(*number, *listed, stale_after),
            Reload::SinglePerSecond(calls) => self.config.limits.single_per_second = *calls,
        }
        self.replace().await;
        if let Reload::Listed(number, false) = reload {
            self.reader.witness.gone(*number);
        }
    }

    /// Another source for an instance.
    fn renew(&mut self, number: usize) {
        if let Some((state, _)) = self.instances[number].listed.clone() {
            self.instances[number].listed = Some((state, self.source(number)));
        }
    }

    async fn happens(&mut self, event: &Event, stale_after: Duration) {
        let reader = self.reader.clone();
        match event {
            Event::Flip(number, devices) => {
                for device in devices {
                    self.stage.flip(*number, &client_id(*number, *device));
                }
            }
            Event::Api(change) => self.stage.change(change),
            Event::Probe {
                instance,
                device,
                timeout: within,
                patience,
            } => {
                let client = device.map_or("GID_nobody@@@x".to_owned(), |device| {
                    client_id(*instance, device)
                });
                let probe = reader.probe(*instance, client, *within);
                let patience = patience.unwrap_or(Duration::MAX);
                self.tasks.spawn(async move {
                    // It may hang up.
                    let _ = timeout(patience, probe).await;
                });
            }
            Event::HangUp(after) => {
                let after = *after;
                self.tasks.spawn(async move {
                    let scrape = reader.scrape(Duration::from_secs(10));
                    let _ = timeout(after, scrape).await;
                });
            }
            Event::Swap(number, members) => {
                let instance = &mut self.instances[*number];
                instance.members.clone_from(members);
                if let Some((state, _)) = &instance.listed {
                    state.swap(instance.fleet());
                    reader.witness.swapped(*number, instance.clients());
                }
            }
            Event::Reload(reload) => self.reload(reload, stale_after).await,
            Event::Step(millis) => self.stage.clock().step_millis(*millis),
            Event::Pause(pause) => {
                let millis = u64::try_from(pause.as_millis()).expect("short");
                reader.paused.fetch_add(millis, Ordering::Relaxed);
                advance(*pause).await;
            }
        }
    }

    /// A client that is not shown as it is.
    fn wrong(&self) -> Option<String> {
        let listed = self.instances.iter().filter_map(|instance| {
            let (state, _) = instance.listed.as_ref()?;
            Some((instance.number, state))
        });
        for (number, state) in listed {
            let shown = self.reader.sweeps.snapshot();
            let id = state.id();
            let shown = shown.instances.iter().find(|shown| shown.id() == id);
            let shown = shown.expect("a listed instance is shown");
            for index in 0..shown.fleet().len() {
                let client = shown.fleet().client(index);
                let expected = if self.stage.is_online(number, &client) {
                    Status::Online
                } else {
                    Status::Offline
                };
                let status = shown.status(index);
                if status != expected && !self.stage.is_refused(&client) {
                    return Some(format!("{client} is {expected:?} and shown as {status:?}"));
                }
            }
        }
        None
    }

    /// Everything is known again soon after the storm.
    async fn calms_down(&self) {
        let begun = Instant::now();
        while let Some(wrong) = self.wrong() {
            assert!(begun.elapsed() < CALM, "{CALM:?} after the storm {wrong}");
            sleep(Duration::from_secs(3)).await;
            self.reader.scrape(Duration::from_secs(10)).await;
            self.reader.witness.assert();
        }
    }
}

/// Runs the storm of `plan`.
pub(super) async fn storm(plan: &Plan, stage: impl Stage) {
    let stage: Arc<dyn Stage> = Arc::new(stage);
    let mut exporter = Exporter::new(plan, Arc::clone(&stage));
    for number in 0..plan.instances.len() {
        exporter.list(number, true, plan.stale_after);
    }
    exporter.replace().await;
    exporter.reader.sweeps.start();
    for (every, within) in plan.scrapers.clone() {
        let reader = exporter.reader.clone();
        exporter.tasks.spawn(async move {
            loop {
                sleep(every).await;
                reader.scrape(within).await;
            }
        });
    }
    let begun = Instant::now();
    for (at, event) in &plan.events {
        sleep_until(begun + *at).await;
        exporter.happens(event, plan.stale_after).await;
        exporter.reader.witness.assert();
    }
    exporter.calms_down().await;

    let most = stage.most_in_a_second();
    assert!(
        most[0] <= MOST[0] && most[1] <= MOST[1],
        "calls in a second: {most:?}"
    );
    exporter.reader.sweeps.stop().await;
    exporter.tasks.shutdown().await;
    let queries = exporter.reader.witness.queries();
    sleep(Duration::from_secs(60)).await;
    assert_eq!(
        exporter.reader.witness.queries(),
        queries,
        "calls after the stop"
    );
    exporter.reader.witness.assert();
    drop((exporter, stage));
    sleep(Duration::from_secs(60)).await;
    let tasks = Handle::current().metrics().num_alive_tasks();
    assert_eq!(tasks, 0, "tasks after the stop");
}
