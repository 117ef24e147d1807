//! The sweeps of one instance: at most one in flight, each a supervised task of its own.

use std::ops::ControlFlow;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

use super::ask::{Caution, Inquiry, Manner, Reply, ask};
use super::breaker::{Breaker, Entry};
use super::ring::{Ring, Round};
use super::target::Target;
use crate::aliyun::operation_name;
use crate::limits::Priority;
use crate::presence::{CallError, Fleet, InstanceState, Operation, Published, SweepResult, SweepSummary};

/// How long a sweep may go on repeating calls: so many times its planned time, at least [`SHORTEST`].
const PATIENCE: u32 = 2;

/// A sweep that is planned to be shorter than this may still repeat calls for so long.
const SHORTEST: Duration = Duration::from_secs(10);

/// Starts and joins the sweeps of one instance.
#[derive(Debug)]
pub(super) struct Sweeper {
    target: Target,
    max_age: Duration,
    ring: tokio::sync::Mutex<Ring>,
    breaker: Mutex<Breaker>,
    flight: Mutex<Flight>,
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
    left: AtomicUsize,
    /// Whether to wait for it can help: not while the breaker is open.
    hopeful: bool,
    ended: CancellationToken,
}

impl Progress {
    /// How many clients were not answered for yet.
    pub(super) fn left(&self) -> usize {
        self.left.load(Ordering::Relaxed)
    }

    /// Whether to wait for it can help.
    pub(super) fn is_hopeful(&self) -> bool {
        self.hopeful
    }

    /// Returns when the sweep has ended, however it did.
    pub(super) async fn ended(&self) {
        self.ended.cancelled().await;
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Sweeper {
    pub(super) fn new(target: Target, max_age: Duration) -> Self {
        let ring = tokio::sync::Mutex::new(Ring::new(target.state.fleet()));
        Self { target, max_age, ring, breaker: Mutex::default(), flight: Mutex::default() }
    }

    pub(super) fn state(&self) -> &InstanceState {
        &self.target.state
    }

    /// How long it takes to ask for `clients` of this instance at the rates in force.
    pub(super) fn time_for(&self, clients: usize) -> Duration {
        self.target.gate.time_for(&self.target.lane, Operation::Single, clients)
    }

    /// Joins the sweep in flight, or starts one when the last started longer than `max_age` ago
    /// and the breaker lets it. `None` when there is nothing to wait for.
    pub(super) fn join(self: &Arc<Self>, tasks: &TaskTracker, stop: &CancellationToken) -> Option<Arc<Progress>> {
        let now = Instant::now();
        let mut flight = lock(&self.flight);
        if let Some(running) = &flight.running {
            return Some(Arc::clone(running));
        }
        if flight.started.is_some_and(|started| now - started <= self.max_age) {
            return None;
        }
        let entry = lock(&self.breaker).enter(now);
        if matches!(entry, Entry::Refused(_)) {
            return None;
        }
        let fleet = self.target.state.fleet();
        let progress = Arc::new(Progress {
            left: AtomicUsize::new(fleet.len()),
            hopeful: entry == Entry::Full,
            ended: CancellationToken::new(),
        });
        self.project(fleet.len(), flight.started.map(|started| now - started));
        flight.started = Some(now);
        flight.running = Some(Arc::clone(&progress));
        tasks.spawn(Arc::clone(self).supervise(fleet, Arc::clone(&progress), entry, stop.clone()));
        Some(progress)
    }

    /// What sweeps this far apart spend.
    fn project(&self, clients: usize, apart: Option<Duration>) {
        let Some(apart) = apart else { return };
        let operation = operation_name(Operation::Single);
        let labels = [self.target.state.id().as_str(), operation];
        let projected = clients as f64 / apart.as_secs_f64();
        self.target.metrics.projected_calls_per_second.with_label_values(&labels).set(projected);
    }

    /// Runs a sweep to its end, which its joins see even if it panics.
    async fn supervise(
        self: Arc<Self>,
        fleet: Arc<Fleet>,
        progress: Arc<Progress>,
        entry: Entry,
        stop: CancellationToken,
    ) {
        let _ended = EndOfFlight { sweeper: &self, _joins: progress.ended.clone().drop_guard() };
        let sweep = tokio::spawn(Arc::clone(&self).sweep(fleet, Arc::clone(&progress), entry));
        let abort = sweep.abort_handle();
        tokio::select! {
            ended = sweep => {
                if let Err(failure) = ended {
                    tracing::error!(instance_id = %self.target.state.id(), %failure, "a sweep failed by itself; the next one starts as usual, please report this");
                    self.target.state.record(|facts| facts.count_sweep(SweepResult::Stopped));
                }
            }
            () = stop.cancelled() => abort.abort(),
        }
    }

    /// One sweep: every client of `fleet` is asked for, the oldest attempt first.
    async fn sweep(self: Arc<Self>, fleet: Arc<Fleet>, progress: Arc<Progress>, entry: Entry) {
        let start = Instant::now();
        let planned = self.time_for(fleet.len());
        let caution = match (entry, self.target.state.facts().api_up) {
            (Entry::Full, Some(true)) => Caution::None,
            (Entry::Full, _) => Caution::Credentials,
            _ => Caution::Probe,
        };
        let until = start + (planned * PATIENCE).max(SHORTEST);
        let manner = Manner { caution, priority: Priority::Ordinary, until: Some(until) };
        let mut ring = self.ring.lock().await;
        let round = ring.round(&fleet);
        let mut sweep = Sweep { sweeper: &self, fleet: &fleet, round, progress: &progress, answered: 0 };
        let heard_out = ask(&self.target, manner, &mut sweep).await;
        let answered = sweep.answered;
        let result = match heard_out {
            ControlFlow::Break(()) => SweepResult::Stopped,
            ControlFlow::Continue(()) if answered == fleet.len() => SweepResult::Complete,
            ControlFlow::Continue(()) => SweepResult::Incomplete,
        };
        let coverage = if fleet.is_empty() { 1.0 } else { answered as f64 / fleet.len() as f64 };
        let summary = SweepSummary { duration: start.elapsed(), end: self.target.clock.now(), coverage };
        tracing::debug!(instance_id = %self.target.state.id(), result = result.as_str(), clients = fleet.len(), answered, seconds = summary.duration.as_secs_f64(), "sweep ended");
        if result == SweepResult::Complete {
            self.target.calm_down();
        }
        self.target.state.record(|facts| {
            facts.count_sweep(result);
            facts.last_sweep = Some(summary);
        });
    }
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

/// A sweep as a source of questions.
struct Sweep<'a> {
    sweeper: &'a Sweeper,
    fleet: &'a Fleet,
    round: Round<'a>,
    progress: &'a Progress,
    answered: usize,
}

impl Sweep<'_> {
    /// Says why the sweep ends here.
    fn stopped(&self, error: &CallError, wait: Duration) {
        let target = &self.sweeper.target;
        target.complain(error);
        tracing::debug!(instance_id = %target.state.id(), wait_seconds = wait.as_secs(), "sweep stopped; after the wait one call decides whether to go on");
    }
}

impl Inquiry for Sweep<'_> {
    fn next(&mut self) -> Option<Box<str>> {
        self.round.next().map(|index| self.fleet.client(index).into())
    }

    fn attempt_failed(&mut self, error: &CallError) -> ControlFlow<()> {
        let stopped = lock(&self.sweeper.breaker).attempt_failed(error, Instant::now());
        stopped.map_break(|wait| self.stopped(error, wait))
    }

    fn replied(&mut self, reply: Reply) -> ControlFlow<()> {
        let target = &self.sweeper.target;
        self.progress.left.fetch_sub(1, Ordering::Relaxed);
        match reply.result {
            Ok(observation) => {
                self.answered += 1;
                let published = target.state.publish(&reply.client, observation);
                if matches!(published, Published::Connected | Published::Disconnected) {
                    tracing::debug!(instance_id = %target.state.id(), client_id = %reply.client, online = observation.online, "client changed");
                }
                if lock(&self.sweeper.breaker).passed() {
                    tracing::info!(instance_id = %target.state.id(), "the API answers again; sweeps go on");
                }
                ControlFlow::Continue(())
            }
            Err(error) => {
                let stopped = lock(&self.sweeper.breaker).failed(&error, Instant::now());
                if stopped.is_continue() {
                    target.complain(&error);
                }
                stopped.map_break(|wait| self.stopped(&error, wait))
            }
        }
    }
}
