//! What waits: tickets in lanes, lanes and layers in queues.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::call::{LaneId, LayerId, PlaceId, Priority, QUEUES, Queue};
use super::layer::LayerLimiter;
use super::place::Gate;
use super::rate::Time;

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

/// The lanes and layers that could go at once if the layer above let them, by queue and turn.
pub(super) type ReadyQueue = [BTreeMap<Turn, Member>; QUEUES];

/// The turn of a lane or layer in the queues above it; `None` if it cannot go.
pub(super) type QueuePosition = [Option<Turn>; QUEUES];

/// A queue of calls that are served in order.
#[derive(Debug)]
pub(super) struct Lane {
    /// The layers that its calls pass, the nearest first.
    pub(super) path: Arc<[LayerId]>,
    /// Where its calls go.
    pub(super) place: PlaceId,
    /// The numbers of the tickets and their times of arrival, by priority.
    pub(super) tickets: [BTreeMap<u64, Time>; 4],
    pub(super) turns: [Turn; QUEUES],
    pub(super) position: QueuePosition,
}

/// The order in which an ordinary turn is offered: sweeps first. The others have their own turns,
/// and would otherwise starve the sweep if this is the only lane.
const OFFERED: [Priority; 4] = [
    Priority::Ordinary,
    Priority::FirstSweep,
    Priority::Urgent,
    Priority::Hint,
];

impl Lane {
    /// The position that the lane should have at the gate of its place. Any ticket can use an
    /// ordinary turn, or be the trial call.
    pub(super) fn evaluate(&self, gate: Gate) -> QueuePosition {
        let any = self.tickets.iter().any(|tickets| !tickets.is_empty());
        let mut position = [None; QUEUES];
        for queue in Queue::ALL {
            let waits = match queue {
                Queue::Trial => gate.trial && any,
                Queue::Ordinary => gate.open && any,
                own => gate.open && !self.tickets[own as usize].is_empty(),
            };
            position[queue as usize] = waits.then_some(self.turns[queue as usize]);
        }
        position
    }

    /// Takes out the ticket that goes at a turn of `queue`, with its time of arrival.
    pub(super) fn next(&mut self, queue: Queue) -> Option<(Priority, u64, Time)> {
        let waits = |priority: &Priority| !self.tickets[*priority as usize].is_empty();
        let own = OFFERED.into_iter().find(|own| Queue::from(*own) == queue);
        let priority = own
            .filter(|own| *own != Priority::Ordinary)
            .or_else(|| OFFERED.into_iter().find(waits))?;
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
    /// Whether calls wait for the pace of the layer, or of one below, and for nothing else.
    pub(super) paced: bool,
    /// The number of layers directly below for which this is so.
    pub(super) paced_below: usize,
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
            position: [None; QUEUES],
            alarm: None,
            paced: false,
            paced_below: 0,
            holds_back: false,
            held_back_until: 0,
            waited: Duration::ZERO,
        }
    }

    /// The position that the layer should have, the time to evaluate it again, and by how many more
    /// layers below the one above is to know that calls wait for their pace.
    pub(super) fn evaluate(&mut self, now: Time) -> (QueuePosition, Option<Time>, isize) {
        let (mut position, mut alarm) = ([None; QUEUES], None);
        let wait = !self.ready[Queue::Ordinary as usize].is_empty();
        let paced = self.limiter.set_waiting(wait, self.paced_below > 0, now);
        let change = isize::from(paced) - isize::from(std::mem::replace(&mut self.paced, paced));
        for queue in Queue::ALL {
            let Some((&turn, _)) = self.ready[queue as usize].first_key_value() else {
                continue;
            };
            match self.limiter.opens_at(queue) {
                Some(at) if at <= now => position[queue as usize] = Some(turn),
                later => alarm = alarm.into_iter().chain(later).min(),
            }
        }
        (position, alarm, change)
    }
}
