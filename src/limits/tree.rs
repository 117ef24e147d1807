//! The layers as a tree, and the choice of the next call.

use std::collections::BTreeSet;
use std::mem;
use std::sync::Arc;
use std::time::Duration;

use super::call::{LaneId, LayerId, Outcome, PlaceId, Priority, QUEUES, Queue, Ticket};
use super::layer::{LayerLimiter, LayerSpec};
use super::place::Place;
use super::queue::{Lane, Layer, Member, QueuePosition, ReadyQueue};
use super::rate::{Rate, Time};

/// The right to send one request. It is given back once, by [`LayerTree::finish`]; a permit that is
/// lost keeps its slots.
#[derive(Debug)]
#[must_use = "a permit that is dropped holds its slots for ever"]
pub struct Permit {
    path: Arc<[LayerId]>,
    place: PlaceId,
    queue: Queue,
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
    places: Vec<Place>,
    /// Spreads the gain seconds of processes that share a quota.
    phase: u64,
    /// The layers without a layer above that could go.
    top: ReadyQueue,
    /// The times at which closed layers and places are evaluated again.
    alarms: BTreeSet<(Time, LayerId)>,
    place_alarms: BTreeSet<(Time, PlaceId)>,
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

    /// Adds a place to which no call was made yet.
    pub fn add_place(&mut self) -> PlaceId {
        self.places.push(Place::default());
        PlaceId(self.places.len() - 1)
    }

    /// Adds a lane to `layer`; its calls pass that layer and all layers above it, and go to `place`.
    pub fn add_lane(&mut self, layer: LayerId, place: PlaceId) -> LaneId {
        let turn = self.number();
        self.lanes.push(Lane {
            path: Arc::clone(&self.layers[layer.0].path),
            place,
            tickets: Default::default(),
            turns: [turn; QUEUES],
            position: [None; QUEUES],
        });
        let lane = LaneId(self.lanes.len() - 1);
        self.places[place.0].lanes.push(lane);
        lane
    }

    /// The calls of a lane go to another place from now on.
    pub fn move_lane(&mut self, lane: LaneId, place: PlaceId) {
        let before = mem::replace(&mut self.lanes[lane.0].place, place);
        self.places[before.0].lanes.retain(|other| *other != lane);
        self.places[place.0].lanes.push(lane);
        self.refresh_lane(lane);
    }

    /// The place that the calls of a lane go to.
    #[must_use]
    pub fn place(&self, lane: LaneId) -> PlaceId {
        self.lanes[lane.0].place
    }

    /// Whether any lane that goes to the place will be used. Without one, the slots of its calls
    /// without an answer become free within a minute.
    pub fn set_in_use(&mut self, place: PlaceId, in_use: bool, now: Time) {
        self.pass_time(now);
        self.change_place(place, |place, now| place.set_in_use(in_use, now));
    }

    /// Whether the calls of a lane wait until a trial call to its place is answered.
    #[must_use]
    pub fn is_shut(&self, lane: LaneId) -> bool {
        self.places[self.lanes[lane.0].place.0].is_shut()
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

    /// The number of calls of a lane that want to leave.
    #[cfg(test)]
    pub(super) fn waiting(&self, lane: LaneId) -> usize {
        let tickets = self.lanes[lane.0].tickets.iter();
        tickets.map(std::collections::BTreeMap::len).sum()
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
        while let Some(&(at, id)) = self.place_alarms.first()
            && at <= self.now
        {
            for held in self.change_place(id, Place::free) {
                self.change_path(&held.path, |limiter, now| {
                    if held.trial {
                        limiter.free_trial();
                    } else {
                        limiter.settle(false, now);
                    }
                });
            }
        }
        while let Some(&(at, layer)) = self.alarms.first()
            && at <= self.now
        {
            self.refresh(&Arc::clone(&self.layers[layer.0].path));
        }
        let granted = std::iter::from_fn(|| self.grant()).collect();
        let layers = self.alarms.first().map(|(at, _)| *at);
        let places = self.place_alarms.first().map(|(at, _)| *at);
        let next = layers.into_iter().chain(places).min();
        Advance { granted, next }
    }

    /// A call has ended.
    pub fn finish(&mut self, permit: Permit, outcome: Outcome, now: Time) {
        self.pass_time(now);
        let Permit {
            path,
            place,
            queue,
            granted_at,
        } = permit;
        self.change_path(&path, |limiter, now| limiter.end(queue, outcome, now));
        let (number, call) = (self.number(), (&path, queue, granted_at));
        for held in self.change_place(place, |place, now| place.end(call, outcome, number, now)) {
            self.change_path(&held.path, |limiter, now| limiter.settle(true, now));
        }
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

    /// The time before which no call passes a layer: its start, or the end of a `retry-after`.
    #[must_use]
    pub fn shut_until(&self, layer: LayerId) -> Time {
        self.layers[layer.0].limiter.shut_until()
    }

    /// The total time that granted calls have waited. The whole wait of a call counts for the
    /// layer that held it back last.
    #[must_use]
    pub fn waited(&self, layer: LayerId) -> Duration {
        self.layers[layer.0].waited
    }

    /// Grants the next ticket, if one can go.
    fn grant(&mut self) -> Option<(Ticket, Permit)> {
        let (id, queue) = self.choose()?;
        let event = self.number();
        let lane = &mut self.lanes[id.0];
        let (priority, number, since) = lane.next(queue).expect("a queued lane has a ticket");
        lane.turns[queue as usize] = event;
        let (path, place) = (Arc::clone(&lane.path), lane.place);
        for layer in &*path {
            self.layers[layer.0].limiter.pass(queue, self.now);
        }
        self.book(&path, number, self.now.since(since));
        self.change_place(place, |place, _| place.pass(queue));
        self.refresh_lane(id);
        let ticket = Ticket {
            lane: id,
            priority,
            number,
        };
        let permit = Permit {
            path,
            place,
            queue,
            granted_at: self.now,
        };
        Some((ticket, permit))
    }

    /// The next lane, and the queue that it is in: from the top down, always the first of the
    /// queue. A queued member could pass all layers below, and the top has no limit.
    fn choose(&self) -> Option<(LaneId, Queue)> {
        Queue::ALL.into_iter().find_map(|chosen| {
            let mut queue = &self.top;
            loop {
                match *queue[chosen as usize].first_key_value()?.1 {
                    Member::Lane(first) => return Some((first, chosen)),
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

    /// Changes a place, and updates its lanes if its gate has changed.
    fn change_place<T>(&mut self, id: PlaceId, change: impl FnOnce(&mut Place, Time) -> T) -> T {
        let place = &mut self.places[id.0];
        let changed = change(place, self.now);
        let (wakes_at, gate) = (place.wakes_at(self.now), place.gate(self.now));
        let before = mem::replace(&mut place.alarm, wakes_at);
        if before != wakes_at {
            if let Some(before) = before {
                self.place_alarms.remove(&(before, id));
            }
            self.place_alarms.extend(wakes_at.map(|at| (at, id)));
        }
        if mem::replace(&mut self.places[id.0].gate_in_force, gate) != gate {
            for lane in self.places[id.0].lanes.clone() {
                self.refresh_lane(lane);
            }
        }
        changed
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
        let after = lane.evaluate(self.places[lane.place.0].gate(self.now));
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
            let (after, alarm, paced) = layer.evaluate(self.now);
            if layer.holds_back {
                layer.held_back_until = event;
            }
            let ordinary = Queue::Ordinary as usize;
            layer.holds_back = after[ordinary].is_none() && !layer.ready[ordinary].is_empty();
            let alarm_before = mem::replace(&mut layer.alarm, alarm);
            let before = mem::replace(&mut layer.position, after);
            if let Some(alarm) = alarm_before {
                self.alarms.remove(&(alarm, id));
            }
            self.alarms.extend(alarm.map(|alarm| (alarm, id)));
            self.requeue(path.get(index + 1), Member::Layer(id), before, after);
            if let Some(above) = path.get(index + 1) {
                let above = &mut self.layers[above.0];
                above.paced_below = above.paced_below.saturating_add_signed(paced);
            }
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
