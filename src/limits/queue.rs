//! What waits: tickets in lanes, lanes and layers in queues.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::layer::{LayerLimiter, Priority};
use super::rate::Time;

/// A layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LayerId(pub(super) usize);

/// A lane: waiting is fair between lanes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LaneId(pub(super) usize);

/// A call that waits for its permit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket {
    pub(super) lane: LaneId,
    pub(super) priority: Priority,
    pub(super) number: u64,
}

/// The rank in a queue: the smallest goes first.
///
/// The turn of a lane is the number of the event in which it was served last. The turn of a layer
/// is the turn of the lane below it that goes next.
pub(super) type Turn = u64;

/// An entry of a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Member {
    Lane(LaneId),
    Layer(LayerId),
}

/// The lanes and layers that could go at once if the layer above let them, by turn and priority.
pub(super) type ReadyQueue = [BTreeMap<Turn, Member>; 2];

/// The turn of a lane or layer in the queue above it, by priority; `None` if it cannot go.
pub(super) type QueuePosition = [Option<Turn>; 2];

/// A queue of calls that are served in order.
#[derive(Debug)]
pub(super) struct Lane {
    /// The layers that its calls pass, the nearest first.
    pub(super) path: Arc<[LayerId]>,
    /// The numbers of the tickets and their times of arrival, by priority.
    pub(super) tickets: [BTreeMap<u64, Time>; 2],
    pub(super) turns: [Turn; 2],
    pub(super) position: QueuePosition,
}

impl Lane {
    /// The position that the lane should have: in both queues if it has an urgent ticket.
    pub(super) fn evaluate(&self) -> QueuePosition {
        let [urgent, ordinary] = self.tickets.each_ref().map(|tickets| !tickets.is_empty());
        [
            urgent.then_some(self.turns[0]),
            (urgent || ordinary).then_some(self.turns[1]),
        ]
    }

    /// Takes out the ticket that goes at a `turn`, with its time of arrival.
    ///
    /// An ordinary turn is for ordinary tickets first. Urgent tickets have their tenth, and would
    /// otherwise starve the ordinary tickets if this is the only lane.
    pub(super) fn next(&mut self, turn: Priority) -> Option<(Priority, u64, Time)> {
        let priority = if self.tickets[Priority::Ordinary as usize].is_empty() {
            Priority::Urgent
        } else {
            turn
        };
        let (number, since) = self.tickets[priority as usize].pop_first()?;
        Some((priority, number, since))
    }
}

/// One layer: its limits, and the queue that waits for it.
#[derive(Debug)]
pub(super) struct Layer {
    /// The layer itself and those above it, the highest last.
    pub(super) path: Arc<[LayerId]>,
    pub(super) limiter: LayerLimiter,
    pub(super) ready: ReadyQueue,
    pub(super) position: QueuePosition,
    /// The time at which the layer opens for its queue, if it is closed and time opens it: the
    /// earliest of all priorities.
    pub(super) alarm: Option<Time>,
    /// Whether the layer is closed and its queue is not empty.
    pub(super) holds_back: bool,
    /// The number of the last event at which it held back a call.
    pub(super) held_back_until: u64,
    /// The time that calls have waited for it.
    pub(super) waited: Duration,
}

impl Layer {
    pub(super) fn new(path: Arc<[LayerId]>, limiter: LayerLimiter) -> Self {
        Self {
            path,
            limiter,
            ready: ReadyQueue::default(),
            position: [None; 2],
            alarm: None,
            holds_back: false,
            held_back_until: 0,
            waited: Duration::ZERO,
        }
    }

    /// The position that the layer should have, and the time to evaluate it again.
    pub(super) fn evaluate(&mut self, now: Time) -> (QueuePosition, Option<Time>) {
        let (mut position, mut alarm) = ([None; 2], None);
        let wait = !self.ready[Priority::Ordinary as usize].is_empty();
        self.limiter.set_waiting(wait, now);
        for priority in Priority::ALL {
            let Some((&turn, _)) = self.ready[priority as usize].first_key_value() else {
                continue;
            };
            match self.limiter.opens_at(priority) {
                Some(at) if at <= now => position[priority as usize] = Some(turn),
                later => alarm = alarm.into_iter().chain(later).min(),
            }
        }
        (position, alarm)
    }
}
