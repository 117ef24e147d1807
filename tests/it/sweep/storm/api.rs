//! A fake API: devices with a truth over time, and calls with all that can go wrong with them.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use mqtt_presence_exporter::clock::{Clock, Timestamp};
use mqtt_presence_exporter::presence::{
    ApiResponse, BatchEntry, BoxFuture, CallError, Delivery, ErrorClass, Operation, PresenceSource,
    ThrottledLayer,
};
use tokio::sync::{oneshot, watch};
use tokio::time::{Instant, sleep, timeout};

use super::dice::Dice;
use super::plan::{Change, Plan, Trouble, client_id, instance_id};
use super::stage::Stage;

/// How far the cache that answers batches is behind.
const CACHE_LAG: Duration = Duration::from_secs(3);

type Outcome<T> = Result<ApiResponse<T>, CallError>;
/// What a service answers: statuses of clients.
type Answer = Result<Vec<(String, bool)>, Box<CallError>>;

#[derive(Debug)]
pub(super) struct FakeApi {
    clock: Clock,
    shared: Arc<Shared>,
    places: Vec<usize>,
}

#[derive(Debug)]
struct Shared {
    inner: Mutex<Inner>,
    /// Whether a place is frozen.
    frozen: [watch::Sender<bool>; 2],
}

#[derive(Debug)]
struct Inner {
    dice: Dice,
    /// When a device became online or offline.
    devices: HashMap<String, Vec<(Instant, bool)>>,
    weather: Vec<Weather>,
    /// By operation: when calls arrived.
    arrivals: [Vec<Instant>; 2],
}

/// What happens to the calls of an instance.
#[derive(Debug, Default)]
struct Weather {
    latency: Duration,
    noise: Vec<(Trouble, f64)>,
    outage: Option<Trouble>,
    quotas: [Option<usize>; 2],
    granted: [VecDeque<Instant>; 2],
    refused: HashSet<String>,
    late: Option<(String, Duration)>,
}

/// The way of one call.
struct Fate {
    trouble: Option<Trouble>,
    /// Until it arrives, and from there to the answer.
    travel: Duration,
    work: Duration,
    /// Whether a call whose connection ends arrives.
    arrives: bool,
}

impl FakeApi {
    pub(super) fn new(plan: &Plan) -> Self {
        let mut dice = Dice::new(plan.seed ^ 0xdead);
        let mut devices = HashMap::new();
        for (instance, of) in plan.instances.iter().enumerate() {
            for device in 0..of.devices {
                let history = vec![(Instant::now(), dice.chance(0.8))];
                devices.insert(client_id(instance, device), history);
            }
        }
        let calm = || Weather {
            latency: Duration::from_millis(20),
            ..Weather::default()
        };
        let inner = Inner {
            dice,
            devices,
            weather: plan.instances.iter().map(|_| calm()).collect(),
            arrivals: Default::default(),
        };
        Self {
            clock: Clock::manual(Timestamp::from_millis(1_700_000_000_000)),
            shared: Arc::new(Shared {
                inner: Mutex::new(inner),
                frozen: [watch::Sender::new(false), watch::Sender::new(false)],
            }),
            places: plan.instances.iter().map(|of| of.place).collect(),
        }
    }
}

impl Stage for FakeApi {
    fn clock(&self) -> Clock {
        self.clock.clone()
    }

    fn source(&self, instance: usize, call_timeout: Duration) -> Arc<dyn PresenceSource> {
        Arc::new(FakeSource {
            shared: Arc::clone(&self.shared),
            instance,
            place: self.places[instance],
            call_timeout,
            replaced: Mutex::new(0),
        })
    }

    fn place(&self, instance: usize) -> String {
        format!("https://place{}:443", self.places[instance])
    }

    fn is_online(&self, _instance: usize, client: &str) -> bool {
        self.shared.lock().online_at(client, Instant::now())
    }

    fn flip(&self, _instance: usize, client: &str) {
        let mut inner = self.shared.lock();
        let now = Instant::now();
        let online = inner.online_at(client, now);
        let history = inner.devices.get_mut(client).expect("a device");
        history.push((now, !online));
    }

    fn change(&self, change: &Change) {
        if let Change::Freeze(place, frozen) = change {
            self.shared.frozen[*place].send_replace(*frozen);
            return;
        }
        let mut inner = self.shared.lock();
        let weather = &mut inner.weather;
        match change.clone() {
            Change::Latency(i, latency) => weather[i].latency = latency,
            Change::Noise(i, noise) => weather[i].noise = noise,
            Change::Outage(i, trouble) => weather[i].outage = trouble,
            Change::Quota(i, operation, quota) => weather[i].quotas[operation as usize] = quota,
            Change::Refuse(i, devices) => {
                let clients = devices.into_iter().map(|device| client_id(i, device));
                weather[i].refused = clients.collect();
            }
            Change::Late(i, late) => {
                weather[i].late = late.map(|(device, by)| (client_id(i, device), by));
            }
            Change::Freeze(..) => unreachable!("handled above"),
        }
    }

    fn is_refused(&self, client: &str) -> bool {
        let inner = self.shared.lock();
        let mut weather = inner.weather.iter();
        weather.any(|weather| weather.refused.contains(client))
    }

    fn most_in_a_second(&self) -> [u64; 2] {
        let inner = self.shared.lock();
        inner.arrivals.each_ref().map(|arrivals| {
            let mut arrivals = arrivals.clone();
            arrivals.sort_unstable();
            let mut first = 0;
            let counts = arrivals.iter().enumerate().map(|(last, at)| {
                while *at - arrivals[first] >= Duration::from_secs(1) {
                    first += 1;
                }
                last + 1 - first
            });
            counts.max().unwrap_or(0) as u64
        })
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().expect("no holder panics")
    }

    async fn thawed(&self, place: usize) {
        let mut frozen = self.frozen[place].subscribe();
        let _ = frozen.wait_for(|frozen| !frozen).await;
    }
}

impl Inner {
    fn online_at(&self, client: &str, at: Instant) -> bool {
        let Some(history) = self.devices.get(client) else {
            return false;
        };
        let seen = history.iter().rev().find(|(since, _)| *since <= at);
        seen.unwrap_or(&history[0]).1
    }

    fn fate(&mut self, instance: usize, clients: &[String]) -> Fate {
        let (dice, weather) = (&mut self.dice, &self.weather[instance]);
        let mut noise = dice.unit();
        let noise = weather.noise.iter().find(|(_, part)| {
            noise -= part;
            noise < 0.0
        });
        let part = |dice: &mut Dice| weather.latency.mul_f64(dice.unit());
        let late = weather.late.as_ref();
        let late = late.filter(|(client, _)| clients.contains(client));
        Fate {
            trouble: weather.outage.or(noise.map(|(trouble, _)| *trouble)),
            travel: part(dice),
            work: part(dice) + late.map_or(Duration::ZERO, |(_, by)| *by),
            arrives: dice.chance(0.5),
        }
    }

    /// A call arrives, and this is the answer to it.
    fn arrive(
        &mut self,
        instance: usize,
        operation: Operation,
        clients: &[String],
        trouble: Option<Trouble>,
    ) -> Answer {
        let now = Instant::now();
        self.arrivals[operation as usize].push(now);
        let weather = &mut self.weather[instance];
        if let Some(trouble) = trouble {
            return Err(error(instance, operation, trouble));
        }
        if let Some(quota) = weather.quotas[operation as usize] {
            let granted = &mut weather.granted[operation as usize];
            granted.retain(|at| now - *at < Duration::from_secs(1));
            if granted.len() >= quota {
                let throttled = Trouble::Throttled(false, None);
                return Err(error(instance, operation, throttled));
            }
            granted.push_back(now);
        }
        if clients
            .iter()
            .any(|client| weather.refused.contains(client))
        {
            let mut error = error(instance, operation, Trouble::Internal);
            error.class = ErrorClass::Client;
            error.label = "ParameterCheckFailed";
            return Err(error);
        }
        match operation {
            Operation::Single => {
                let online = self.online_at(&clients[0], now);
                Ok(vec![(clients[0].clone(), online)])
            }
            Operation::Batch => {
                let as_of = now.checked_sub(CACHE_LAG).unwrap_or(now);
                let mut answer = Vec::new();
                for client in clients {
                    // Some are missing, in any order.
                    if self.dice.chance(0.98) {
                        let at = self.dice.below(answer.len() + 1);
                        answer.insert(at, (client.clone(), self.online_at(client, as_of)));
                    }
                }
                Ok(answer)
            }
        }
    }
}

/// The error of a call.
fn error(instance: usize, operation: Operation, trouble: Trouble) -> Box<CallError> {
    let (class, delivery, label) = match trouble {
        Trouble::Connect => (ErrorClass::Connect, Delivery::NotSent, "connect"),
        Trouble::Reset => (ErrorClass::Transient, Delivery::Unanswered, "connection"),
        Trouble::Closed => (ErrorClass::Closed, Delivery::Unanswered, "closed"),
        Trouble::Hang | Trouble::Lost => (ErrorClass::Transient, Delivery::Unanswered, "timeout"),
        Trouble::Internal => (ErrorClass::Transient, Delivery::Answered, "InternalError"),
        Trouble::Undecodable => (ErrorClass::Transient, Delivery::Answered, "undecodable"),
        Trouble::Throttled(by_instance, pause) => {
            let class = ErrorClass::Throttled {
                layer: if by_instance {
                    ThrottledLayer::Instance
                } else {
                    ThrottledLayer::Account
                },
                retry_after: pause.map(Duration::from_millis),
            };
            (class, Delivery::Answered, "Throttling.User")
        }
        Trouble::ClockSkew => (
            ErrorClass::ClockSkew,
            Delivery::Answered,
            "InvalidTimeStamp",
        ),
        Trouble::Nonce => (ErrorClass::Nonce, Delivery::Answered, "SignatureNonceUsed"),
        Trouble::Credentials => (
            ErrorClass::Credentials,
            Delivery::Answered,
            "InvalidAccessKeyId",
        ),
        Trouble::Terminal => (ErrorClass::Terminal, Delivery::Answered, "NoPermission"),
    };
    Box::new(CallError {
        class,
        delivery,
        label,
        operation: operation.name(),
        instance: instance_id(instance),
        code: label.to_owned(),
        message: "a storm".to_owned(),
        request_id: None,
        advice: "wait",
    })
}

/// The API for one instance.
#[derive(Debug)]
struct FakeSource {
    shared: Arc<Shared>,
    instance: usize,
    place: usize,
    call_timeout: Duration,
    /// How often the credentials were replaced.
    replaced: Mutex<u64>,
}

impl FakeSource {
    async fn call(&self, operation: Operation, clients: Vec<String>) -> Answer {
        let instance = self.instance;
        let Fate {
            trouble,
            travel,
            work,
            arrives,
        } = self.shared.lock().fate(instance, &clients);
        let failed = |trouble| Err(error(instance, operation, trouble));
        if trouble == Some(Trouble::Connect) {
            sleep(travel).await;
            return failed(Trouble::Connect);
        }
        let (answer, answered) = oneshot::channel();
        let cut = trouble.filter(|trouble| matches!(trouble, Trouble::Reset | Trouble::Closed));
        if trouble != Some(Trouble::Lost) && (cut.is_none() || arrives) {
            let (shared, place) = (Arc::clone(&self.shared), self.place);
            tokio::spawn(async move {
                sleep(travel).await;
                shared.thawed(place).await;
                let result = shared.lock().arrive(instance, operation, &clients, trouble);
                if trouble == Some(Trouble::Hang) {
                    return;
                }
                sleep(work).await;
                shared.thawed(place).await;
                let _ = answer.send(result);
            });
        }
        let ended = async {
            if let Some(cut) = cut {
                sleep(travel + work).await;
                return failed(cut);
            }
            match answered.await {
                Ok(result) => result,
                Err(_) => std::future::pending().await,
            }
        };
        let ended = timeout(self.call_timeout, ended).await;
        ended.unwrap_or_else(|_| failed(Trouble::Hang))
    }
}

impl PresenceSource for FakeSource {
    fn query<'a>(&'a self, client: &'a str) -> BoxFuture<'a, Outcome<bool>> {
        Box::pin(async move {
            let sent = Instant::now();
            let answer = self.call(Operation::Single, vec![client.to_owned()]).await;
            let answer = answer.map_err(|error| *error)?;
            Ok(ApiResponse {
                value: answer[0].1,
                sent,
                request_id: None,
            })
        })
    }

    fn query_batch<'a>(
        &'a self,
        clients: &'a [&'a str],
    ) -> BoxFuture<'a, Outcome<Vec<BatchEntry>>> {
        Box::pin(async move {
            let clients = clients.iter().map(|client| (*client).to_owned()).collect();
            let sent = Instant::now();
            let answer = self.call(Operation::Batch, clients).await;
            let entries = answer.map_err(|error| *error)?.into_iter();
            let entries = entries.map(|(client, online)| BatchEntry { client, online });
            Ok(ApiResponse {
                value: entries.collect(),
                sent,
                request_id: None,
            })
        })
    }

    fn refresh_credentials(&self) -> BoxFuture<'_, bool> {
        Box::pin(async {
            let (wait, changed) = {
                let mut inner = self.shared.lock();
                (inner.dice.millis(1..2000), inner.dice.chance(0.3))
            };
            sleep(wait).await;
            *self.replaced.lock().expect("no panic") += u64::from(changed);
            changed
        })
    }

    fn credentials_replaced(&self) -> u64 {
        *self.replaced.lock().expect("no panic")
    }

    fn clock_offset_millis(&self) -> i64 {
        0
    }
}
