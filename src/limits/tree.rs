//! The layers as a tree, and who goes next.

use std::collections::{BTreeMap, BTreeSet};
use std::mem;
use std::sync::Arc;
use std::time::Duration;

use super::layer_limiter::LayerLimiter;
use super::priority::{ByPriority, Priority};
use super::queue::{Lane, Layer, Member, QueuePosition, ReadyQueue};
use super::{LayerSpec, Rate, Time};

/// A layer. Its number is never given to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LayerId(u64);

/// A lane: what waiting is fair between. Its number is never given to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LaneId(u64);

/// A call that waits for its permit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket {
    lane: LaneId,
    priority: Priority,
    number: u64,
}

/// The right to send one request. It is given back once, by [`LayerTree::finish`] or
/// [`LayerTree::return_unsent`]; one that is lost takes its slots along.
#[derive(Debug)]
#[must_use = "a permit that is dropped holds its slots for ever"]
pub struct Permit {
    path: Arc<[LayerId]>,
    granted_at: Time,
}

impl Permit {
    /// When it was granted, which is when its request left at the earliest.
    #[must_use]
    pub fn granted_at(&self) -> Time {
        self.granted_at
    }
}

/// What the passing of time came to.
#[derive(Debug)]
pub struct Advance {
    /// The tickets that may go, in their order.
    pub granted: Vec<(Ticket, Permit)>,
    /// When to advance again if nothing else happens before: never later than the next grant can
    /// be. `None` if only another event can lead to one.
    pub next: Option<Time>,
}

/// The limits of a process.
///
/// Nothing is granted but by [`LayerTree::advance`], so that after any other change the caller
/// advances to the same point in time. Times that go backwards count as the latest seen. Whatever
/// names a layer or a lane that was removed does nothing.
#[derive(Debug, Default)]
pub struct LayerTree {
    now: Time,
    /// How many events there were: every one has a number, by which they are ordered.
    events: u64,
    layers: BTreeMap<LayerId, Layer>,
    lanes: BTreeMap<LaneId, Lane>,
    /// The layers that have none above them, as far as they could go.
    top: ReadyQueue,
    alarms: ByPriority<BTreeSet<(Time, LayerId)>>,
}

impl LayerTree {
    /// Adds a layer, inside of the one `above` if there is one. Its first call can leave at
    /// `opens_at`, and no burst is saved up then.
    ///
    /// # Panics
    /// If `above` was removed: a limit that silently is not there is worse.
    pub fn add_layer(
        &mut self,
        above: Option<LayerId>,
        spec: &LayerSpec,
        opens_at: Time,
    ) -> LayerId {
        let id = LayerId(self.number());
        let upper = above.map_or_else(Default::default, |above| {
            Arc::clone(&self.layers[&above].path)
        });
        let path = std::iter::once(id).chain(upper.iter().copied()).collect();
        self.layers
            .insert(id, Layer::new(path, LayerLimiter::new(spec, opens_at)));
        id
    }

    /// Changes what a layer allows. What was spent, taken or halved stays so.
    pub fn reconfigure(&mut self, layer: LayerId, spec: &LayerSpec, now: Time) {
        self.change(layer, now, |limiter, now| limiter.reconfigure(spec, now));
    }

    /// Removes a layer with all layers and lanes on it, whose tickets are never granted.
    pub fn remove_layer(&mut self, layer: LayerId) {
        let Some(removed) = self.layers.remove(&layer) else {
            return;
        };
        self.requeue(
            removed.path.get(1),
            Member::Layer(layer),
            removed.position,
            QueuePosition::default(),
        );
        self.layers.retain(|_, other| !other.path.contains(&layer));
        self.lanes.retain(|_, lane| !lane.path.contains(&layer));
        for alarms in [&mut self.alarms.urgent, &mut self.alarms.ordinary] {
            alarms.retain(|(_, layer)| self.layers.contains_key(layer));
        }
        self.refresh(&removed.path);
    }

    /// Adds a lane on `layer`; its calls pass through that layer and all above it.
    ///
    /// # Panics
    /// If `layer` was removed: a limit that silently is not there is worse.
    pub fn add_lane(&mut self, layer: LayerId) -> LaneId {
        let number = self.number();
        let lane = Lane {
            path: Arc::clone(&self.layers[&layer].path),
            tickets: ByPriority::default(),
            turns: ByPriority {
                urgent: number,
                ordinary: number,
            },
            position: QueuePosition::default(),
        };
        self.lanes.insert(LaneId(number), lane);
        LaneId(number)
    }

    /// Removes a lane, whose tickets are never granted.
    pub fn remove_lane(&mut self, lane: LaneId) {
        if let Some(removed) = self.lanes.remove(&lane) {
            self.requeue(
                removed.path.first(),
                Member::Lane(lane),
                removed.position,
                QueuePosition::default(),
            );
            self.refresh(&removed.path);
        }
    }

    /// A call wants to leave. `None` if the lane was removed.
    pub fn enqueue(&mut self, now: Time, lane: LaneId, priority: Priority) -> Option<Ticket> {
        self.pass_time(now);
        let number = self.number();
        self.lanes.get_mut(&lane)?.tickets[priority].insert(number, self.now);
        self.refresh_lane(lane);
        Some(Ticket {
            lane,
            priority,
            number,
        })
    }

    /// A call no longer wants to leave. `false` if it does not wait any more: its permit was granted
    /// and has to be given back, or it went with its lane.
    pub fn cancel(&mut self, ticket: Ticket) -> bool {
        let waited = self.lanes.get_mut(&ticket.lane).is_some_and(|lane| {
            lane.tickets[ticket.priority]
                .remove(&ticket.number)
                .is_some()
        });
        if waited {
            self.refresh_lane(ticket.lane);
        }
        waited
    }

    /// Grants everything that can be granted at `now`, each ticket from all its layers at once.
    pub fn advance(&mut self, now: Time) -> Advance {
        self.pass_time(now);
        for priority in [Priority::Ordinary, Priority::Urgent] {
            while let Some(&(at, layer)) = self.alarms[priority].first()
                && at <= self.now
            {
                let path = Arc::clone(&self.layers[&layer].path);
                self.refresh(&path);
            }
        }
        let granted = std::iter::from_fn(|| self.grant()).collect();
        let next = self.alarms.ordinary.first().map(|(at, _)| *at);
        Advance { granted, next }
    }

    /// The answer to a call has come, or its connection was closed.
    pub fn finish(&mut self, permit: Permit, now: Time) {
        self.pass_time(now);
        let Permit { path, .. } = permit;
        self.give_back(&path, LayerLimiter::end);
    }

    /// A call will not be made after all.
    pub fn return_unsent(&mut self, permit: Permit) {
        let Permit { path, .. } = permit;
        self.give_back(&path, |limiter, _| limiter.take_back());
    }

    /// The service throttled a call that was sent at `sent_at`, in the name of `layer`: halves
    /// the rate, at most once a second and only for calls sent after the last halving; it
    /// recovers by 5 % of the configured rate each 10 s. Nothing leaves before `retry_after` is
    /// over, or five minutes.
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

    /// The rate that a layer has at `now`, halvings and recovery included.
    #[must_use]
    pub fn rate_in_force(&self, layer: LayerId, now: Time) -> Option<Rate> {
        self.layers
            .get(&layer)
            .map(|layer| layer.limiter.rate(now.max(self.now)))
    }

    /// How long granted calls have waited, all together. The whole wait of a call counts to the
    /// layer that held it back last.
    #[must_use]
    pub fn waited(&self, layer: LayerId) -> Option<Duration> {
        self.layers.get(&layer).map(|layer| layer.waited)
    }

    /// Grants the one ticket that is next, if any can go.
    fn grant(&mut self) -> Option<(Ticket, Permit)> {
        let (id, turn) = self.choose()?;
        let number = self.number();
        let lane = self
            .lanes
            .get_mut(&id)
            .expect("a lane that stands in a line exists");
        let (priority, ticket, since) = lane
            .next(turn)
            .expect("a lane that stands in a line has a ticket");
        lane.turns[turn] = number;
        let path = Arc::clone(&lane.path);
        for layer in &*path {
            let layer = self
                .layers
                .get_mut(layer)
                .expect("the layers of a lane exist");
            layer.limiter.pass(turn, self.now);
        }
        self.book(&path, ticket, self.now.since(since));
        self.refresh_lane(id);
        Some((
            Ticket {
                lane: id,
                priority,
                number: ticket,
            },
            Permit {
                path,
                granted_at: self.now,
            },
        ))
    }

    /// The lane that is next, and in which line: down from the top, always the first in line.
    /// Whoever stands in a line could pass all gates below, and the top has none.
    fn choose(&self) -> Option<(LaneId, Priority)> {
        Priority::ALL.into_iter().find_map(|priority| {
            let mut line = &self.top;
            loop {
                match *line[priority].first_key_value()?.1 {
                    Member::Lane(first) => return Some((first, priority)),
                    Member::Layer(first) => line = &self.layers[&first].line,
                }
            }
        })
    }

    /// Books the wait of a ticket on the layer that held it back last.
    fn book(&mut self, path: &[LayerId], ticket: u64, wait: Duration) {
        let last = path
            .iter()
            .max_by_key(|layer| self.layers[layer].held_back_until);
        let layer = last
            .and_then(|layer| self.layers.get_mut(layer))
            .filter(|layer| layer.held_back_until > ticket);
        if let Some(layer) = layer {
            layer.waited += wait;
        }
    }

    fn give_back(&mut self, path: &[LayerId], end: impl Fn(&mut LayerLimiter, Time)) {
        for layer in path {
            if let Some(layer) = self.layers.get_mut(layer) {
                end(&mut layer.limiter, self.now);
            }
        }
        self.refresh(path);
    }

    fn change(&mut self, layer: LayerId, now: Time, change: impl FnOnce(&mut LayerLimiter, Time)) {
        self.pass_time(now);
        if let Some(layer) = self.layers.get_mut(&layer) {
            change(&mut layer.limiter, self.now);
            let path = Arc::clone(&layer.path);
            self.refresh(&path);
        }
    }

    /// Puts a lane where it belongs after its tickets or its turn changed, and all above it too.
    fn refresh_lane(&mut self, id: LaneId) {
        let lane = self
            .lanes
            .get_mut(&id)
            .expect("only called for a lane that exists");
        let claim = lane.claim();
        let before = mem::replace(&mut lane.position, claim);
        let path = Arc::clone(&lane.path);
        self.requeue(path.first(), Member::Lane(id), before, claim);
        self.refresh(&path);
    }

    /// Puts the layers of a path where they belong after a gate or a line of theirs changed.
    fn refresh(&mut self, path: &[LayerId]) {
        for (at, &id) in path.iter().enumerate() {
            let number = self.number();
            let Some(layer) = self.layers.get_mut(&id) else {
                continue;
            };
            let (position, alarms) = layer.evaluate(self.now);
            if layer.holds_back {
                layer.held_back_until = number;
            }
            layer.holds_back = position.ordinary.is_none() && !layer.line.ordinary.is_empty();
            let alarms_before = mem::replace(&mut layer.alarms, alarms);
            let before = mem::replace(&mut layer.position, position);
            for priority in Priority::ALL {
                if let Some(alarm) = alarms_before[priority] {
                    self.alarms[priority].remove(&(alarm, id));
                }
                if let Some(alarm) = alarms[priority] {
                    self.alarms[priority].insert((alarm, id));
                }
            }
            self.requeue(path.get(at + 1), Member::Layer(id), before, position);
        }
    }

    /// Moves a member within the line of the layer above it.
    fn requeue(
        &mut self,
        above: Option<&LayerId>,
        member: Member,
        before: QueuePosition,
        after: QueuePosition,
    ) {
        let line = match above {
            Some(layer) => self.layers.get_mut(layer).map(|layer| &mut layer.line),
            None => Some(&mut self.top),
        };
        let Some(line) = line else {
            return;
        };
        for priority in Priority::ALL {
            if let Some(turn) = before[priority] {
                line[priority].remove(&turn);
            }
            if let Some(turn) = after[priority] {
                line[priority].insert(turn, member);
            }
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
