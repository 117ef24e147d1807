//! What waits: tickets in lanes, lanes and layers in lines.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::layer_limiter::LayerLimiter;
use super::priority::{ByPriority, Priority};
use super::{LaneId, LayerId, Time};

/// The place of something in a line: the smaller, the sooner.
///
/// The turn of a lane is the number of the event in which it was served last, that of a layer is
/// the turn of the lane below it that is next.
pub(super) type Turn = u64;

/// Who stands in a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Member {
    Lane(LaneId),
    Layer(LayerId),
}

/// Those that could go at once if the layer above let them, by their turns.
pub(super) type ReadyQueue = ByPriority<BTreeMap<Turn, Member>>;

/// Where a member stands in the line above it; nowhere if it could not go.
pub(super) type QueuePosition = ByPriority<Option<Turn>>;

/// What is fair to others: tickets that are served in order.
#[derive(Debug)]
pub(super) struct Lane {
    /// The layers that its tickets pass, the nearest first.
    pub(super) path: Arc<[LayerId]>,
    /// The numbers of the tickets, and when they came.
    pub(super) tickets: ByPriority<BTreeMap<u64, Time>>,
    pub(super) turns: ByPriority<Turn>,
    pub(super) position: QueuePosition,
}

impl Lane {
    /// Where the lane should stand: with an urgent ticket in both lines.
    pub(super) fn claim(&self) -> QueuePosition {
        let urgent = !self.tickets.urgent.is_empty();
        let any = urgent || !self.tickets.ordinary.is_empty();
        QueuePosition {
            urgent: urgent.then_some(self.turns.urgent),
            ordinary: any.then_some(self.turns.ordinary),
        }
    }

    /// Takes out the ticket that goes at a `turn`: its priority, its number, and when it came.
    ///
    /// An ordinary turn is for ordinary tickets first. Urgent ones have their tenth, and would
    /// otherwise starve the others of a lane that is alone.
    pub(super) fn next(&mut self, turn: Priority) -> Option<(Priority, u64, Time)> {
        let priority = if self.tickets.ordinary.is_empty() {
            Priority::Urgent
        } else {
            turn
        };
        let (number, since) = self.tickets[priority].pop_first()?;
        Some((priority, number, since))
    }
}

/// One layer: its limiter, and the line before it.
#[derive(Debug)]
pub(super) struct Layer {
    /// The layer itself and those above it, the highest last.
    pub(super) path: Arc<[LayerId]>,
    pub(super) limiter: LayerLimiter,
    pub(super) line: ReadyQueue,
    pub(super) position: QueuePosition,
    /// When the gate opens for those in the line, if it is closed and time opens it.
    pub(super) alarms: ByPriority<Option<Time>>,
    /// Whether the gate is closed before somebody in the line.
    pub(super) holds_back: bool,
    /// The number of the event up to which it held somebody back.
    pub(super) held_back_until: u64,
    /// What waiting it has cost.
    pub(super) waited: Duration,
}

impl Layer {
    pub(super) fn new(path: Arc<[LayerId]>, limiter: LayerLimiter) -> Self {
        Self {
            path,
            limiter,
            line: ReadyQueue::default(),
            position: QueuePosition::default(),
            alarms: ByPriority::default(),
            holds_back: false,
            held_back_until: 0,
            waited: Duration::ZERO,
        }
    }

    /// Looks at gate and line anew: where the layer should stand, and when to look again.
    pub(super) fn evaluate(&self, now: Time) -> (QueuePosition, ByPriority<Option<Time>>) {
        let (mut position, mut alarms) = (QueuePosition::default(), ByPriority::default());
        for priority in Priority::ALL {
            let Some((&turn, _)) = self.line[priority].first_key_value() else {
                continue;
            };
            match self.limiter.opens_at(priority) {
                Some(at) if at <= now => position[priority] = Some(turn),
                later => alarms[priority] = later,
            }
        }
        (position, alarms)
    }
}
