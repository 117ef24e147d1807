//! The sweeps of one instance: at most one in flight, each a supervised task of its own.

use std::ops::ControlFlow;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::OwnedMutexGuard;
use tokio::time::Instant;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

use super::breaker::{Admission, Breaker};
use super::caller::InstanceCaller;
use super::confirm::{ConfirmationQueue, RejectedIds};
use super::cursor::FleetCursor;
use super::executor::{CallPolicy, StartMode, execute};
use super::pacer::{Pacer, SweepWindow};
use super::probe::Probes;
use super::run::SweepRun;
use crate::config::{Collect, Query};
use crate::limits::Priority;
use crate::presence::{Fleet, InstanceState, Observation, Published, SweepResult, SweepSummary};

/// How long a sweep may go on repeating calls: so many times its planned time, at least [`SHORTEST`].
const PATIENCE: u32 = 2;

/// A sweep that is planned to be shorter than this may still repeat calls for so long.
const SHORTEST: Duration = Duration::from_secs(10);

/// Starts and joins the sweeps of one instance.
#[derive(Debug)]
pub(super) struct Sweeper {
    pub(super) caller: InstanceCaller,
    pub(super) collect: Collect,
    order: Arc<tokio::sync::Mutex<Order>>,
    pub(super) breaker: Mutex<Breaker>,
    flight: Arc<Mutex<Flight>>,
    pub(super) probes: Arc<Probes>,
    /// Cancelled when the instance has left.
    pub(super) gone: CancellationToken,
    /// Cancelled when another sweeper takes over, or the instance has left; under the lock of
    /// `flight`, so that no sweep starts behind it.
    retired: CancellationToken,
}

/// What a sweep has to know of those before it. Only the sweep in flight holds it.
#[derive(Debug)]
struct Order {
    ring: FleetCursor,
    rejected: RejectedIds,
}

/// The newest sweep.
#[derive(Debug, Default)]
struct Flight {
    started: Option<Instant>,
    running: Option<Arc<Progress>>,
}

/// How far a sweep has come.
#[derive(Debug)]
pub(super) struct Progress {
    pub(super) left: AtomicUsize,
    /// Whether to wait for it can help: not while the breaker is open.
    worth_waiting: bool,
    ended: CancellationToken,
}

impl Progress {
    /// How many clients were not answered for yet.
    pub(super) fn left(&self) -> usize {
        self.left.load(Ordering::Relaxed)
    }

    /// Whether to wait for it can help.
    pub(super) fn worth_waiting(&self) -> bool {
        self.worth_waiting
    }

    /// Returns when the sweep has ended, however it did.
    pub(super) async fn ended(&self) {
        self.ended.cancelled().await;
    }
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Sweeper {
    pub(super) fn new(caller: InstanceCaller, collect: &Collect) -> Self {
        let order = Order {
            ring: FleetCursor::new(caller.state.fleet()),
            rejected: RejectedIds::default(),
        };
        let order = Arc::new(tokio::sync::Mutex::new(order));
        Self::starting(
            caller,
            collect,
            order,
            Arc::default(),
            Arc::default(),
            CancellationToken::new(),
        )
    }

    fn starting(
        caller: InstanceCaller,
        collect: &Collect,
        order: Arc<tokio::sync::Mutex<Order>>,
        flight: Arc<Mutex<Flight>>,
        probes: Arc<Probes>,
        gone: CancellationToken,
    ) -> Self {
        let (collect, retired) = (collect.clone(), gone.child_token());
        Self {
            caller,
            collect,
            order,
            breaker: Mutex::default(),
            flight,
            probes,
            gone,
            retired,
        }
    }

    /// A sweeper that goes on in place of this one, in another way. A sweep in flight asks for no
    /// further client; what it has asked for is waited for and published.
    pub(super) fn succeeded_by(&self, caller: InstanceCaller, collect: &Collect) -> Self {
        let flight = lock(&self.flight);
        self.retired.cancel();
        drop(flight);
        let (order, flight, probes) = (
            Arc::clone(&self.order),
            Arc::clone(&self.flight),
            Arc::clone(&self.probes),
        );
        Self::starting(caller, collect, order, flight, probes, self.gone.clone())
    }

    /// Whether a sweeper of `caller` would do the same as this one.
    pub(super) fn is_like(&self, caller: &InstanceCaller, collect: &Collect) -> bool {
        let mine = &self.caller;
        Arc::ptr_eq(&mine.source, &caller.source)
            && mine.queue.is(&caller.queue)
            && self.collect == *collect
    }

    /// The breaker, which has heard of the newest credentials.
    pub(super) fn breaker(&self) -> MutexGuard<'_, Breaker> {
        let mut breaker = lock(&self.breaker);
        breaker.credentials_replaced(self.caller.source.credentials_replaced());
        breaker
    }

    /// Lets calls be made as if none had failed before.
    pub(super) fn reset_breaker(&self) {
        *lock(&self.breaker) = Breaker::default();
    }

    /// Stops for good, calls in flight included, and returns when nothing of it is left.
    pub(super) async fn leave(&self) {
        let running = {
            let flight = lock(&self.flight);
            self.gone.cancel();
            flight.running.clone()
        };
        if let Some(running) = running {
            running.ended().await;
        }
        self.probes.ended().await;
    }

    /// Returns when another sweeper takes over, or the instance has left.
    pub(super) async fn retired(&self) {
        self.retired.cancelled().await;
    }

    /// The sweep in flight.
    pub(super) fn running(&self) -> Option<Arc<Progress>> {
        lock(&self.flight).running.clone()
    }

    pub(super) fn state(&self) -> &InstanceState {
        &self.caller.state
    }

    /// How clients are asked for.
    pub(super) fn query(&self) -> Query {
        self.collect.query
    }

    /// How long it takes to ask for `clients` of this instance at the rates in force.
    pub(super) fn time_for(&self, clients: usize) -> Duration {
        let query = self.query();
        self.caller
            .limiter
            .time_for(&self.caller.queue, query.operation(), query.calls(clients))
    }

    /// Publishes what the API said about a client.
    pub(super) fn publish(&self, client: &str, observation: Observation) -> Published {
        let published = self.caller.state.publish(client, observation);
        if matches!(published, Published::Connected | Published::Disconnected) {
            tracing::debug!(instance_id = %self.caller.state.id(), client_id = client, online = observation.online, "client changed");
        }
        published
    }

    /// A call was answered.
    pub(super) fn passed(&self) {
        if lock(&self.breaker).passed() {
            tracing::info!(instance_id = %self.caller.state.id(), "the API answers again; sweeps go on");
        }
    }

    /// Joins the sweep in flight, or starts one when the last started longer than `max_age` ago
    /// and the breaker lets it. `None` when there is nothing to wait for.
    pub(super) fn join(
        self: &Arc<Self>,
        tasks: &TaskTracker,
        stop: &CancellationToken,
    ) -> Option<Arc<Progress>> {
        let now = Instant::now();
        let mut flight = lock(&self.flight);
        if let Some(running) = &flight.running {
            return Some(Arc::clone(running));
        }
        let apart = flight.started.map(|started| now - started);
        if apart.is_some_and(|apart| apart <= self.collect.max_age) {
            return None;
        }
        let started = self.start(&mut flight, None, tasks, stop)?;
        self.project(apart);
        Some(started)
    }

    /// Starts a sweep that takes `window`, unless one is in flight or the breaker does not let it.
    pub(super) fn poll(
        self: &Arc<Self>,
        window: SweepWindow,
        tasks: &TaskTracker,
        stop: &CancellationToken,
    ) -> Option<Arc<Progress>> {
        let mut flight = lock(&self.flight);
        if flight.running.is_some() {
            return None;
        }
        self.project(Some(window.end - window.start));
        self.start(&mut flight, Some(window), tasks, stop)
    }

    /// When the next sweep may try whether calls are worth while again, if they were not.
    pub(super) fn open_until(&self) -> Option<Instant> {
        lock(&self.breaker).open_until()
    }

    fn start(
        self: &Arc<Self>,
        flight: &mut Flight,
        window: Option<SweepWindow>,
        tasks: &TaskTracker,
        stop: &CancellationToken,
    ) -> Option<Arc<Progress>> {
        if self.retired.is_cancelled() {
            return None;
        }
        let now = Instant::now();
        let entry = self.breaker().enter(now);
        if matches!(entry, Admission::Refused(_)) {
            return None;
        }
        let fleet = self.caller.state.fleet();
        let progress = Arc::new(Progress {
            left: AtomicUsize::new(fleet.len()),
            worth_waiting: entry == Admission::Full,
            ended: CancellationToken::new(),
        });
        flight.started = Some(now);
        flight.running = Some(Arc::clone(&progress));
        let sweep = Arc::clone(self).sweep(fleet, Arc::clone(&progress), entry, window);
        tasks.spawn(Arc::clone(self).supervise(sweep, Arc::clone(&progress), stop.clone()));
        Some(progress)
    }

    /// What sweeps this far apart spend.
    fn project(&self, apart: Option<Duration>) {
        let Some(apart) = apart else { return };
        let labels = [
            self.caller.state.id().as_str(),
            self.query().operation().name(),
        ];
        let calls = self.query().calls(self.caller.state.fleet().len());
        let projected = calls as f64 / apart.as_secs_f64();
        self.caller
            .metrics
            .projected_calls_per_second
            .with_label_values(&labels)
            .set(projected);
    }

    /// Runs a sweep to its end, which its joins see even if it panics.
    async fn supervise(
        self: Arc<Self>,
        sweep: impl Future<Output = ()> + Send + 'static,
        progress: Arc<Progress>,
        stop: CancellationToken,
    ) {
        let _ended = EndOfFlight {
            sweeper: &self,
            _joins: progress.ended.clone().drop_guard(),
        };
        let mut sweep = tokio::spawn(sweep);
        let stopped = tokio::select! {
            ended = &mut sweep => {
                if let Err(failure) = ended {
                    tracing::error!(instance_id = %self.caller.state.id(), %failure, "a sweep failed by itself; the next one starts as usual, please report this");
                    self.caller.state.record(|stats| stats.count_sweep(SweepResult::Stopped));
                }
                false
            }
            () = stop.cancelled() => true,
            () = self.gone.cancelled() => true,
        };
        if stopped {
            sweep.abort();
            // It may be in the middle of a step, and that step may count a call.
            let _ = sweep.await;
        }
    }

    /// One sweep: every client of `fleet` is asked for, the oldest attempt first.
    async fn sweep(
        self: Arc<Self>,
        fleet: Arc<Fleet>,
        progress: Arc<Progress>,
        entry: Admission,
        window: Option<SweepWindow>,
    ) {
        let started = Instant::now();
        let planned = self.time_for(fleet.len());
        let start = match (entry, self.caller.state.stats().api_up) {
            (Admission::Full, Some(true)) => StartMode::None,
            (Admission::Full, _) => StartMode::Credentials,
            _ => StartMode::Probe,
        };
        let until = window
            .map_or(started, |window| window.end)
            .max(started + (planned * PATIENCE).max(SHORTEST));
        // In a sweep by batches, single calls are confirmations.
        let priority = if self.query() == Query::Batch {
            Priority::Urgent
        } else {
            Priority::Ordinary
        };
        let policy = CallPolicy {
            start,
            priority,
            until: Some(until),
            enough: self.retired.clone(),
        };
        let mut order = Arc::clone(&self.order).lock_owned().await;
        if !order.ring.is_of(&fleet) {
            order = order_of(order, Arc::clone(&fleet)).await;
        }
        let Order { ring, rejected } = &mut *order;
        let mut pass = SweepRun {
            sweeper: &self,
            fleet: &fleet,
            turns: Pacer::new(ring.round(), fleet.len(), window),
            confirmations: ConfirmationQueue::new(rejected),
            halves: Vec::new(),
            progress: &progress,
            answered: 0,
        };
        let heard_out = execute(&self.caller, policy, &mut pass).await;
        let answered = pass.answered;
        let result = match heard_out {
            ControlFlow::Break(()) => SweepResult::Stopped,
            ControlFlow::Continue(()) if answered == fleet.len() => SweepResult::Complete,
            ControlFlow::Continue(()) => SweepResult::Incomplete,
        };
        let coverage = if fleet.is_empty() {
            1.0
        } else {
            answered as f64 / fleet.len() as f64
        };
        let summary = SweepSummary {
            duration: started.elapsed(),
            end: self.caller.clock.now(),
            coverage,
        };
        tracing::debug!(instance_id = %self.caller.state.id(), result = result.as_str(), clients = fleet.len(), answered, seconds = summary.duration.as_secs_f64(), "sweep ended");
        if result == SweepResult::Complete {
            self.caller.clear_errors();
        }
        self.caller.state.record(|stats| {
            stats.count_sweep(result);
            stats.last_sweep = Some(summary);
        });
    }
}

/// What is known of the sweeps before, as far as it is about clients of `fleet`. For a large fleet
/// that takes a while, in which nobody else is held up.
async fn order_of(mut order: OwnedMutexGuard<Order>, fleet: Arc<Fleet>) -> OwnedMutexGuard<Order> {
    let turn = move || {
        order.ring.turn_to(&fleet);
        order.rejected.retain(&fleet);
        order
    };
    tokio::task::spawn_blocking(turn)
        .await
        .expect("turning to another fleet does not panic")
}

/// Makes place for the next sweep, then ends the joins of this one.
struct EndOfFlight<'a> {
    sweeper: &'a Sweeper,
    _joins: DropGuard,
}

impl Drop for EndOfFlight<'_> {
    fn drop(&mut self) {
        lock(&self.sweeper.flight).running = None;
    }
}
