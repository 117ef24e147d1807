//! The sweeps of all instances, and the scrapes that join them.

use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::Random;
use super::gate::Gate;
use super::sweeper::{Progress, Sweeper};
use super::target::Target;
use crate::clock::Clock;
use crate::presence::{Frozen, InstanceState, Operation, PresenceSource};
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
    sweepers: Vec<Arc<Sweeper>>,
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
        let sweeper = |subject: Subject| {
            let lane = tools.gate.lane(subject.state.id(), subject.account.as_deref(), subject.calls_per_second);
            let target = Target {
                state: subject.state,
                source: subject.source,
                gate: Arc::clone(&tools.gate),
                lane,
                metrics: Arc::clone(&tools.metrics),
                errors: Mutex::default(),
                clock: tools.clock,
                random: tools.random.clone(),
                retries: collect.retries,
            };
            Arc::new(Sweeper::new(target, collect.max_age))
        };
        Self {
            sweepers: subjects.into_iter().map(sweeper).collect(),
            tasks: TaskTracker::new(),
            stop: CancellationToken::new(),
            frozen: Mutex::default(),
            tools,
        }
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
        let sweeps = self.sweepers.iter().map(|sweeper| sweeper.state().facts().sweeps.iter().sum::<u64>()).sum();
        let young = shared.at.is_some_and(|at| at.elapsed() < SHARED_FOR);
        if let Some(frozen) = shared.frozen.upgrade().filter(|_| young && shared.sweeps == sweeps) {
            return frozen;
        }
        let now = self.tools.clock.now();
        let instances = self.sweepers.iter().map(|sweeper| sweeper.state().freeze(now)).collect();
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

    fn join(&self) -> Vec<(&Sweeper, Arc<Progress>)> {
        let joined = |sweeper: &'_ Arc<Sweeper>| sweeper.join(&self.tasks, &self.stop);
        self.sweepers.iter().filter_map(|sweeper| Some((&**sweeper, joined(sweeper)?))).collect()
    }

    /// Whether waiting helps: every sweep can end by then at the rates in force, and none of them
    /// only tries whether calls are worth while again.
    fn can_end_by(&self, deadline: Instant, joined: &[(&Sweeper, Arc<Progress>)]) -> bool {
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
