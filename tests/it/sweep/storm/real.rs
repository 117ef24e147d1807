//! The simulator and the real client, in the same storm.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use mqtt_presence_exporter::aliyun::credentials::CredentialProvider;
use mqtt_presence_exporter::aliyun::{ApiClient, ApiClientOptions};
use mqtt_presence_exporter::clock::Clock;
use mqtt_presence_exporter::config::{self, Env, SecretSource, Signature};
use mqtt_presence_exporter::net;
use mqtt_presence_exporter::presence::{ClientId, InstanceId, Operation, PresenceSource};
use mqtt_presence_exporter::secret::Secret;
use mqtt_presence_exporter::simulator::{Faults, Probability, SimulatedFleet, SimulatorOptions};

use super::dice::Dice;
use super::plan::{Change, Plan, Trouble, client_id, instance_id};
use super::stage::Stage;
use crate::support::rig::Rig;
use crate::support::tools::tools;
use crate::support::{BATCH, SINGLE};

pub(super) struct RealApi {
    rig: Rig,
    /// The clock of the exporter, which is set while that of the simulator is right.
    clock: Clock,
    http: net::HttpClient,
    weather: Mutex<Weather>,
}

/// The faults of all instances: they share one simulator, so the last change counts.
#[derive(Default)]
struct Weather {
    latency: Duration,
    noise: Vec<(Trouble, f64)>,
    outage: Option<Trouble>,
    frozen: bool,
    quotas: [Option<usize>; 2],
    refused: HashMap<usize, Vec<String>>,
    late: Option<(String, Duration)>,
}

impl RealApi {
    pub(super) async fn new(plan: &Plan) -> Self {
        let instances = plan.instances.iter().enumerate().map(|(instance, of)| {
            let clients = (0..of.devices).map(|device| client_id(instance, device));
            let clients = clients.map(|client| ClientId::new(client).expect("an ID"));
            let id = InstanceId::new(&instance_id(instance)).expect("an ID");
            (id, clients.collect())
        });
        let fleet = SimulatedFleet::new(instances.collect()).expect("each once");
        let rig = Rig::with(SimulatorOptions {
            seed: plan.seed,
            fleet,
            ..SimulatorOptions::default()
        })
        .await;
        let mut dice = Dice::new(plan.seed ^ 0xdead);
        for client in rig.clients() {
            assert!(rig.simulator.set_online(client, dice.chance(0.8)));
        }
        let endpoint = reqwest::Url::parse(&rig.announcement.endpoint).expect("a URL");
        let connect = Duration::from_secs(1);
        let http = net::client::client(&endpoint, None, connect, &net::Resolver::system())
            .expect("plain HTTP");
        Self {
            clock: Clock::manual(rig.clock.now()),
            rig,
            http,
            weather: Mutex::default(),
        }
    }
}

impl Weather {
    fn faults(&self) -> Faults {
        let share = |wanted: &[Trouble]| {
            let is_wanted = |trouble: &Trouble| wanted.contains(trouble);
            let noise = self.noise.iter();
            let noise = noise.filter(|(trouble, _)| is_wanted(trouble));
            let noise = noise.map(|(_, part)| part).sum();
            let outage = self.outage.as_ref();
            let of = outage.map_or(noise, |trouble| f64::from(is_wanted(trouble)));
            Probability::try_from(of.min(1.0)).expect("a probability")
        };
        let pause = Trouble::Throttled(false, Some(2000));
        let refusal = match self.outage {
            Some(Trouble::Nonce) => Some("*=400:SignatureNonceUsed"),
            Some(Trouble::Credentials) => Some("*=404:InvalidAccessKeyId.NotFound"),
            Some(Trouble::Terminal) => Some("*=403:NoPermission"),
            _ => None,
        };
        let late = self.late.iter();
        let late = late.map(|(client, by)| format!("{client}={}ms", by.as_millis()));
        let quotas = Operation::ALL.into_iter().zip(self.quotas);
        let quotas = quotas.filter_map(|(operation, quota)| {
            let quota = quota?;
            Some(format!("{}={quota}", operation.name()))
        });
        Faults {
            latency: self.latency.into(),
            latency_jitter: self.latency.into(),
            internal_error: share(&[Trouble::Internal]),
            throttling: share(&[Trouble::Throttled(false, None), pause]),
            system_overflow: share(&[Trouble::Throttled(true, None)]),
            undecodable: share(&[Trouble::Undecodable]),
            reset: share(&[Trouble::Reset, Trouble::Closed, Trouble::Connect]),
            hang: share(&[Trouble::Hang]),
            retry_after: (self.outage == Some(pause)).then(|| Duration::from_secs(2).into()),
            clock_skew: i64::from(self.outage == Some(Trouble::ClockSkew)) * 3600,
            dead_connections: self.outage == Some(Trouble::Lost),
            poison: self.refused.values().flatten().cloned().collect(),
            refusal: refusal
                .map(|text| text.parse().expect("valid"))
                .into_iter()
                .collect(),
            late: late.map(|text| text.parse().expect("valid")).collect(),
            quota: quotas.map(|text| text.parse().expect("valid")).collect(),
            freeze: self.frozen,
            ..Faults::default()
        }
    }
}

impl Stage for RealApi {
    fn clock(&self) -> Clock {
        self.clock.clone()
    }

    fn source(&self, instance: usize, call_timeout: Duration) -> Arc<dyn PresenceSource> {
        let announced = &self.rig.announcement;
        let provider = config::Provider::AccessKey {
            id: announced.access_key_id.clone(),
            secret: SecretSource::Inline(Secret::new(announced.access_key_secret.clone())),
            token: None,
        };
        let tools = tools(self.clock.clone(), &Env::default());
        let provider = CredentialProvider::new("storm", &provider, &tools);
        let options = ApiClientOptions {
            instance: InstanceId::new(&instance_id(instance)).expect("an ID"),
            endpoint: reqwest::Url::parse(&announced.endpoint).expect("a URL"),
            signature: Signature::V3,
            call_timeout,
        };
        let client = ApiClient::new(
            self.http.clone(),
            Arc::new(provider),
            self.clock.clone(),
            options,
        );
        Arc::new(client)
    }

    fn place(&self, _instance: usize) -> String {
        self.rig.announcement.endpoint.clone()
    }

    fn is_online(&self, instance: usize, client: &str) -> bool {
        let now = self.rig.clock.now();
        self.rig
            .simulator
            .truth(&instance_id(instance), client, now)
    }

    fn flip(&self, instance: usize, client: &str) {
        let online = self.is_online(instance, client);
        assert!(self.rig.simulator.set_online(client, !online));
    }

    fn change(&self, change: &Change) {
        let mut weather = self.weather.lock().expect("no panic");
        match change.clone() {
            Change::Latency(_, latency) => weather.latency = latency,
            Change::Noise(_, noise) => weather.noise = noise,
            Change::Outage(_, outage) => weather.outage = outage,
            Change::Freeze(_, frozen) => weather.frozen = frozen,
            Change::Quota(_, operation, quota) => weather.quotas[operation as usize] = quota,
            Change::Refuse(instance, devices) => {
                let clients = devices.into_iter();
                let clients = clients.map(|device| client_id(instance, device));
                weather.refused.insert(instance, clients.collect());
            }
            Change::Late(instance, late) => {
                weather.late = late.map(|(device, by)| (client_id(instance, device), by));
            }
        }
        self.rig.simulator.set_faults(weather.faults());
    }

    fn is_refused(&self, client: &str) -> bool {
        let weather = self.weather.lock().expect("no panic");
        let mut refused = weather.refused.values().flatten();
        refused.any(|refused| refused == client)
    }

    fn most_in_a_second(&self) -> [u64; 2] {
        let most = self.rig.simulator.stats().max_arrivals_per_second;
        [most[SINGLE], most[BATCH]]
    }
}
