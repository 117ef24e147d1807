//! What the API has answered, and what may be shown therefore.

use std::collections::HashMap;
use std::fmt::Debug;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use mqtt_presence_exporter::presence::{
    ApiResponse, BatchEntry, BoxFuture, CallError, InstanceSnapshot, Operation, PresenceSource,
};
use tokio::time::Instant;

/// Tolerance at the age at which an observation expires: observations may be kept in milliseconds.
const TOLERANCE: Duration = Duration::from_millis(5);

/// The time at which an answer came is kept in steps of about an eighth of a second, rounded up.
const ROUNDING: Duration = Duration::from_millis(132);

/// Hears every answer, and checks what is shown.
#[derive(Clone, Debug)]
pub(super) struct Witness {
    seen: Arc<Mutex<Seen>>,
    stale_after: Duration,
}

#[derive(Debug, Default)]
struct Seen {
    fleets: HashMap<usize, Fleet>,
    violations: Vec<String>,
    queries: u64,
}

/// The clients of an instance.
#[derive(Debug, Default)]
struct Fleet {
    /// How often the instance was added: answers for an earlier stay are void.
    stay: u64,
    gone: bool,
    clients: HashMap<String, Heard>,
}

/// What was answered about a client since it is in the fleet.
#[derive(Clone, Copy, Debug, Default)]
struct Heard {
    last: Option<Last>,
    /// The last answer may not be published yet at the instant at which it came.
    before: Option<(Instant, Option<Last>)>,
}

/// The answer that counts.
#[derive(Clone, Copy, Debug)]
struct Last {
    online: bool,
    sent: Instant,
    answered: Instant,
    /// The answers of overlapping calls disagreed: nobody knows which is newer.
    doubt: bool,
    /// The latest time of sending that surely counts for the age.
    counted: Instant,
}

/// What may be shown of a client.
#[derive(Clone, Copy, Debug, Default)]
struct Allowed {
    online: bool,
    offline: bool,
    unknown: bool,
}

impl Allowed {
    fn of(last: Option<Last>, now: Instant, stale_after: Duration) -> Self {
        let Some(last) = last else {
            return Self {
                unknown: true,
                ..Self::default()
            };
        };
        let known = now - last.answered <= stale_after + TOLERANCE;
        Self {
            online: known && (last.online || last.doubt),
            offline: known && (!last.online || last.doubt),
            unknown: now - last.counted + TOLERANCE > stale_after,
        }
    }

    const fn or(self, other: Self) -> Self {
        Self {
            online: self.online || other.online,
            offline: self.offline || other.offline,
            unknown: self.unknown || other.unknown,
        }
    }

    const fn has(self, shown: Option<bool>) -> bool {
        match shown {
            Some(true) => self.online,
            Some(false) => self.offline,
            None => self.unknown,
        }
    }
}

impl Heard {
    fn single(&mut self, online: bool, sent: Instant, now: Instant) {
        let mut next = Last {
            online,
            sent,
            answered: now,
            doubt: false,
            counted: sent,
        };
        if let Some(last) = self.last {
            let overlap = sent < last.answered + ROUNDING && last.sent < now;
            next.doubt = overlap && (last.doubt || online != last.online);
            if next.doubt {
                next.counted = last.counted.min(sent);
            }
            if sent < last.sent {
                next = Last {
                    doubt: next.doubt || last.doubt,
                    counted: next.counted.min(last.counted),
                    answered: now,
                    ..last
                };
            }
        }
        self.set(next, now);
    }

    /// A batch confirms a status, or is the first to call a client online.
    fn batch(&mut self, online: bool, sent: Instant, now: Instant, stale_after: Duration) {
        let Some(last) = self.last else {
            if online {
                self.single(online, sent, now);
            }
            return;
        };
        let surely_fresh = now - last.sent + TOLERANCE <= stale_after;
        let may_be_fresh = sent.saturating_duration_since(last.answered) <= stale_after + TOLERANCE;
        let mut next = last;
        if last.online == online && (online || may_be_fresh) {
            next.answered = now;
            if sent >= last.sent && (online || surely_fresh) {
                next.sent = sent;
                next.counted = if last.doubt { last.counted } else { sent };
            }
        } else if online && !surely_fresh {
            // It is unknown, so that the batch may be the first to call it online again.
            next.doubt = true;
            next.answered = now;
        }
        self.set(next, now);
    }

    fn set(&mut self, next: Last, now: Instant) {
        if self.before.is_none_or(|(at, _)| at != now) {
            self.before = Some((now, self.last));
        }
        self.last = Some(next);
    }

    fn allowed(&self, now: Instant, stale_after: Duration) -> Allowed {
        let allowed = Allowed::of(self.last, now, stale_after);
        match self.before {
            Some((at, last)) if at == now => allowed.or(Allowed::of(last, now, stale_after)),
            _ => allowed,
        }
    }
}

impl Witness {
    pub(super) fn new(stale_after: Duration) -> Self {
        Self {
            seen: Arc::default(),
            stale_after,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().expect("no holder panics")
    }

    /// An instance with these clients was added.
    pub(super) fn added(&self, instance: usize, clients: impl IntoIterator<Item = String>) {
        let mut seen = self.lock();
        let fleet = seen.fleets.entry(instance).or_default();
        fleet.stay += 1;
        fleet.gone = false;
        fleet.clients = clients
            .into_iter()
            .map(|client| (client, Heard::default()))
            .collect();
    }

    /// An instance is removed: its answers do not matter any more.
    pub(super) fn removed(&self, instance: usize) {
        let mut seen = self.lock();
        let fleet = seen.fleets.get_mut(&instance).expect("it was added");
        fleet.clients.clear();
    }

    /// Nothing is left of a removed instance: no call may be made.
    pub(super) fn gone(&self, instance: usize) {
        let mut seen = self.lock();
        let fleet = seen.fleets.get_mut(&instance).expect("it was added");
        fleet.gone = true;
    }

    /// The fleet of an instance is these clients from now on.
    pub(super) fn swapped(&self, instance: usize, clients: impl IntoIterator<Item = String>) {
        let mut seen = self.lock();
        let fleet = seen.fleets.get_mut(&instance).expect("it was added");
        let clients = clients.into_iter();
        let stay = clients.map(|client| {
            let heard = fleet.clients.get(&client).copied().unwrap_or_default();
            (client, heard)
        });
        fleet.clients = stay.collect();
    }

    /// A source whose answers are heard, for the current stay of an instance.
    pub(super) fn watch(
        &self,
        instance: usize,
        source: Arc<dyn PresenceSource>,
    ) -> Arc<dyn PresenceSource> {
        let stay = self.lock().fleets[&instance].stay;
        Arc::new(Watched {
            witness: self.clone(),
            instance,
            stay,
            source,
        })
    }

    pub(super) fn violation(&self, what: String) {
        self.lock().violations.push(what);
    }

    /// Panics if something was wrong.
    pub(super) fn assert(&self) {
        let seen = self.lock();
        if let Some(first) = seen.violations.first() {
            panic!("{first} (the first of {})", seen.violations.len());
        }
    }

    /// The queries so far.
    pub(super) fn queries(&self) -> u64 {
        self.lock().queries
    }

    fn sent(&self, instance: usize, stay: u64) {
        let mut seen = self.lock();
        seen.queries += 1;
        let fleet = &seen.fleets[&instance];
        if fleet.gone || fleet.stay != stay {
            let gone = format!("a call for instance {instance}, which was removed");
            seen.violations.push(gone);
        }
    }

    fn answered(
        &self,
        (instance, stay): (usize, u64),
        operation: Operation,
        client: &str,
        online: bool,
        sent: Instant,
    ) {
        let mut seen = self.lock();
        let now = Instant::now();
        let fleet = seen.fleets.get_mut(&instance).expect("it was added");
        if fleet.stay != stay {
            return;
        }
        // It may have left the fleet.
        let Some(heard) = fleet.clients.get_mut(client) else {
            return;
        };
        match operation {
            Operation::Single => heard.single(online, sent, now),
            Operation::Batch => heard.batch(online, sent, now, self.stale_after),
        }
    }

    /// Checks what a scrape shows of an instance.
    pub(super) fn check(&self, instance: usize, shown: &InstanceSnapshot) {
        let mut seen = self.lock();
        let now = Instant::now();
        let Seen {
            fleets, violations, ..
        } = &mut *seen;
        let clients = &fleets[&instance].clients;
        let fleet = shown.fleet();
        if fleet.len() != clients.len() {
            violations.push(format!("instance {instance} has the wrong fleet"));
        }
        for index in 0..fleet.len() {
            let client = fleet.client(index);
            let Some(heard) = clients.get(&*client) else {
                violations.push(format!("{client} is not in the fleet"));
                continue;
            };
            let status = shown.client(index).map(|(seen, _)| seen.online);
            if !heard.allowed(now, self.stale_after).has(status) {
                violations.push(format!(
                    "at {now:?} {client} is shown as {:?}, and this was answered: {heard:?}",
                    shown.client(index)
                ));
            }
        }
    }

    /// Whether a probe of a client may have this result.
    pub(super) fn check_probe(&self, instance: usize, client: &str, online: bool) {
        let mut seen = self.lock();
        let heard = seen.fleets[&instance].clients.get(client);
        // Before the first answer, it may be that of a probe from before the client was in the fleet.
        let Some(heard) = heard.filter(|heard| heard.last.is_some()) else {
            return;
        };
        let allowed = heard.allowed(Instant::now(), self.stale_after);
        if !allowed.has(Some(online)) {
            let wrong = format!("a probe of {client} said {online}: {heard:?}");
            seen.violations.push(wrong);
        }
    }
}

/// A source whose answers are heard.
#[derive(Debug)]
struct Watched {
    witness: Witness,
    instance: usize,
    stay: u64,
    source: Arc<dyn PresenceSource>,
}

impl Watched {
    fn heard(&self, operation: Operation, client: &str, online: bool, sent: Instant) {
        let of = (self.instance, self.stay);
        self.witness.answered(of, operation, client, online, sent);
    }
}

impl PresenceSource for Watched {
    fn query<'a>(&'a self, client: &'a str) -> BoxFuture<'a, Result<ApiResponse<bool>, CallError>> {
        Box::pin(async move {
            let sent = Instant::now();
            self.witness.sent(self.instance, self.stay);
            let answer = self.source.query(client).await?;
            self.heard(Operation::Single, client, answer.value, sent);
            Ok(answer)
        })
    }

    fn query_batch<'a>(
        &'a self,
        clients: &'a [&'a str],
    ) -> BoxFuture<'a, Result<ApiResponse<Vec<BatchEntry>>, CallError>> {
        Box::pin(async move {
            let sent = Instant::now();
            self.witness.sent(self.instance, self.stay);
            let answer = self.source.query_batch(clients).await?;
            for entry in &answer.value {
                self.heard(Operation::Batch, &entry.client, entry.online, sent);
            }
            Ok(answer)
        })
    }

    fn refresh_credentials(&self) -> BoxFuture<'_, bool> {
        self.source.refresh_credentials()
    }

    fn credentials_replaced(&self) -> u64 {
        self.source.credentials_replaced()
    }

    fn clock_offset_millis(&self) -> i64 {
        self.source.clock_offset_millis()
    }
}
