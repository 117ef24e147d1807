//! The sweeps of all instances, and the scrapes that join them.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::caller::{InstanceCaller, SweepDeps, lock};
use super::probe::Prober;
use super::run::SweepProgress;
use super::sweeper::Sweeper;
use crate::config::{Collect, Mode, Query};
use crate::presence::{InstanceSnapshot, InstanceState, PresenceSource, Snapshot};

/// The age up to which a snapshot serves further scrapes.
const SHARED_FOR: Duration = Duration::from_secs(1);

/// The interval at which the wall clock is checked.
const CLOCK_CHECK: Duration = Duration::from_secs(1);

/// A jump of the wall clock by more than this starts a sweep of every instance.
const JUMP_MILLIS: u64 = 5000;

/// An instance to sweep.
#[derive(Debug)]
pub struct SweepConfig {
    /// Its fleet and observations.
    pub state: Arc<InstanceState>,
    /// The API.
    pub source: Arc<dyn PresenceSource>,
    /// The account whose quota its calls use.
    pub account: Option<String>,
    /// The scheme, host and port of the API.
    pub place: String,
    /// The limit on its single calls per second.
    pub calls_per_second: u32,
}

/// The sweeps of all instances.
#[derive(Debug)]
pub struct Sweeps {
    set: ArcSwap<SweeperSet>,
    deps: SweepDeps,
    /// Set by [`Sweeps::start`]: timers run only then.
    started: AtomicBool,
    tasks: TaskTracker,
    stop: CancellationToken,
    /// Cancelled when scrapes no longer wait.
    draining: CancellationToken,
    shared: Mutex<SharedSnapshot>,
}

/// The sweepers of a configuration.
#[derive(Debug)]
struct SweeperSet {
    sweepers: Vec<Arc<Sweeper>>,
    collect: Collect,
}

/// The snapshot that overlapping scrapes share.
#[derive(Debug, Default)]
struct SharedSnapshot {
    snapshot: Weak<Snapshot>,
    at: Option<Instant>,
    /// The number of sweeps that had ended by then.
    sweeps: u64,
}

impl Sweeps {
    /// No call is made before the first [`Sweeps::start`] or [`Sweeps::scrape`].
    #[must_use]
    pub fn new(configs: Vec<SweepConfig>, collect: &Collect, deps: SweepDeps) -> Self {
        let set = SweeperSet {
            sweepers: Vec::new(),
            collect: collect.clone(),
        };
        let sweeps = Self {
            set: ArcSwap::from_pointee(set),
            started: AtomicBool::new(false),
            tasks: TaskTracker::new(),
            stop: CancellationToken::new(),
            draining: CancellationToken::new(),
            shared: Mutex::default(),
            deps,
        };
        sweeps.set.store(sweeps.next_set(configs, collect));
        sweeps
    }

    /// A prober of the instance with this ID, or of the only instance.
    #[must_use]
    pub fn prober(&self, instance: Option<&str>) -> Option<Prober> {
        let set = self.set.load();
        let sweeper = match (instance, set.sweepers.as_slice()) {
            (Some(id), sweepers) => sweepers
                .iter()
                .find(|sweeper| sweeper.state().id().as_str() == id)?,
            (None, [only]) => only,
            (None, _) => return None,
        };
        Some(sweeper.prober())
    }

    /// Starts the first sweeps, or the timers that do.
    pub fn start(&self) {
        self.started.store(true, Ordering::Release);
        let set = self.set.load();
        match set.collect.mode {
            Mode::Scrape => drop(set.join()),
            Mode::Poll => set.sweepers.iter().for_each(|sweeper| self.poll(sweeper)),
        }
    }

    /// Replaces the instances, and returns when nothing is left of those that are gone. Not to be
    /// called at the same time as [`Sweeps::start`].
    ///
    /// A config with the [state](SweepConfig::state) of a current instance continues it, together
    /// with its sweep in flight, and closes its breaker. If anything else about it has changed,
    /// that sweep queries no further client.
    pub async fn replace(&self, configs: Vec<SweepConfig>, collect: &Collect) {
        let set = self.next_set(configs, collect);
        let before = self.set.swap(Arc::clone(&set));
        if collect.mode == Mode::Poll && self.started.load(Ordering::Acquire) {
            let is_new = |sweeper: &&Arc<Sweeper>| {
                !before.sweepers.iter().any(|old| Arc::ptr_eq(old, sweeper))
            };
            let new = set.sweepers.iter().filter(is_new);
            new.for_each(|sweeper| self.poll(sweeper));
        }
        let is_gone = |old: &&Arc<Sweeper>| set.of(&old.caller.state).is_none();
        for gone in before.sweepers.iter().filter(is_gone) {
            gone.leave().await;
            let id = gone.state().id();
            self.deps.metrics.remove_series("instance_id", id.as_str());
        }
    }

    fn next_set(&self, configs: Vec<SweepConfig>, collect: &Collect) -> Arc<SweeperSet> {
        let before = self.set.load();
        let sweepers = configs
            .into_iter()
            .map(|config| self.sweeper(&before, config, collect));
        Arc::new(SweeperSet {
            sweepers: sweepers.collect(),
            collect: collect.clone(),
        })
    }

    /// The sweeper of `config`, which continues the one that it had `before`.
    fn sweeper(&self, before: &SweeperSet, config: SweepConfig, collect: &Collect) -> Arc<Sweeper> {
        let (limiter, account) = (&self.deps.limiter, config.account.as_deref());
        let calls_per_second = config.calls_per_second;
        let caller = InstanceCaller {
            queue: limiter.queue(config.state.id(), account, calls_per_second, &config.place),
            state: config.state,
            source: config.source,
            deps: self.deps.clone(),
            retries: collect.retries,
            tasks: self.tasks.clone(),
            stop: self.stop.clone(),
            breaker: Mutex::default(),
            errors: Mutex::default(),
        };
        let before = before.of(&caller.state);
        if let Some(before) = before.filter(|before| before.is_like(&caller, collect)) {
            lock(&before.caller.breaker).reset();
            return Arc::clone(before);
        }
        Arc::new(Sweeper::new(caller, collect, before.map(Arc::as_ref)))
    }

    fn poll(&self, sweeper: &Arc<Sweeper>) {
        self.tasks.spawn(Arc::clone(sweeper).poll());
    }

    /// A snapshot after those sweeps in flight have ended that can end before `deadline`. Sweeps
    /// that are due are started first. Dropping the future stops no sweep.
    ///
    /// If timers start the sweeps, it is a snapshot of the current state.
    pub async fn scrape(&self, deadline: Instant) -> Arc<Snapshot> {
        let set = self.set.load_full();
        if set.collect.mode == Mode::Poll {
            return self.snapshot();
        }
        let joined = set.join();
        let awaited = self.can_end_by(deadline, set.collect.query, &joined);
        let all = awaited.iter().map(|progress| progress.ended.cancelled());
        let all = futures_util::future::join_all(all);
        tokio::select! {
            () = sleep_until(deadline) => {}
            () = self.draining.cancelled() => {}
            _ = all => {}
        }
        if !joined
            .iter()
            .all(|(_, progress)| progress.ended.is_cancelled())
        {
            self.deps.metrics.scrapes_incomplete_total.inc();
        }
        self.snapshot()
    }

    /// A snapshot of the current state. Overlapping scrapes share one, unless a sweep has ended or
    /// a fleet has changed since it was made.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.deps.limiter.export(&self.deps.metrics);
        let mut shared = lock(&self.shared);
        let sweepers = &self.set.load().sweepers;
        let ended = |sweeper: &Arc<Sweeper>| sweeper.state().stats().sweeps.iter().sum::<u64>();
        let sweeps = sweepers.iter().map(ended).sum();
        let young = shared.at.is_some_and(|at| at.elapsed() < SHARED_FOR);
        let fits = |snapshot: &Arc<Snapshot>| {
            young && shared.sweeps == sweeps && are_of(&snapshot.instances, sweepers)
        };
        if let Some(snapshot) = shared.snapshot.upgrade().filter(fits) {
            return snapshot;
        }
        let at = self.deps.clock.moment();
        let instances = sweepers.iter().map(|sweeper| sweeper.state().snapshot(at));
        let snapshot = Arc::new(Snapshot {
            at,
            offset: self.deps.clock.offset(),
            instances: instances.collect(),
        });
        *shared = SharedSnapshot {
            snapshot: Arc::downgrade(&snapshot),
            at: Some(Instant::now()),
            sweeps,
        };
        snapshot
    }

    /// Scrapes wait for no sweep any more: the process is about to stop.
    pub fn drain(&self) {
        self.draining.cancel();
    }

    /// The fleets may have changed.
    pub fn fleets_changed(&self) {
        let set = self.set.load();
        set.sweepers
            .iter()
            .for_each(|sweeper| sweeper.fleet_changed());
    }

    /// Follows the wall clock until it is dropped: corrects the offset that renders times, and
    /// sweeps every instance after a jump, since the host may have been suspended.
    pub async fn follow_clock(self: Arc<Self>) {
        loop {
            sleep(CLOCK_CHECK).await;
            let millis = self.deps.clock.correct_offset();
            if millis.unsigned_abs() > JUMP_MILLIS {
                tracing::warn!(
                    seconds = millis as f64 / 1000.0,
                    "the wall clock jumped (it was set, or the host was suspended): exported times follow it, statuses and their ages do not change; every instance is swept"
                );
                self.set.load().sweepers.iter().for_each(Sweeper::restart);
            }
        }
    }

    /// Stops all sweeps, and returns when they have ended.
    pub async fn stop(&self) {
        self.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }

    /// The sweeps for which waiting helps: those that can end by then at the rates in force, and
    /// are not only a trial call. All sweeps take turns, so that a short one hardly waits for a
    /// long one.
    fn can_end_by(
        &self,
        deadline: Instant,
        query: Query,
        joined: &[(&Sweeper, Arc<SweepProgress>)],
    ) -> Vec<Arc<SweepProgress>> {
        let now = Instant::now();
        let calls = |progress: &SweepProgress| query.calls(progress.left());
        let ends_in_time = |(sweeper, progress): &&(&Sweeper, Arc<SweepProgress>)| {
            let own = calls(progress);
            let before = joined.iter().map(|(_, other)| calls(other).min(own)).sum();
            let egress = self.deps.limiter.egress_time_for(query.operation(), before);
            now + sweeper.time_for(progress.left()).max(egress) <= deadline
        };
        let worth_waiting = |(_, progress): &&(_, Arc<SweepProgress>)| progress.worth_waiting;
        let awaited = joined.iter().filter(worth_waiting).filter(ends_in_time);
        awaited.map(|(_, progress)| Arc::clone(progress)).collect()
    }
}

impl Drop for Sweeps {
    /// Nothing could read the results of the sweeps afterwards.
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl SweeperSet {
    /// The sweeper of the instance with this state.
    fn of(&self, state: &Arc<InstanceState>) -> Option<&Arc<Sweeper>> {
        self.sweepers
            .iter()
            .find(|sweeper| Arc::ptr_eq(&sweeper.caller.state, state))
    }

    /// Joins or starts the sweeps that are due.
    fn join(&self) -> Vec<(&Sweeper, Arc<SweepProgress>)> {
        self.sweepers
            .iter()
            .filter_map(|sweeper| Some((&**sweeper, sweeper.join()?)))
            .collect()
    }
}

/// Whether the snapshots are of the current fleets.
fn are_of(snapshots: &[InstanceSnapshot], sweepers: &[Arc<Sweeper>]) -> bool {
    let same = |(snapshot, sweeper): (&InstanceSnapshot, &Arc<Sweeper>)| {
        std::ptr::eq(snapshot.fleet(), Arc::as_ptr(&sweeper.state().fleet()))
    };
    snapshots.len() == sweepers.len() && snapshots.iter().zip(sweepers).all(same)
}
