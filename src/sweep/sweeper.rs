//! The sweeps of one instance: at most one at a time, each in a supervised task of its own.

use std::collections::HashSet;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::breaker::StartMode;
use super::caller::{InstanceCaller, Purpose, lock};
use super::confirm::ConfirmationQueue;
use super::executor::{CallPolicy, execute};
use super::lap::Lap;
use super::order::FleetCursor;
use super::probe::{Prober, Probes};
use super::rejected::RejectedClients;
use super::run::{SweepProgress, SweepRun, Trial};
use crate::config::{Collect, Mode, StaleAfter};
use crate::limits::Priority;
use crate::presence::{Fleet, InstanceState, SweepResult, SweepSummary};

/// A sweep repeats calls for at most this many times its planned duration, or [`SHORTEST`].
const PATIENCE: u32 = 2;

/// The shortest time for which a sweep repeats calls.
const SHORTEST: Duration = Duration::from_secs(10);

/// Starts and joins the sweeps of one instance.
#[derive(Debug)]
pub(super) struct Sweeper {
    pub(super) caller: Arc<InstanceCaller>,
    collect: Collect,
    shared: Arc<Shared>,
    /// Cancelled when a successor takes over or the instance has left; under the lock of
    /// `Shared::current`, so that no sweep starts afterwards.
    retired: CancellationToken,
    /// Notified when the fleet has changed.
    new_fleet: Notify,
}

/// What the successive sweepers of an instance share.
#[derive(Debug)]
struct Shared {
    history: Arc<tokio::sync::Mutex<History>>,
    current: Mutex<CurrentSweep>,
    probes: Arc<Probes>,
    /// Whether a sweep has ended that the breaker did not stop.
    swept: AtomicBool,
}

/// What a sweep needs to know of earlier sweeps. Only the current sweep holds it.
#[derive(Debug)]
struct History {
    cursor: FleetCursor,
    lap: Lap,
    rejected: RejectedClients,
}

/// The newest sweep.
#[derive(Debug, Default)]
struct CurrentSweep {
    started: Option<Instant>,
    fleet: Option<Arc<Fleet>>,
    running: Option<Arc<SweepProgress>>,
    /// Whether another sweep follows at once.
    again: bool,
}

impl Sweeper {
    /// A sweeper that replaces `before`, if there is one. A sweep of it in flight queries no further
    /// client; its calls in flight are completed and published.
    pub(super) fn new(caller: InstanceCaller, collect: &Collect, before: Option<&Self>) -> Self {
        let shared = if let Some(before) = before {
            let _current = lock(&before.shared.current);
            before.retired.cancel();
            Arc::clone(&before.shared)
        } else {
            let history = History {
                cursor: FleetCursor::new(caller.state.fleet()),
                lap: Lap::default(),
                rejected: RejectedClients::default(),
            };
            Arc::new(Shared {
                history: Arc::new(tokio::sync::Mutex::new(history)),
                current: Mutex::default(),
                probes: Arc::default(),
                swept: AtomicBool::new(false),
            })
        };
        Self {
            caller: Arc::new(caller),
            collect: collect.clone(),
            retired: shared.probes.gone.child_token(),
            new_fleet: Notify::new(),
            shared,
        }
    }

    /// Whether a sweeper with `caller` would do the same as this one.
    pub(super) fn is_like(&self, caller: &InstanceCaller, collect: &Collect) -> bool {
        Arc::ptr_eq(&self.caller.source, &caller.source)
            && Arc::ptr_eq(&self.caller.queue, &caller.queue)
            && self.collect == *collect
    }

    /// Stops for good, calls in flight included, and returns when nothing is left.
    pub(super) async fn leave(&self) {
        let current = lock(&self.shared.current);
        self.shared.probes.gone.cancel();
        drop(current);
        self.idle().await;
        self.shared.probes.ended().await;
    }

    /// Returns when the current sweep has ended.
    async fn idle(&self) {
        let running = lock(&self.shared.current).running.clone();
        if let Some(running) = running {
            running.ended.cancelled().await;
        }
    }

    pub(super) fn state(&self) -> &InstanceState {
        &self.caller.state
    }

    pub(super) fn prober(&self) -> Prober {
        Prober {
            caller: Arc::clone(&self.caller),
            probes: Arc::clone(&self.shared.probes),
            max_age: self.collect.max_age,
        }
    }

    /// The time that it takes to query `clients` of this instance at the rates in force.
    pub(super) fn time_for(&self, clients: usize) -> Duration {
        let query = self.collect.query;
        let InstanceCaller { deps, queue, .. } = &*self.caller;
        deps.limiter
            .time_for(queue, query.operation(), query.calls(clients))
    }

    /// Joins the current sweep, or starts one if the last one started longer than `max_age` ago
    /// and the breaker allows it. `None` if there is nothing to wait for.
    pub(super) fn join(self: &Arc<Self>) -> Option<Arc<SweepProgress>> {
        let mut current = lock(&self.shared.current);
        if let Some(running) = &current.running {
            return Some(Arc::clone(running));
        }
        let interval = current.started.map(|started| started.elapsed());
        if interval.is_some_and(|interval| interval <= self.collect.max_age) {
            return None;
        }
        let started = self.start(&mut current, None)?;
        if let Some(interval) = interval {
            self.project(interval);
        }
        Some(started)
    }

    /// Sweeps again and again, each time over the interval, until the process stops or another
    /// sweeper takes over.
    ///
    /// A sweep that cannot query all clients within its interval ends with it, and the next one
    /// continues where it ended.
    pub(super) async fn poll(self: Arc<Self>) {
        let interval = self.collect.interval;
        // A sweep of the previous sweeper.
        self.idle().await;
        // Clients that are due earlier would be queried all at once then.
        let mut due = self.caller.deps.limiter.opens_at();
        loop {
            tokio::select! {
                () = self.caller.stop.cancelled() => return,
                () = self.retired.cancelled() => return,
                () = sleep_until(due) => {}
                () = self.new_fleet.notified() => due = Instant::now(),
            }
            let start = Instant::now();
            // A short delay, after a slow last call, is made up for by the end of the interval.
            if start - due > interval / 2 {
                due = start;
            }
            let end = due + interval;
            due = end;
            let first = self.is_first();
            if let Some(sweep) = self.start_poll(start..end) {
                sweep.ended.cancelled().await;
                if first {
                    due = Instant::now();
                }
            }
        }
    }

    /// Starts a sweep over `window`, unless one is running or the breaker does not allow it. The
    /// first one is as fast as the limits allow.
    fn start_poll(self: &Arc<Self>, window: Range<Instant>) -> Option<Arc<SweepProgress>> {
        let mut current = lock(&self.shared.current);
        if current.running.is_some() {
            return None;
        }
        self.project(window.end - window.start);
        self.start(&mut current, Some(window).filter(|_| !self.is_first()))
    }

    /// Whether no sweep has ended yet.
    fn is_first(&self) -> bool {
        !self.shared.swept.load(Ordering::Relaxed)
    }

    /// The fleet may have changed. With a timer, clients that are new to it do not wait for the next
    /// interval: a sweep of another fleet queries no further client, and the next one starts.
    pub(super) fn fleet_changed(&self) {
        let fleet = self.state().fleet();
        let current = lock(&self.shared.current);
        let is_of_another = current
            .fleet
            .as_ref()
            .is_some_and(|swept| !Arc::ptr_eq(swept, &fleet));
        if is_of_another && self.collect.mode == Mode::Poll {
            self.new_fleet.notify_one();
            if let Some(running) = &current.running {
                running.cancelled.cancel();
            }
        }
    }

    /// Starts a sweep of all clients at once. A sweep in flight ends first: it queries no further
    /// client.
    pub(super) fn restart(self: &Arc<Self>) {
        let mut current = lock(&self.shared.current);
        if let Some(running) = &current.running {
            running.cancelled.cancel();
            current.again = true;
        } else {
            self.start(&mut current, None);
        }
    }

    fn start(
        self: &Arc<Self>,
        current: &mut CurrentSweep,
        window: Option<Range<Instant>>,
    ) -> Option<Arc<SweepProgress>> {
        if self.retired.is_cancelled() {
            return None;
        }
        let operation = self.collect.query.operation();
        let start = self.caller.admit(Purpose::Sweep, operation).ok()?;
        let fleet = self.caller.state.fleet();
        let worth_waiting = start != StartMode::Trial;
        let cancelled = self.retired.child_token();
        let progress = SweepProgress::new(fleet.len(), worth_waiting, cancelled);
        let progress = Arc::new(progress);
        current.started = Some(Instant::now());
        current.fleet = Some(Arc::clone(&fleet));
        current.running = Some(Arc::clone(&progress));
        let sweep = Arc::clone(self).sweep(fleet, Arc::clone(&progress), start, window);
        let supervised = Arc::clone(self).supervise(sweep, Arc::clone(&progress));
        self.caller.tasks.spawn(supervised);
        Some(progress)
    }

    /// The time of the next trial call, if the breaker is open.
    fn open_until(&self) -> Option<Instant> {
        lock(&self.caller.breaker).open_until(self.collect.query.operation())
    }

    /// Exports what sweeps at this interval spend.
    fn project(&self, interval: Duration) {
        let query = self.collect.query;
        let labels = [self.state().id().as_str(), query.operation().name()];
        let calls = query.calls(self.state().fleet().len());
        let gauge = &self.caller.deps.metrics.projected_calls_per_second;
        gauge
            .with_label_values(&labels)
            .set(calls as f64 / interval.as_secs_f64());
    }

    /// Runs a sweep to its end, which ends its joins even if it panics.
    async fn supervise(
        self: Arc<Self>,
        sweep: impl Future<Output = ()> + Send + 'static,
        progress: Arc<SweepProgress>,
    ) {
        let mut sweep = tokio::spawn(sweep);
        let ended = self.shared.probes.gone.run_until_cancelled(&mut sweep);
        let ended = self.caller.stop.run_until_cancelled(ended).await.flatten();
        let ended = if let Some(ended) = ended {
            ended
        } else {
            sweep.abort();
            // The task may be in the middle of a step, which may count a call.
            sweep.await
        };
        if let Err(failure) = ended
            && failure.is_panic()
        {
            tracing::error!(instance_id = %self.state().id(), %failure, "sweep task panicked; the next sweep starts as usual; please report this");
            self.state()
                .record(|stats| stats.count_sweep(SweepResult::Stopped));
        }
        // Makes room for the next sweep, then ends the joins of this one.
        let mut current = lock(&self.shared.current);
        current.running = None;
        if std::mem::take(&mut current.again) {
            self.start(&mut current, None);
        }
        drop(current);
        progress.ended.cancel();
        if self.open_until().is_some() {
            let tasks = self.caller.tasks.clone();
            tasks.spawn(self.try_again());
        }
    }

    /// Starts a sweep, which begins with the trial call, as soon as the breaker allows it.
    async fn try_again(self: Arc<Self>) {
        while let Some(until) = self.open_until() {
            tokio::select! {
                () = self.caller.stop.cancelled() => return,
                () = self.retired.cancelled() => return,
                () = sleep_until(until) => {}
            }
            let mut current = lock(&self.shared.current);
            if current.running.is_some() || self.start(&mut current, None).is_some() {
                return;
            }
        }
    }

    /// One sweep: every client of `fleet` is queried, the oldest attempt first.
    async fn sweep(
        self: Arc<Self>,
        fleet: Arc<Fleet>,
        progress: Arc<SweepProgress>,
        start: StartMode,
        window: Option<Range<Instant>>,
    ) {
        let started = Instant::now();
        let planned = self.time_for(fleet.len());
        let latest = window.as_ref().map_or(started, |window| window.end);
        let query = self.collect.query;
        let policy = CallPolicy {
            purpose: Purpose::Sweep,
            operation: query.operation(),
            start,
            priority: if self.is_first() {
                Priority::FirstSweep
            } else {
                Priority::Ordinary
            },
            until: Some(latest.max(started + (planned * PATIENCE).max(SHORTEST))),
            cancelled: progress.cancelled.clone(),
        };
        let mut history = Arc::clone(&self.shared.history).lock_owned().await;
        if !history.cursor.is_of(&fleet) {
            let fleet = Arc::clone(&fleet);
            let move_to_fleet = move || {
                history.cursor.move_to(&fleet);
                history.rejected.retain(&fleet);
                history
            };
            // This takes a while for a large fleet.
            let moved = tokio::task::spawn_blocking(move_to_fleet).await;
            history = moved.expect("moving to another fleet does not panic");
        }
        let History {
            cursor,
            lap,
            rejected,
        } = &mut *history;
        if let Some(measured) = lap.begin_sweep(started, fleet.len())
            && self.collect.stale_after == StaleAfter::Auto
        {
            self.state()
                .record(|stats| stats.measure_stale_after(measured));
        }
        let mut run = SweepRun {
            caller: &self.caller,
            query,
            fleet: &fleet,
            order: cursor.sweep(window),
            confirmations: ConfirmationQueue::default(),
            rejected,
            trial: Trial::None,
            repeated: HashSet::new(),
            halves: Vec::new(),
            progress: &progress,
            answered: 0,
        };
        if start == StartMode::Trial {
            run.begin_with_an_answered_client();
        }
        let stopped = execute(&self.caller, policy, &mut run).await.is_break();
        let (answered, clients) = (run.answered, fleet.len());
        lap.end_sweep(Instant::now(), run.order.taken(), stopped);
        self.shared.swept.fetch_or(!stopped, Ordering::Relaxed);
        let result = if stopped {
            self.shared.probes.cancel();
            SweepResult::Stopped
        } else if answered == clients {
            self.caller.clear_errors();
            SweepResult::Complete
        } else {
            SweepResult::Incomplete
        };
        let summary = SweepSummary {
            duration: started.elapsed(),
            end: self.caller.deps.clock.moment(),
            coverage: if clients == 0 {
                1.0
            } else {
                answered as f64 / clients as f64
            },
        };
        tracing::debug!(instance_id = %self.state().id(), result = result.as_str(), clients, answered, seconds = summary.duration.as_secs_f64(), "sweep ended");
        self.state().record(|stats| {
            stats.count_sweep(result);
            stats.last_sweep = Some(summary);
        });
    }
}
