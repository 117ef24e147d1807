//! The layers as a tree, and the choice of the next call.

use std::collections::BTreeSet;
use std::mem;
use std::sync::Arc;
use std::time::Duration;

use super::layer::{LayerLimiter, LayerSpec, Priority};
use super::queue::{Lane, LaneId, Layer, LayerId, Member, QueuePosition, ReadyQueue, Ticket};
use super::rate::{Rate, Time};

/// The right to send one request. It is given back once, by [`LayerTree::finish`] or
/// [`LayerTree::return_unsent`]; a permit that is lost keeps its slots.
#[derive(Debug)]
#[must_use = "a permit that is dropped holds its slots for ever"]
pub struct Permit {
    path: Arc<[LayerId]>,
    /// The time of the grant, which is the earliest time at which the request left.
    pub granted_at: Time,
}

/// The effect of the passing of time.
#[derive(Debug)]
pub struct Advance {
    /// The tickets that may go, in order.
    pub granted: Vec<(Ticket, Permit)>,
    /// The time to advance again if nothing else happens before; never later than the next
    /// possible grant. `None` if only another event can lead to one.
    pub next: Option<Time>,
}

/// The limits of a process.
///
/// Only [`LayerTree::advance`] grants, so the caller advances to the same point in time after any
/// other change. Times that go backwards count as the latest time seen. Layers and lanes are never
/// removed: their state outlives an instance that comes back.
#[derive(Debug, Default)]
pub struct LayerTree {
    now: Time,
    /// The number of events so far. Each event has a number, which orders them.
    events: u64,
    layers: Vec<Layer>,
    lanes: Vec<Lane>,
    /// Spreads the gain seconds of processes that share a quota.
    phase: u64,
    /// The layers without a layer above that could go.
    top: ReadyQueue,
    /// The times at which closed layers are evaluated again.
    alarms: BTreeSet<(Time, LayerId)>,
}

impl LayerTree {
    /// No layers yet. `phase` is a random number, which spreads the seconds in which the processes
    /// that share a quota try for more.
    #[must_use]
    pub fn new(phase: u64) -> Self {
        Self {
            phase,
            ..Self::default()
        }
    }

    /// Adds a layer, inside the one `above` if there is one. Its first call can leave at
    /// `opens_at`, without a burst saved up by then.
    pub fn add_layer(
        &mut self,
        above: Option<LayerId>,
        spec: &LayerSpec,
        opens_at: Time,
    ) -> LayerId {
        let id = LayerId(self.layers.len());
        let above = above.map_or(&[][..], |above| &self.layers[above.0].path);
        let path = std::iter::once(id).chain(above.iter().copied()).collect();
        self.layers.push(Layer::new(
            path,
            LayerLimiter::new(spec, opens_at, self.phase),
        ));
        id
    }

    /// Changes the limits of a layer. What was spent, taken or granted stays known.
    pub fn reconfigure(&mut self, layer: LayerId, spec: &LayerSpec, now: Time) {
        self.change(layer, now, |limiter, now| limiter.reconfigure(spec, now));
    }

    /// Adds a lane to `layer`; its calls pass that layer and all layers above it.
    pub fn add_lane(&mut self, layer: LayerId) -> LaneId {
        let turn = self.number();
        self.lanes.push(Lane {
            path: Arc::clone(&self.layers[layer.0].path),
            tickets: Default::default(),
            turns: [turn; 2],
            position: [None; 2],
        });
        LaneId(self.lanes.len() - 1)
    }

    /// A call wants to leave.
    pub fn enqueue(&mut self, now: Time, lane: LaneId, priority: Priority) -> Ticket {
        self.pass_time(now);
        let number = self.number();
        self.lanes[lane.0].tickets[priority as usize].insert(number, self.now);
        self.refresh_lane(lane);
        Ticket {
            lane,
            priority,
            number,
        }
    }

    /// A call no longer wants to leave. `false` if its permit was granted already and has to be
    /// given back.
    pub fn cancel(&mut self, ticket: Ticket) -> bool {
        let tickets = &mut self.lanes[ticket.lane.0].tickets[ticket.priority as usize];
        let waited = tickets.remove(&ticket.number).is_some();
        if waited {
            self.refresh_lane(ticket.lane);
        }
        waited
    }

    /// Grants everything that can be granted at `now`, each ticket from all its layers at once.
    pub fn advance(&mut self, now: Time) -> Advance {
        self.pass_time(now);
        while let Some(&(at, layer)) = self.alarms.first()
            && at <= self.now
        {
            self.refresh(&Arc::clone(&self.layers[layer.0].path));
        }
        let granted = std::iter::from_fn(|| self.grant()).collect();
        let next = self.alarms.first().map(|(at, _)| *at);
        Advance { granted, next }
    }

    /// The answer to a call has arrived, or its connection was closed.
    pub fn finish(&mut self, permit: Permit, now: Time) {
        self.pass_time(now);
        let Permit { path, .. } = permit;
        self.change_path(&path, LayerLimiter::end);
    }

    /// A call will not be made.
    pub fn return_unsent(&mut self, permit: Permit) {
        let Permit { path, .. } = permit;
        self.change_path(&path, |limiter, _| limiter.take_back());
    }

    /// The API answered a call and did not throttle it. The rate of a layer that is throttled
    /// follows these answers.
    pub fn granted(&mut self, permit: &Permit, now: Time) {
        self.pass_time(now);
        let sent_at = permit.granted_at;
        self.change_path(&permit.path, |limiter, now| limiter.grant(sent_at, now));
    }

    /// The API throttled a call that was sent at `sent_at`, and named `layer`. For a minute, the
    /// rate in force is what the API grants. No call leaves before `retry_after` is over, at most
    /// 5 m.
    pub fn throttled(
        &mut self,
        layer: LayerId,
        sent_at: Time,
        now: Time,
        retry_after: Option<Duration>,
    ) {
        self.change(layer, now, |limiter, now| {
            limiter.throttle(sent_at, now, retry_after);
        });
    }

    /// The rate of a layer at `now`, as configured or as the API grants it.
    #[must_use]
    pub fn rate_in_force(&self, layer: LayerId, now: Time) -> Rate {
        self.layers[layer.0].limiter.rate(now.max(self.now))
    }

    /// The total time that granted calls have waited. The whole wait of a call counts for the
    /// layer that held it back last.
    #[must_use]
    pub fn waited(&self, layer: LayerId) -> Duration {
        self.layers[layer.0].waited
    }

    /// Grants the next ticket, if one can go.
    fn grant(&mut self) -> Option<(Ticket, Permit)> {
        let (id, turn) = self.choose()?;
        let event = self.number();
        let lane = &mut self.lanes[id.0];
        let (priority, number, since) = lane.next(turn).expect("a queued lane has a ticket");
        lane.turns[turn as usize] = event;
        let path = Arc::clone(&lane.path);
        for layer in &*path {
            self.layers[layer.0].limiter.pass(turn, self.now);
        }
        self.book(&path, number, self.now.since(since));
        self.refresh_lane(id);
        let ticket = Ticket {
            lane: id,
            priority,
            number,
        };
        let granted_at = self.now;
        Some((ticket, Permit { path, granted_at }))
    }

    /// The next lane, and the queue that it is in: from the top down, always the first of the
    /// queue. A queued member could pass all layers below, and the top has no limit.
    fn choose(&self) -> Option<(LaneId, Priority)> {
        Priority::ALL.into_iter().find_map(|priority| {
            let mut queue = &self.top;
            loop {
                match *queue[priority as usize].first_key_value()?.1 {
                    Member::Lane(first) => return Some((first, priority)),
                    Member::Layer(first) => queue = &self.layers[first.0].ready,
                }
            }
        })
    }

    /// Adds the wait of a ticket to the layer that held it back last.
    fn book(&mut self, path: &[LayerId], ticket: u64, wait: Duration) {
        let last = path
            .iter()
            .max_by_key(|layer| self.layers[layer.0].held_back_until);
        if let Some(last) = last.map(|layer| &mut self.layers[layer.0])
            && last.held_back_until > ticket
        {
            last.waited += wait;
        }
    }

    fn change_path(&mut self, path: &[LayerId], change: impl Fn(&mut LayerLimiter, Time)) {
        for layer in path {
            change(&mut self.layers[layer.0].limiter, self.now);
        }
        self.refresh(path);
    }

    fn change(&mut self, id: LayerId, now: Time, change: impl FnOnce(&mut LayerLimiter, Time)) {
        self.pass_time(now);
        let layer = &mut self.layers[id.0];
        change(&mut layer.limiter, self.now);
        let path = Arc::clone(&layer.path);
        self.refresh(&path);
    }

    /// Updates the position of a lane after its tickets or its turn changed, and of all above it.
    fn refresh_lane(&mut self, id: LaneId) {
        let lane = &mut self.lanes[id.0];
        let after = lane.evaluate();
        let before = mem::replace(&mut lane.position, after);
        let path = Arc::clone(&lane.path);
        self.requeue(path.first(), Member::Lane(id), before, after);
        self.refresh(&path);
    }

    /// Updates the positions of the layers of a path after their limits or queues changed.
    fn refresh(&mut self, path: &[LayerId]) {
        for (index, &id) in path.iter().enumerate() {
            let event = self.number();
            let layer = &mut self.layers[id.0];
            let (after, alarm) = layer.evaluate(self.now);
            if layer.holds_back {
                layer.held_back_until = event;
            }
            let ordinary = Priority::Ordinary as usize;
            layer.holds_back = after[ordinary].is_none() && !layer.ready[ordinary].is_empty();
            let alarm_before = mem::replace(&mut layer.alarm, alarm);
            let before = mem::replace(&mut layer.position, after);
            if let Some(alarm) = alarm_before {
                self.alarms.remove(&(alarm, id));
            }
            self.alarms.extend(alarm.map(|alarm| (alarm, id)));
            self.requeue(path.get(index + 1), Member::Layer(id), before, after);
        }
    }

    /// Moves a member within the queue of the layer above it.
    fn requeue(
        &mut self,
        above: Option<&LayerId>,
        member: Member,
        before: QueuePosition,
        after: QueuePosition,
    ) {
        let queue = match above {
            Some(layer) => &mut self.layers[layer.0].ready,
            None => &mut self.top,
        };
        for (queue, (before, after)) in queue.iter_mut().zip(before.into_iter().zip(after)) {
            if let Some(turn) = before {
                queue.remove(&turn);
            }
            queue.extend(after.map(|turn| (turn, member)));
        }
    }

    fn pass_time(&mut self, now: Time) {
        self.now = self.now.max(now);
    }

    fn number(&mut self) -> u64 {
        self.events += 1;
        self.events
    }
}
