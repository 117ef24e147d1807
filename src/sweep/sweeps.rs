//! The sweeps of all instances, and the scrapes that join them.

use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::Random;
use super::gate::Gate;
use super::sweeper::{Progress, Sweeper};
use super::target::Target;
use crate::clock::Clock;
use crate::presence::{Frozen, FrozenInstance, InstanceState, Operation, PresenceSource};
use crate::telemetry::Metrics;

/// How young a frozen copy has to be to serve another scrape.
const SHARED_FOR: Duration = Duration::from_secs(1);

/// One instance that is to be swept.
#[derive(Debug)]
pub struct Subject {
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
pub struct Tools {
    /// The way out.
    pub gate: Arc<Gate>,
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
    sweepers: ArcSwap<Vec<Arc<Sweeper>>>,
    tools: Tools,
    tasks: TaskTracker,
    stop: CancellationToken,
    frozen: Mutex<SharedFreeze>,
}

/// The frozen copy that overlapping scrapes share.
#[derive(Debug, Default)]
struct SharedFreeze {
    frozen: Weak<Frozen>,
    at: Option<Instant>,
    /// How many sweeps had ended by then.
    sweeps: u64,
}

impl Sweeps {
    /// Nothing is asked before the first [`Sweeps::start`] or [`Sweeps::scrape`].
    #[must_use]
    pub fn new(subjects: Vec<Subject>, collect: &crate::config::Collect, tools: Tools) -> Self {
        let sweeper = |subject| Arc::new(Sweeper::new(tools.target(subject, collect), collect.max_age));
        Self {
            sweepers: ArcSwap::from_pointee(subjects.into_iter().map(sweeper).collect()),
            tasks: TaskTracker::new(),
            stop: CancellationToken::new(),
            frozen: Mutex::default(),
            tools,
        }
    }

    /// Puts `subjects` in the place of the current ones, and returns when nothing is left of those
    /// that are gone.
    ///
    /// Whoever has the [state](Subject::state) of a current one goes on where that is, with the
    /// sweep in flight if there is one, and its breaker is closed. Where anything else about it is
    /// new, that sweep asks for no further client.
    pub async fn replace(&self, subjects: Vec<Subject>, collect: &crate::config::Collect) {
        let before = self.sweepers.load_full();
        let now = subjects.into_iter().map(|subject| {
            let target = self.tools.target(subject, collect);
            match before.iter().find(|before| Arc::ptr_eq(&before.target().state, &target.state)) {
                None => Arc::new(Sweeper::new(target, collect.max_age)),
                Some(same) if same.is_like(&target, collect.max_age) => {
                    same.reset_breaker();
                    Arc::clone(same)
                }
                Some(before) => {
                    if !before.target().lane.is(&target.lane) {
                        self.forget_lane(before);
                    }
                    Arc::new(before.succeeded_by(target, collect.max_age))
                }
            }
        });
        let now = Arc::new(now.collect::<Vec<_>>());
        self.sweepers.store(Arc::clone(&now));
        let stays = |before: &Sweeper| now.iter().any(|now| Arc::ptr_eq(&now.target().state, &before.target().state));
        for gone in before.iter().filter(|before| !stays(before)) {
            gone.leave().await;
            self.forget_lane(gone);
            self.tools.metrics.forget_instance(gone.state().id().as_str());
        }
    }

    fn forget_lane(&self, sweeper: &Sweeper) {
        self.tools.gate.forget(&sweeper.target().lane, sweeper.state().id(), &self.tools.metrics);
    }

    /// Starts the sweeps that are due.
    pub fn start(&self) {
        self.join();
    }

    /// Everything that is known, after the sweeps in flight have ended, where they can before
    /// `deadline`; sweeps that are due are started first. Dropping the future stops no sweep.
    pub async fn scrape(&self, deadline: Instant) -> Arc<Frozen> {
        let joined = self.join();
        let ended = self.can_end_by(deadline, &joined) && {
            let all = futures_util::future::join_all(joined.iter().map(|(_, progress)| progress.ended()));
            tokio::time::timeout_at(deadline, all).await.is_ok()
        };
        if !ended {
            self.tools.metrics.scrapes_incomplete.inc();
        }
        self.freeze()
    }

    /// Everything that is known. Overlapping scrapes share one copy, unless a sweep has ended
    /// since it was made.
    pub fn freeze(&self) -> Arc<Frozen> {
        self.tools.gate.export(&self.tools.metrics);
        let mut shared = self.frozen.lock().unwrap_or_else(PoisonError::into_inner);
        let sweepers = self.sweepers.load();
        let sweeps = sweepers.iter().map(|sweeper| sweeper.state().facts().sweeps.iter().sum::<u64>()).sum();
        let young = shared.at.is_some_and(|at| at.elapsed() < SHARED_FOR);
        if let Some(frozen) = shared
            .frozen
            .upgrade()
            .filter(|frozen| young && shared.sweeps == sweeps && are_of(&frozen.instances, &sweepers))
        {
            return frozen;
        }
        let now = self.tools.clock.now();
        let instances = sweepers.iter().map(|sweeper| sweeper.state().freeze(now)).collect();
        let frozen = Arc::new(Frozen { at: now, instances });
        *shared = SharedFreeze { frozen: Arc::downgrade(&frozen), at: Some(Instant::now()), sweeps };
        frozen
    }

    /// Stops all sweeps, and returns when they have ended.
    pub async fn stop(&self) {
        self.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }

    fn join(&self) -> Vec<(Arc<Sweeper>, Arc<Progress>)> {
        let joined = |sweeper: &'_ Arc<Sweeper>| sweeper.join(&self.tasks, &self.stop);
        let sweepers = self.sweepers.load();
        sweepers.iter().filter_map(|sweeper| Some((Arc::clone(sweeper), joined(sweeper)?))).collect()
    }

    /// Whether waiting helps: every sweep can end by then at the rates in force, and none of them
    /// only tries whether calls are worth while again.
    fn can_end_by(&self, deadline: Instant, joined: &[(Arc<Sweeper>, Arc<Progress>)]) -> bool {
        let all = joined.iter().map(|(_, progress)| progress.left()).sum();
        let egress = self.tools.gate.egress_time_for(Operation::Single, all);
        let alone = joined.iter().map(|(sweeper, progress)| sweeper.time_for(progress.left()));
        let longest = alone.fold(egress, Duration::max);
        joined.iter().all(|(_, progress)| progress.is_hopeful()) && Instant::now() + longest <= deadline
    }
}

impl Drop for Sweeps {
    /// Without the sweeps' owner nobody would see what they find out.
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// Whether the copies are of the fleets that are current.
fn are_of(frozen: &[FrozenInstance], sweepers: &[Arc<Sweeper>]) -> bool {
    let same = |(frozen, sweeper): (&FrozenInstance, &Arc<Sweeper>)| {
        std::ptr::eq(frozen.fleet(), Arc::as_ptr(&sweeper.state().fleet()))
    };
    frozen.len() == sweepers.len() && frozen.iter().zip(sweepers).all(same)
}

impl Tools {
    fn target(&self, subject: Subject, collect: &crate::config::Collect) -> Target {
        Target {
            lane: self.gate.lane(subject.state.id(), subject.account.as_deref(), subject.calls_per_second),
            state: subject.state,
            source: subject.source,
            gate: Arc::clone(&self.gate),
            metrics: Arc::clone(&self.metrics),
            errors: Mutex::default(),
            clock: self.clock,
            random: self.random.clone(),
            retries: collect.retries,
        }
    }
}
