//! The way out of the process: every call waits here for its permit.
//!
//! The limits themselves are pure ([`crate::limits`]); this module gives them the time, the
//! layers of the vendor's quotas, and somebody to wake up.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, oneshot};
use tokio::task::AbortHandle;
use tokio::time::Instant;

use super::budget::Budget;
use crate::config::Quotas;
use crate::limits::{self, LaneId, LayerId, LayerSpec, LayerTree, Priority, Ticket, Time};
use crate::presence::{InstanceId, Operation, ThrottledLayer};
use crate::telemetry::Metrics;

/// All permits of the process.
#[derive(Debug)]
pub struct Limiter {
    shared: Arc<Shared>,
    driver: AbortHandle,
}

/// Where the calls of one instance line up; its clones are the same place.
#[derive(Clone, Debug)]
pub(super) struct InstanceQueue {
    lanes: [LaneId; 2],
    account: [LayerId; 2],
    instance: LayerId,
    /// What retries of this instance's account may cost.
    pub(super) budget: Arc<Budget>,
}

impl InstanceQueue {
    /// Whether calls line up in the same place.
    pub(super) fn is(&self, other: &Self) -> bool {
        self.lanes == other.lanes
    }
}

/// The right to make one call, for as long as it is kept: it is dropped when the answer is
/// there, or the connection closed.
#[derive(Debug)]
pub(super) struct CallPermit {
    shared: Arc<Shared>,
    granted: Option<limits::Permit>,
    /// When the call left.
    pub(super) sent: Time,
}

#[derive(Debug)]
struct Shared {
    origin: Instant,
    inner: Mutex<Inner>,
    wake: Notify,
}

#[derive(Debug)]
struct Inner {
    quotas: Quotas,
    limits: LayerTree,
    waiting: HashMap<Ticket, oneshot::Sender<CallPermit>>,
    layers: Vec<NamedLayer>,
    /// The layers of the instances that are queried. Only these, the layers of their accounts and
    /// those of the egress IP have series.
    in_use: HashSet<LayerId>,
    egress: [LayerId; 2],
    accounts: HashMap<Option<String>, Account>,
    /// By account and instance. A lane is never given up: its limits remember what was asked,
    /// should the instance come back.
    lanes: HashMap<(Option<String>, InstanceId), InstanceQueue>,
}

#[derive(Clone, Debug)]
struct Account {
    layers: [LayerId; 2],
    budget: Arc<Budget>,
}

/// A layer as metrics name it.
#[derive(Debug)]
struct NamedLayer {
    id: LayerId,
    /// `egress`, `account` or `instance`.
    layer: &'static str,
    /// The name of the account or the ID of the instance; empty for the egress IP.
    name: String,
    operation: Operation,
}

impl NamedLayer {
    fn labels(&self) -> [&str; 3] {
        [self.layer, &self.name, self.operation.name()]
    }
}

impl Inner {
    fn add(
        &mut self,
        above: LayerId,
        (layer, name): (&'static str, &str),
        operation: Operation,
        spec: &LayerSpec,
        opens_at: Time,
    ) -> LayerId {
        let id = self.limits.add_layer(Some(above), spec, opens_at);
        self.layers.push(NamedLayer {
            id,
            layer,
            name: name.to_owned(),
            operation,
        });
        id
    }

    /// The two layers of an account, made when it is first spoken of. An account may do more than
    /// an egress IP; its layers begin at the IP's rate, so that halving them slows down at once.
    fn account(&mut self, name: Option<&str>, quotas: Quotas, opens_at: Time) -> Account {
        let key = name.map(str::to_owned);
        if let Some(account) = self.accounts.get(&key) {
            return account.clone();
        }
        let label = ("account", name.unwrap_or("default"));
        let layer = |operation| {
            let spec = quotas.egress(operation).with_in_flight(usize::MAX);
            self.add(
                self.egress[operation as usize],
                label,
                operation,
                &spec,
                opens_at,
            )
        };
        let layers = Operation::ALL.map(layer);
        let account = Account {
            layers,
            budget: Arc::new(Budget::new()),
        };
        self.accounts.insert(key, account.clone());
        account
    }

    /// The layers that have series.
    fn exported(&self) -> HashSet<LayerId> {
        let used = |queue: &&InstanceQueue| self.in_use.contains(&queue.instance);
        let accounts = self
            .lanes
            .values()
            .filter(used)
            .flat_map(|queue| queue.account);
        let egress = self.egress.into_iter();
        egress
            .chain(accounts)
            .chain(self.in_use.iter().copied())
            .collect()
    }
}

impl Limiter {
    /// Opens the gate; the time of its limits begins now.
    #[must_use]
    pub fn new(quotas: Quotas) -> Self {
        let opens_at = Time::START + quotas.quiet;
        let mut limits = LayerTree::default();
        let layer = |operation| limits.add_layer(None, &quotas.egress(operation), opens_at);
        let egress = Operation::ALL.map(layer);
        let layers = Operation::ALL.map(|operation| NamedLayer {
            id: egress[operation as usize],
            layer: "egress",
            name: String::new(),
            operation,
        });
        let inner = Inner {
            quotas,
            limits,
            waiting: HashMap::new(),
            layers: layers.into(),
            in_use: HashSet::new(),
            egress,
            accounts: HashMap::new(),
            lanes: HashMap::new(),
        };
        let shared = Arc::new(Shared {
            origin: Instant::now(),
            inner: Mutex::new(inner),
            wake: Notify::new(),
        });
        let driver = tokio::spawn(drive(Arc::clone(&shared))).abort_handle();
        Self { shared, driver }
    }

    /// Puts other quotas in force. What was spent, taken or halved under the old ones stays so.
    pub fn reconfigure(&self, quotas: Quotas) {
        let now = self.shared.now();
        {
            let Inner {
                quotas: current,
                limits,
                egress,
                accounts,
                ..
            } = &mut *self.shared.lock();
            *current = quotas;
            for operation in Operation::ALL {
                let spec = quotas.egress(operation);
                limits.reconfigure(egress[operation as usize], &spec, now);
                for account in accounts.values() {
                    limits.reconfigure(
                        account.layers[operation as usize],
                        &spec.with_in_flight(usize::MAX),
                        now,
                    );
                }
            }
        }
        self.shared.wake.notify_one();
    }

    /// The lane of an instance, which is the same one whenever it is asked for with the same
    /// account; what the instance is to bear, in single calls of all shards together, may be another
    /// each time.
    pub(super) fn queue(
        &self,
        instance: &InstanceId,
        account: Option<&str>,
        calls_per_second: u32,
    ) -> InstanceQueue {
        let now = self.shared.now();
        let key = (account.map(str::to_owned), instance.clone());
        let mut inner = self.shared.lock();
        let quotas = inner.quotas;
        let own = quotas.instance(calls_per_second);
        if let Some(queue) = inner.lanes.get(&key).cloned() {
            inner.limits.reconfigure(queue.instance, &own, now);
            inner.in_use.insert(queue.instance);
            drop(inner);
            self.shared.wake.notify_one();
            return queue;
        }
        let opens_at = (Time::START + quotas.quiet).max(now);
        let account = inner.account(account, quotas, opens_at);
        let label = ("instance", instance.as_str());
        let own = inner.add(account.layers[0], label, Operation::Single, &own, opens_at);
        inner.in_use.insert(own);
        let lanes = [
            inner.limits.add_lane(own),
            inner.limits.add_lane(account.layers[1]),
        ];
        let lane = InstanceQueue {
            lanes,
            account: account.layers,
            instance: own,
            budget: account.budget,
        };
        inner.lanes.insert(key, lane.clone());
        lane
    }

    /// The instance of `queue` is not queried any more: the next export removes its series.
    pub(super) fn forget(&self, queue: &InstanceQueue) {
        self.shared.lock().in_use.remove(&queue.instance);
    }

    /// Before this, no call leaves.
    pub(super) fn opens_at(&self) -> Instant {
        self.shared.origin + self.shared.lock().quotas.quiet
    }

    /// Waits for the right to make one call. Urgent ones go first, within a tenth of the rate.
    pub(super) async fn permit(
        &self,
        queue: &InstanceQueue,
        operation: Operation,
        priority: Priority,
    ) -> CallPermit {
        let (sender, receiver) = oneshot::channel();
        let ticket = {
            let now = self.shared.now();
            let mut inner = self.shared.lock();
            let ticket = inner
                .limits
                .enqueue(now, queue.lanes[operation as usize], priority);
            let ticket = ticket.expect("a lane is there as long as its owner");
            inner.waiting.insert(ticket, sender);
            ticket
        };
        let _cancel = Cancel {
            shared: &self.shared,
            ticket,
        };
        if self.shared.advance().is_some() {
            self.shared.wake.notify_one();
        }
        receiver
            .await
            .expect("a waiting ticket is granted or cancelled, and only its owner cancels it")
    }

    /// Slows down the layer that a throttling answer speaks of.
    pub(super) fn throttled(
        &self,
        queue: &InstanceQueue,
        operation: Operation,
        layer: ThrottledLayer,
        sent: Time,
        retry_after: Option<Duration>,
    ) {
        let now = self.shared.now();
        let layer = match (layer, operation) {
            (ThrottledLayer::Instance, Operation::Single) => queue.instance,
            // What instances bear of batch calls is bounded by the account's layer alone.
            (ThrottledLayer::Account, _) | (ThrottledLayer::Instance, Operation::Batch) => {
                queue.account[operation as usize]
            }
        };
        self.shared
            .lock()
            .limits
            .throttled(layer, sent, now, retry_after);
    }

    /// How long `calls` of `lane` take at the rates in force, if it were alone.
    pub(super) fn time_for(
        &self,
        queue: &InstanceQueue,
        operation: Operation,
        calls: usize,
    ) -> Duration {
        let layers = match operation {
            Operation::Single => [queue.account[0], queue.instance],
            Operation::Batch => [queue.account[1]; 2],
        };
        layers
            .into_iter()
            .map(|layer| self.time_through(layer, calls))
            .fold(Duration::ZERO, Duration::max)
    }

    /// How long `calls` of all lanes together take on this egress IP.
    pub(super) fn egress_time_for(&self, operation: Operation, calls: usize) -> Duration {
        let egress = self.shared.lock().egress[operation as usize];
        self.time_through(egress, calls)
    }

    fn time_through(&self, layer: LayerId, calls: usize) -> Duration {
        let now = self.shared.now();
        let (rate, quiet) = {
            let inner = self.shared.lock();
            let rate = inner
                .limits
                .rate_in_force(layer, now)
                .expect("layers are never removed");
            (rate, (Time::START + inner.quotas.quiet).since(now))
        };
        quiet + Duration::from_secs_f64(calls as f64 / rate.calls_per_second())
    }

    /// Writes the rates in force and the waits into `metrics`.
    pub(super) fn export(&self, metrics: &Metrics) {
        let now = self.shared.now();
        let inner = self.shared.lock();
        let (rates, waits) = (
            &metrics.limiter_calls_per_second,
            &metrics.limiter_wait_seconds_total,
        );
        let exported = inner.exported();
        let (used, unused): (Vec<_>, Vec<_>) = inner
            .layers
            .iter()
            .partition(|layer| exported.contains(&layer.id));
        for layer in unused {
            let labels = layer.labels();
            // An instance that moved to another account has the same labels there.
            if !used.iter().any(|used| used.labels() == labels) {
                // It fails where there is no such series.
                let _ = rates.remove_label_values(&labels);
                let _ = waits.remove_label_values(&labels);
            }
        }
        for layer in used {
            let labels = layer.labels();
            if let Some(rate) = inner.limits.rate_in_force(layer.id, now) {
                rates
                    .with_label_values(&labels)
                    .set(rate.calls_per_second());
            }
            // Only this function adds to the counter, and under the lock.
            let counter = waits.with_label_values(&labels);
            let waited = inner.limits.waited(layer.id).unwrap_or_default();
            counter.inc_by((waited.as_secs_f64() - counter.get()).max(0.0));
        }
    }
}

impl Drop for Limiter {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

impl Shared {
    fn now(&self) -> Time {
        Time::START + self.origin.elapsed()
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Hands out what can be handed out now; the time at which more can be.
    fn advance(self: &Arc<Self>) -> Option<Time> {
        let now = self.now();
        let mut inner = self.lock();
        let advance = inner.limits.advance(now);
        let granted: Vec<_> = advance
            .granted
            .into_iter()
            .map(|(ticket, permit)| {
                let permit = CallPermit {
                    shared: Arc::clone(self),
                    granted: Some(permit),
                    sent: now,
                };
                (inner.waiting.remove(&ticket), permit)
            })
            .collect();
        // A permit that nobody waits for any more locks again when it is given back.
        drop(inner);
        for (sender, permit) in granted {
            let unwanted = match sender {
                Some(sender) => sender.send(permit).err(),
                None => Some(permit),
            };
            if let Some(permit) = unwanted {
                permit.return_unsent();
            }
        }
        advance.next
    }
}

impl CallPermit {
    /// Gives the permit back without having used it.
    fn return_unsent(mut self) {
        if let Some(permit) = self.granted.take() {
            self.shared.lock().limits.return_unsent(permit);
            self.shared.wake.notify_one();
        }
    }
}

impl Drop for CallPermit {
    fn drop(&mut self) {
        if let Some(permit) = self.granted.take() {
            let now = self.shared.now();
            self.shared.lock().limits.finish(permit, now);
            self.shared.wake.notify_one();
        }
    }
}

/// Takes a ticket back when its owner stops waiting.
struct Cancel<'a> {
    shared: &'a Shared,
    ticket: Ticket,
}

impl Drop for Cancel<'_> {
    fn drop(&mut self) {
        let mut inner = self.shared.lock();
        if inner.waiting.remove(&self.ticket).is_some() {
            inner.limits.cancel(self.ticket);
            self.shared.wake.notify_one();
        }
    }
}

/// Wakes the waiting at their times.
async fn drive(shared: Arc<Shared>) {
    loop {
        match shared.advance() {
            Some(next) => {
                let at = shared.origin + next.since(Time::START);
                tokio::select! {
                    () = tokio::time::sleep_until(at) => {}
                    () = shared.wake.notified() => {}
                }
            }
            None => shared.wake.notified().await,
        }
    }
}
