//! The permits of the process: every call waits here before it leaves.
//!
//! The limits themselves are pure ([`crate::limits`]). This file supplies the time and the layers
//! (egress, accounts, instances), and wakes the calls that wait.

use std::collections::{HashMap, HashSet};
use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, oneshot};
use tokio::time::{Instant, timeout_at};
use tokio_util::task::AbortOnDropHandle;

use super::retry::RetryBudget;
use crate::config::Quotas;
use crate::limits::{
    LaneId, LayerId, LayerSpec, LayerTree, Outcome, Permit, PlaceId, Priority, Ticket, Time,
};
use crate::presence::{ErrorClass, InstanceId, Operation, ThrottledLayer};
use crate::random::Random;
use crate::telemetry::Metrics;

/// All permits of the process.
#[derive(Debug)]
pub struct Limiter {
    shared: Arc<Shared>,
    _driver: AbortOnDropHandle<()>,
}

/// The queue of the calls to one instance.
#[derive(Debug)]
pub(super) struct InstanceQueue {
    /// By operation.
    lanes: [LaneId; 2],
    instance: LayerId,
    pub(super) account: Arc<Account>,
}

/// What the instances of an account share.
#[derive(Debug)]
pub(super) struct Account {
    /// By operation.
    layers: [LayerId; 2],
    pub(super) budget: RetryBudget,
}

/// The right to make one call, until [`CallPermit::finish`].
#[derive(Debug)]
pub(super) struct CallPermit {
    shared: Arc<Shared>,
    permit: Option<Permit>,
    /// The time at which the call left.
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
    egress: [LayerId; 2],
    accounts: HashMap<Option<String>, Arc<Account>>,
    /// By account and instance. A queue is never removed, so that its limits keep their state if
    /// the instance comes back.
    queues: HashMap<(Option<String>, InstanceId), Arc<InstanceQueue>>,
    /// The labels of the series of the last export.
    exported: HashSet<SeriesLabels>,
    /// By scheme, host and port. A place is never removed.
    places: HashMap<String, PlaceId>,
}

/// The labels of a layer in metrics: `egress`, `account` or `instance`; the name of the account or
/// the ID of the instance; the operation.
type SeriesLabels = (&'static str, String, &'static str);

impl InstanceQueue {
    /// The lowest layer that a call of an operation passes. The batch calls of an instance are
    /// bounded by the layer of its account only.
    fn lowest_layer(&self, operation: Operation) -> LayerId {
        match operation {
            Operation::Single => self.instance,
            Operation::Batch => self.account.layers[operation as usize],
        }
    }
}

impl Inner {
    /// The layers of an account, which are added at its first use. An account may make more calls
    /// than one egress IP. Its layers start at the rate of the IP, so that a throttled
    /// answer has an effect at once.
    fn account(&mut self, name: Option<&str>, opens_at: Time) -> Arc<Account> {
        let add_layer = |operation| {
            let above = Some(self.egress[operation as usize]);
            let spec = account_spec(&self.quotas, operation);
            self.limits.add_layer(above, &spec, opens_at)
        };
        let account = self.accounts.entry(name.map(str::to_owned));
        let account = account.or_insert_with(|| {
            Arc::new(Account {
                layers: Operation::ALL.map(add_layer),
                budget: RetryBudget::default(),
            })
        });
        Arc::clone(account)
    }

    fn place(&mut self, place: &str) -> PlaceId {
        let known = self.places.get(place).copied();
        known.unwrap_or_else(|| {
            let id = self.limits.add_place();
            self.places.insert(place.to_owned(), id);
            id
        })
    }

    /// The queues in use: those that have callers.
    fn queues_in_use(
        &self,
    ) -> impl Iterator<Item = (&(Option<String>, InstanceId), &InstanceQueue)> {
        let queues = self.queues.iter();
        queues
            .filter(|(_, queue)| Arc::strong_count(queue) > 1)
            .map(|(key, queue)| (key, &**queue))
    }

    /// Tells the limits which places are in use.
    fn update_places(&mut self, now: Time) {
        let lanes = self.queues_in_use().map(|(_, queue)| queue.lanes[0]);
        let used: HashSet<PlaceId> = lanes.map(|lane| self.limits.place(lane)).collect();
        for place in self.places.values() {
            self.limits.set_in_use(*place, used.contains(place), now);
        }
    }

    /// The layers that have series: those of the egress IP, and those of the queues in use and of
    /// their accounts.
    fn series(&self) -> HashMap<SeriesLabels, LayerId> {
        let mut series = HashMap::new();
        let mut add = |layer, name: &str, ids: &[LayerId]| {
            for (operation, id) in Operation::ALL.iter().zip(ids) {
                series.insert((layer, name.to_owned(), operation.name()), *id);
            }
        };
        add("egress", "", &self.egress);
        for ((account, instance), queue) in self.queues_in_use() {
            let account = account.as_deref().unwrap_or("default");
            add("account", account, &queue.account.layers);
            add("instance", instance.as_str(), &[queue.instance]);
        }
        series
    }
}

fn account_spec(quotas: &Quotas, operation: Operation) -> LayerSpec {
    LayerSpec {
        in_flight: usize::MAX,
        ..quotas.egress(operation)
    }
}

impl Limiter {
    /// Starts the time of the limits. `random` spreads the seconds in which
    /// processes that share a quota try for more.
    #[must_use]
    pub fn new(quotas: Quotas, random: &Random) -> Self {
        let opens_at = Time::START + quotas.quiet;
        let mut limits = LayerTree::new(random.number());
        let egress = Operation::ALL
            .map(|operation| limits.add_layer(None, &quotas.egress(operation), opens_at));
        let shared = Arc::new(Shared {
            origin: Instant::now(),
            inner: Mutex::new(Inner {
                quotas,
                limits,
                waiting: HashMap::new(),
                egress,
                accounts: HashMap::new(),
                queues: HashMap::new(),
                exported: HashSet::new(),
                places: HashMap::new(),
            }),
            wake: Notify::new(),
        });
        let driver = tokio::spawn(drive(Arc::clone(&shared)));
        Self {
            shared,
            _driver: AbortOnDropHandle::new(driver),
        }
    }

    /// Changes the quotas. What was spent, taken or granted under the old quotas stays known.
    pub fn reconfigure(&self, quotas: Quotas) {
        let now = self.shared.now();
        let mut inner = self.shared.lock();
        let inner = &mut *inner;
        inner.quotas = quotas;
        for operation in Operation::ALL {
            let egress = (inner.egress[operation as usize], quotas.egress(operation));
            let accounts = inner.accounts.values().map(|account| {
                let spec = account_spec(&quotas, operation);
                (account.layers[operation as usize], spec)
            });
            for (layer, spec) in std::iter::once(egress).chain(accounts) {
                inner.limits.reconfigure(layer, &spec, now);
            }
        }
        self.shared.wake.notify_one();
    }

    /// The queue of an instance, which stays the same for the same account. `calls_per_second` is
    /// the limit on its single calls from all shards; it and `place`, the scheme, host and port of
    /// the API, may be different at each call. The queue has series in metrics until its callers
    /// have dropped it.
    pub(super) fn queue(
        &self,
        instance: &InstanceId,
        account: Option<&str>,
        calls_per_second: u32,
        place: &str,
    ) -> Arc<InstanceQueue> {
        let now = self.shared.now();
        let key = (account.map(str::to_owned), instance.clone());
        let mut inner = self.shared.lock();
        let inner = &mut *inner;
        let spec = inner.quotas.instance(calls_per_second);
        let place = inner.place(place);
        if let Some(queue) = inner.queues.get(&key).cloned() {
            inner.limits.reconfigure(queue.instance, &spec, now);
            for lane in queue.lanes {
                inner.limits.move_lane(lane, place);
            }
            inner.update_places(now);
            self.shared.wake.notify_one();
            return queue;
        }
        let opens_at = (Time::START + inner.quotas.quiet).max(now);
        let account = inner.account(account, opens_at);
        let [single, batch] = account.layers;
        let instance = inner.limits.add_layer(Some(single), &spec, opens_at);
        let lanes = [instance, batch].map(|layer| inner.limits.add_lane(layer, place));
        let queue = Arc::new(InstanceQueue {
            lanes,
            instance,
            account,
        });
        inner.queues.insert(key, Arc::clone(&queue));
        inner.update_places(now);
        queue
    }

    /// Whether the calls of `queue` wait until a trial call to their place is answered.
    pub(super) fn is_shut(&self, queue: &InstanceQueue) -> bool {
        self.shared.lock().limits.is_shut(queue.lanes[0])
    }

    /// The time before which no call leaves.
    pub(super) fn opens_at(&self) -> Instant {
        self.shared.origin + self.shared.lock().quotas.quiet
    }

    /// Waits for the right to make one call. Urgent calls go first, within a tenth of the rate.
    pub(super) async fn permit(
        &self,
        queue: &InstanceQueue,
        operation: Operation,
        priority: Priority,
    ) -> CallPermit {
        let (sender, receiver) = oneshot::channel();
        let now = self.shared.now();
        let ticket = {
            let mut inner = self.shared.lock();
            let lane = queue.lanes[operation as usize];
            let ticket = inner.limits.enqueue(now, lane, priority);
            inner.waiting.insert(ticket, sender);
            ticket
        };
        let shared = &self.shared;
        let _cancel = Cancel { shared, ticket };
        if shared.advance().is_some() {
            shared.wake.notify_one();
        }
        receiver
            .await
            .expect("a waiting ticket is granted, or cancelled by its owner")
    }

    /// Slows down the layer that a throttled answer names.
    pub(super) fn call_failed(
        &self,
        queue: &InstanceQueue,
        operation: Operation,
        sent: Time,
        class: ErrorClass,
    ) {
        let ErrorClass::Throttled { layer, retry_after } = class else {
            return;
        };
        let layer = match layer {
            ThrottledLayer::Instance => queue.lowest_layer(operation),
            ThrottledLayer::Account => queue.account.layers[operation as usize],
        };
        let now = self.shared.now();
        let mut inner = self.shared.lock();
        inner.limits.throttled(layer, sent, now, retry_after);
    }

    /// The time that `calls` of `queue` take at the rates in force if no other queue has calls.
    pub(super) fn time_for(
        &self,
        queue: &InstanceQueue,
        operation: Operation,
        calls: usize,
    ) -> Duration {
        let account = self.time_through(queue.account.layers[operation as usize], calls);
        account.max(self.time_through(queue.lowest_layer(operation), calls))
    }

    /// The time that `calls` of all queues together take on this egress IP.
    pub(super) fn egress_time_for(&self, operation: Operation, calls: usize) -> Duration {
        let egress = self.shared.lock().egress[operation as usize];
        self.time_through(egress, calls)
    }

    fn time_through(&self, layer: LayerId, calls: usize) -> Duration {
        let now = self.shared.now();
        let inner = self.shared.lock();
        let rate = inner.limits.rate_in_force(layer, now);
        let shut = inner.limits.shut_until(layer).since(now);
        shut + Duration::from_secs_f64(calls as f64 / rate.calls_per_second())
    }

    /// Writes the rates in force and the waits into `metrics`.
    pub(super) fn export(&self, metrics: &Metrics) {
        let now = self.shared.now();
        let mut inner = self.shared.lock();
        inner.update_places(now);
        let rates = &metrics.limiter_calls_per_second;
        let waits = &metrics.limiter_wait_seconds_total;
        let series = inner.series();
        for (labels, id) in &series {
            let labels = [labels.0, &labels.1, labels.2];
            let rate = inner.limits.rate_in_force(*id, now);
            let gauge = rates.with_label_values(&labels);
            gauge.set(rate.calls_per_second());
            // Only this function adds to the counter, and under the lock.
            let counter = waits.with_label_values(&labels);
            let waited = inner.limits.waited(*id).as_secs_f64();
            counter.inc_by((waited - counter.get()).max(0.0));
        }
        let exported = series.into_keys().collect();
        let before = mem::replace(&mut inner.exported, exported);
        for labels in before.difference(&inner.exported) {
            let labels = [labels.0, &labels.1, labels.2];
            // It fails if there is no such series.
            let _ = rates.remove_label_values(&labels);
            let _ = waits.remove_label_values(&labels);
        }
    }
}

impl Shared {
    fn now(&self) -> Time {
        Time::START + self.origin.elapsed()
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Grants what can be granted now; returns the time at which more can be.
    fn advance(self: &Arc<Self>) -> Option<Time> {
        let now = self.now();
        let mut inner = self.lock();
        let advance = inner.limits.advance(now);
        let granted: Vec<_> = advance
            .granted
            .into_iter()
            .map(|(ticket, permit)| (inner.waiting.remove(&ticket), permit))
            .collect();
        // A permit whose receiver is gone takes the lock when it is given back.
        drop(inner);
        for (sender, permit) in granted {
            let permit = CallPermit {
                shared: Arc::clone(self),
                sent: permit.granted_at,
                permit: Some(permit),
            };
            let unwanted = match sender {
                Some(sender) => sender.send(permit).err(),
                None => Some(permit),
            };
            if let Some(permit) = unwanted {
                permit.finish(Outcome::Unused);
            }
        }
        advance.next
    }
}

impl CallPermit {
    /// The API answered the call and did not throttle it.
    pub(super) fn granted(&self) {
        if let Some(permit) = &self.permit {
            let now = self.shared.now();
            self.shared.lock().limits.granted(permit, now);
        }
    }

    /// The call has ended.
    pub(super) fn finish(mut self, outcome: Outcome) {
        self.give_back(outcome);
    }

    fn give_back(&mut self, outcome: Outcome) {
        if let Some(permit) = self.permit.take() {
            let now = self.shared.now();
            self.shared.lock().limits.finish(permit, outcome, now);
            self.shared.wake.notify_one();
        }
    }
}

impl Drop for CallPermit {
    /// The call was abandoned and may still arrive.
    fn drop(&mut self) {
        self.give_back(Outcome::Unanswered);
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

/// Grants permits at their times.
async fn drive(shared: Arc<Shared>) {
    loop {
        let next = shared.advance();
        let woken = shared.wake.notified();
        match next.map(|next| shared.origin + next.since(Time::START)) {
            Some(at) => drop(timeout_at(at, woken).await),
            None => woken.await,
        }
    }
}
