//! The sweeps of all instances, and the scrapes that join them.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::caller::InstanceCaller;
use super::limiter::Limiter;
use super::poll::poll;
use super::probe::Prober;
use super::sweeper::{Progress, Sweeper};
use crate::clock::Clock;
use crate::config::{Collect, Mode, Query};
use crate::presence::{InstanceSnapshot, InstanceState, PresenceSource, Snapshot};
use crate::random::Random;
use crate::telemetry::Metrics;

/// How young a frozen copy has to be to serve another scrape.
const SHARED_FOR: Duration = Duration::from_secs(1);

/// One instance that is to be swept.
#[derive(Debug)]
pub struct SweepConfig {
    /// Its fleet and what is known of it.
    pub state: Arc<InstanceState>,
    /// Who is asked.
    pub source: Arc<dyn PresenceSource>,
    /// The account whose quota its calls spend.
    pub account: Option<String>,
    /// How many single calls a second it is to bear.
    pub calls_per_second: u32,
}

/// What all sweeps use.
#[derive(Clone, Debug)]
pub struct SweepDeps {
    /// The way out.
    pub limiter: Arc<Limiter>,
    /// Where calls are counted.
    pub metrics: Arc<Metrics>,
    /// Wall time.
    pub clock: Clock,
    /// Where jitter comes from.
    pub random: Random,
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
    frozen: Mutex<SharedSnapshot>,
}

/// Who sweeps, and how.
#[derive(Debug)]
struct SweeperSet {
    sweepers: Vec<Arc<Sweeper>>,
    collect: Collect,
}

/// The frozen copy that overlapping scrapes share.
#[derive(Debug, Default)]
struct SharedSnapshot {
    frozen: Weak<Snapshot>,
    at: Option<Instant>,
    /// How many sweeps had ended by then.
    sweeps: u64,
}

impl Sweeps {
    /// Nothing is asked before the first [`Sweeps::start`] or [`Sweeps::scrape`].
    #[must_use]
    pub fn new(configs: Vec<SweepConfig>, collect: &Collect, deps: SweepDeps) -> Self {
        let sweeper = |config| Arc::new(Sweeper::new(deps.caller(config, collect), collect));
        let set = SweeperSet {
            sweepers: configs.into_iter().map(sweeper).collect(),
            collect: collect.clone(),
        };
        Self {
            set: ArcSwap::from_pointee(set),
            started: AtomicBool::new(false),
            tasks: TaskTracker::new(),
            stop: CancellationToken::new(),
            frozen: Mutex::default(),
            deps,
        }
    }

    /// Asks about single clients of the instance with this ID; of the only one, where none is named.
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
        Some(Prober::new(
            Arc::clone(sweeper),
            self.tasks.clone(),
            self.stop.clone(),
        ))
    }

    /// Starts the first sweeps, or the timers that do.
    pub fn start(&self) {
        self.started.store(true, Ordering::Release);
        let set = self.set.load();
        match set.collect.mode {
            Mode::Scrape => drop(self.join(&set)),
            Mode::Poll => set
                .sweepers
                .iter()
                .for_each(|sweeper| self.poll(sweeper, &set.collect)),
        }
    }

    /// Puts `configs` in the place of the current ones, and returns when nothing is left of those
    /// that are gone. Not to be called at the same time as [`Sweeps::start`].
    ///
    /// Whoever has the [state](SweepConfig::state) of a current one goes on where that is, with the
    /// sweep in flight if there is one, and its breaker is closed. Where anything else about it is
    /// new, that sweep asks for no further client.
    pub async fn replace(&self, configs: Vec<SweepConfig>, collect: &Collect) {
        let before = self.set.load_full();
        let sweepers = configs
            .into_iter()
            .map(|config| self.succeed(&before, config, collect))
            .collect();
        let set = Arc::new(SweeperSet {
            sweepers,
            collect: collect.clone(),
        });
        self.set.store(Arc::clone(&set));
        if collect.mode == Mode::Poll && self.started.load(Ordering::Acquire) {
            let is_new = |sweeper: &&Arc<Sweeper>| {
                !before.sweepers.iter().any(|old| Arc::ptr_eq(old, sweeper))
            };
            set.sweepers
                .iter()
                .filter(is_new)
                .for_each(|sweeper| self.poll(sweeper, collect));
        }
        for gone in before
            .sweepers
            .iter()
            .filter(|old| set.of(&old.caller.state).is_none())
        {
            gone.leave().await;
            self.forget_queue(gone);
            self.deps
                .metrics
                .forget_instance(gone.state().id().as_str());
        }
    }

    /// The sweeper of `config`, in the place of the one that it had `before`.
    fn succeed(&self, before: &SweeperSet, config: SweepConfig, collect: &Collect) -> Arc<Sweeper> {
        let caller = self.deps.caller(config, collect);
        let Some(before) = before.of(&caller.state) else {
            return Arc::new(Sweeper::new(caller, collect));
        };
        if before.is_like(&caller, collect) {
            before.reset_breaker();
            return Arc::clone(before);
        }
        if !before.caller.queue.is(&caller.queue) {
            self.forget_queue(before);
        }
        Arc::new(before.succeeded_by(caller, collect))
    }

    fn forget_queue(&self, sweeper: &Sweeper) {
        self.deps.limiter.forget(&sweeper.caller.queue);
    }

    fn poll(&self, sweeper: &Arc<Sweeper>, collect: &Collect) {
        self.tasks.spawn(poll(
            Arc::clone(sweeper),
            collect.interval,
            self.tasks.clone(),
            self.stop.clone(),
        ));
    }

    /// Everything that is known, after the sweeps in flight have ended, where they can before
    /// `deadline`; sweeps that are due are started first. Dropping the future stops no sweep.
    ///
    /// Where timers start the sweeps, it is everything that is known now.
    pub async fn scrape(&self, deadline: Instant) -> Arc<Snapshot> {
        let set = self.set.load_full();
        if set.collect.mode == Mode::Poll {
            return self.snapshot();
        }
        let joined = self.join(&set);
        let ended = self.can_end_by(deadline, set.collect.query, &joined) && {
            let all =
                futures_util::future::join_all(joined.iter().map(|(_, progress)| progress.ended()));
            tokio::time::timeout_at(deadline, all).await.is_ok()
        };
        if !ended {
            self.deps.metrics.scrapes_incomplete_total.inc();
        }
        self.snapshot()
    }

    /// Everything that is known. Overlapping scrapes share one copy, unless a sweep has ended or a
    /// fleet has changed since it was made.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.deps.limiter.export(&self.deps.metrics);
        let mut shared = self.frozen.lock().unwrap_or_else(PoisonError::into_inner);
        let sweepers = &self.set.load().sweepers;
        let sweeps = sweepers
            .iter()
            .map(|sweeper| sweeper.state().stats().sweeps.iter().sum::<u64>())
            .sum();
        let young = shared.at.is_some_and(|at| at.elapsed() < SHARED_FOR);
        let fits = |frozen: &Arc<Snapshot>| {
            young && shared.sweeps == sweeps && are_of(&frozen.instances, sweepers)
        };
        if let Some(frozen) = shared.frozen.upgrade().filter(fits) {
            return frozen;
        }
        let now = self.deps.clock.now();
        let instances = sweepers
            .iter()
            .map(|sweeper| sweeper.state().snapshot(now))
            .collect();
        let frozen = Arc::new(Snapshot { at: now, instances });
        *shared = SharedSnapshot {
            frozen: Arc::downgrade(&frozen),
            at: Some(Instant::now()),
            sweeps,
        };
        frozen
    }

    /// Stops all sweeps, and returns when they have ended.
    pub async fn stop(&self) {
        self.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }

    fn join<'c>(&self, set: &'c SweeperSet) -> Vec<(&'c Sweeper, Arc<Progress>)> {
        let joined = |sweeper: &'_ Arc<Sweeper>| sweeper.join(&self.tasks, &self.stop);
        set.sweepers
            .iter()
            .filter_map(|sweeper| Some((&**sweeper, joined(sweeper)?)))
            .collect()
    }

    /// Whether waiting helps: every sweep can end by then at the rates in force, and none of them
    /// only tries whether calls are worth while again.
    fn can_end_by(
        &self,
        deadline: Instant,
        query: Query,
        joined: &[(&Sweeper, Arc<Progress>)],
    ) -> bool {
        let all = joined
            .iter()
            .map(|(_, progress)| query.calls(progress.left()))
            .sum();
        let egress = self.deps.limiter.egress_time_for(query.operation(), all);
        let alone = joined
            .iter()
            .map(|(sweeper, progress)| sweeper.time_for(progress.left()));
        let longest = alone.fold(egress, Duration::max);
        joined.iter().all(|(_, progress)| progress.worth_waiting())
            && Instant::now() + longest <= deadline
    }
}

impl Drop for Sweeps {
    /// Without the sweeps' owner nobody would see what they find out.
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
}

impl SweepDeps {
    fn caller(&self, config: SweepConfig, collect: &Collect) -> InstanceCaller {
        InstanceCaller {
            queue: self.limiter.queue(
                config.state.id(),
                config.account.as_deref(),
                config.calls_per_second,
            ),
            state: config.state,
            source: config.source,
            limiter: Arc::clone(&self.limiter),
            metrics: Arc::clone(&self.metrics),
            errors: Mutex::default(),
            clock: self.clock,
            random: self.random.clone(),
            retries: collect.retries,
        }
    }
}

/// Whether the copies are of the fleets that are current.
fn are_of(frozen: &[InstanceSnapshot], sweepers: &[Arc<Sweeper>]) -> bool {
    let same = |(frozen, sweeper): (&InstanceSnapshot, &Arc<Sweeper>)| {
        std::ptr::eq(frozen.fleet(), Arc::as_ptr(&sweeper.state().fleet()))
    };
    frozen.len() == sweepers.len() && frozen.iter().zip(sweepers).all(same)
}
