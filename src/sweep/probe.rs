//! Executor for one client, now, for somebody who waits for the answer.

mod bulk;
mod single;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use single::{ProbeOutcome, SingleProbe};

use super::breaker::Admission;
use super::executor::{CallPolicy, StartMode, execute};
use super::sweeper::{Sweeper, lock};
use crate::limits::Priority;
use crate::presence::{CallError, InstanceState, Observation, Operation};

/// Why a question about a client has no answer.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ProbeError {
    /// The call failed.
    #[error(transparent)]
    Failed(Box<CallError>),
    /// No call was made, because those before it had no prospect.
    #[error(
        "not asked: calls on {instance} failed in a way that executor again does not mend, as the log says; \
         the next one is made in {wait:.0?} at the earliest"
    )]
    Refused {
        /// The instance.
        instance: String,
        /// How long calls are not worth while.
        wait: Duration,
    },
    /// The limits on calls, or the API, took longer than the asker could wait.
    #[error(
        "not answered in time; raise the timeout, or probe fewer clients or less often if the limits hold calls back"
    )]
    Late,
    /// The process is about to end, or the instance has left the configuration.
    #[error("not answered: the exporter is stopping, or the instance has left its configuration")]
    Stopping,
}

/// Asks about single clients of one instance.
///
/// Questions about the same client that meet are one call, and an answer that is younger than
/// `max_age` is not asked for again, whoever got it.
#[derive(Clone, Debug)]
pub struct Prober {
    sweeper: Arc<Sweeper>,
    tasks: TaskTracker,
    stop: CancellationToken,
}

/// What is asked about single clients of one instance, whoever sweeps it.
#[derive(Debug, Default)]
pub(super) struct Probes {
    questions: Mutex<PendingProbes>,
    enough: Mutex<CancellationToken>,
    tasks: TaskTracker,
}

#[derive(Debug, Default)]
struct PendingProbes {
    /// Those under way; who asks owns them.
    open: HashMap<Box<str>, Weak<PendingProbe>>,
    /// Answers about clients outside of the fleet, which no state keeps, while they are young.
    outsiders: HashMap<Box<str>, Observation>,
}

/// A question, and once it is settled, what outcome of it.
type PendingProbe = watch::Sender<Option<ProbeOutcome>>;

/// What there is for somebody who wants to know.
enum Joined {
    Known(Observation),
    Open(watch::Receiver<Option<ProbeOutcome>>),
}

impl Probes {
    /// Calls on the instance have no prospect: those that have not left stay here.
    pub(super) fn cancel(&self) {
        std::mem::take(&mut *lock(&self.enough)).cancel();
    }

    /// Returns when nothing is under way any more. The instance has left before that is called.
    pub(super) async fn ended(&self) {
        // Who was about to begin something has done so, or has seen that the instance has left.
        drop(lock(&self.questions));
        self.tasks.close();
        self.tasks.wait().await;
    }

    /// Is cancelled when what begins now is given up.
    fn enough(&self) -> CancellationToken {
        lock(&self.enough).child_token()
    }
}

impl Prober {
    pub(super) fn new(sweeper: Arc<Sweeper>, tasks: TaskTracker, stop: CancellationToken) -> Self {
        Self {
            sweeper,
            tasks,
            stop,
        }
    }

    /// The instance, its fleet and what is known of it.
    #[must_use]
    pub fn state(&self) -> &InstanceState {
        self.sweeper.state()
    }

    /// What the API says about `client`, which need not be in the fleet; what it says about one
    /// that is enters the state.
    ///
    /// Who drops the future, or waits in vain until `deadline`, cancels the call only if it has
    /// not left and nobody else waits for it.
    pub async fn probe(&self, client: &str, deadline: Instant) -> Result<Observation, ProbeError> {
        loop {
            let mut question = match self.join(client, deadline)? {
                Joined::Known(observation) => return Ok(observation),
                Joined::Open(question) => question,
            };
            let outcome = match timeout_at(deadline, question.wait_for(Option::is_some)).await {
                Ok(Ok(outcome)) => outcome.clone(),
                Ok(Err(_)) => return Err(ProbeError::Stopping),
                Err(_) => return Err(ProbeError::Late),
            };
            match outcome {
                Some(ProbeOutcome::Answered(observation)) => return Ok(observation),
                Some(ProbeOutcome::Unanswered(why)) => return Err(why),
                // It was joined in the moment in which it was given up.
                Some(ProbeOutcome::Unasked) | None => {}
            }
        }
    }

    /// What is known about `client` that is as good as executor now, or the question about it that is
    /// under way, which is begun where there is none.
    fn join(&self, client: &str, deadline: Instant) -> Result<Joined, ProbeError> {
        let mut questions = lock(&self.sweeper.probes.questions);
        let known = self
            .state()
            .observation(client, self.sweeper.caller.clock.now());
        let known = known.or_else(|| questions.outsiders.get(client).copied());
        if let Some(observation) = known.filter(|seen| self.is_as_good_as_asking(seen)) {
            return Ok(Joined::Known(observation));
        }
        if let Some(question) = questions.open.get(client).and_then(Weak::upgrade) {
            return Ok(Joined::Open(question.subscribe()));
        }
        if self.sweeper.gone.is_cancelled() {
            return Err(ProbeError::Stopping);
        }
        let now = Instant::now();
        let start = match self.sweeper.breaker().admit(now) {
            Admission::Full => StartMode::None,
            Admission::Probe => StartMode::Probe,
            Admission::Refused(until) => {
                return Err(self.refused(until - now));
            }
        };
        let (question, open) = watch::channel(None);
        let question = Arc::new(question);
        questions
            .open
            .insert(client.into(), Arc::downgrade(&question));
        let asked = self
            .clone()
            .execute(client.into(), question, start, deadline);
        self.tasks
            .spawn(self.sweeper.probes.tasks.track_future(asked));
        Ok(Joined::Open(open))
    }

    fn refused(&self, wait: Duration) -> ProbeError {
        ProbeError::Refused {
            instance: self.state().id().to_string(),
            wait,
        }
    }

    /// Whether it was heard in real time, and just now.
    fn is_as_good_as_asking(&self, seen: &Observation) -> bool {
        let now = self.sweeper.caller.clock.now();
        // A clock that was set back makes nothing young again.
        let young = seen.at <= now && now.since(seen.at) < self.sweeper.collect.max_age;
        young && seen.operation == Operation::Single
    }

    /// Asks, and tells those who wait.
    async fn execute(
        self,
        client: Box<str>,
        question: Arc<PendingProbe>,
        start: StartMode,
        deadline: Instant,
    ) {
        let enough = self.sweeper.probes.enough();
        let policy = CallPolicy {
            start,
            priority: Priority::Urgent,
            until: Some(deadline),
            enough: enough.clone(),
        };
        let mut work = SingleProbe::new(&self.sweeper, start, client.clone());
        let asked = async {
            let mut asked = std::pin::pin!(execute(&self.sweeper.caller, policy, &mut work));
            tokio::select! {
                biased;
                _ = &mut asked => {}
                () = question.closed() => {
                    enough.cancel();
                    let _ = asked.await;
                }
            }
        };
        let asked = self.sweeper.gone.run_until_cancelled(asked);
        let stopped = self
            .stop
            .run_until_cancelled(asked)
            .await
            .flatten()
            .is_none();
        let outcome = if stopped {
            ProbeOutcome::Unanswered(ProbeError::Stopping)
        } else {
            work.outcome
        };
        self.settle(client, &question, outcome);
    }

    fn settle(&self, client: Box<str>, question: &PendingProbe, outcome: ProbeOutcome) {
        let mut questions = lock(&self.sweeper.probes.questions);
        questions.open.remove(&client);
        if let ProbeOutcome::Answered(observation) = outcome
            && self.state().fleet().position(&client).is_none()
        {
            questions
                .outsiders
                .retain(|_, seen| self.is_as_good_as_asking(seen));
            questions.outsiders.insert(client, observation);
        }
        question.send_replace(Some(outcome));
    }
}
