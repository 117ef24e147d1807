//! What a call is to the limits: where it waits, how it passes, how it ends.

use super::rate::CALL;

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

/// A scheme, host and port, whatever they resolve to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PlaceId(pub(super) usize);

/// The end of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was answered, in whatever way.
    Answered,
    /// It had no answer and may still arrive.
    Unanswered,
    /// The connection failed before a byte of it was sent.
    NotSent,
    /// No attempt was made.
    Unused,
}

/// Which calls go first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Priority {
    /// Probes and confirmations: at most a tenth of any layer.
    Urgent,
    /// Queries that an event caused: at most seven tenths of any layer.
    Hint,
    /// The first sweep of an instance: at most four fifths of any layer.
    FirstSweep,
    /// Everything else.
    Ordinary,
}

/// The queue in which a call waits. The queues are served in this order.
///
/// Calls of a priority go before those of the next one within their part of each layer. Beyond
/// that part they take the ordinary turns of their lane that no ordinary call of the lane uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Queue {
    Urgent,
    Hint,
    FirstSweep,
    Ordinary,
    /// For one call at a time to a place that has calls without an answer. It uses trial slots, and
    /// is therefore served when no slot is left for the others.
    Trial,
}

/// A value per queue is an array in the order of [`Queue::ALL`].
pub(super) const QUEUES: usize = Queue::ALL.len();

impl Queue {
    pub(super) const ALL: [Self; 5] = [
        Self::Urgent,
        Self::Hint,
        Self::FirstSweep,
        Self::Ordinary,
        Self::Trial,
    ];

    /// The part of a layer that the calls of this queue may use.
    pub(super) const fn tenths(self) -> usize {
        match self {
            Self::Urgent => 1,
            Self::Hint => 7,
            Self::FirstSweep => 8,
            Self::Ordinary | Self::Trial => 10,
        }
    }

    /// The price of a call in the bucket of its queue. Calls that may use a part of the rate pay
    /// as much more.
    pub(super) const fn cost(self) -> u128 {
        (10 * CALL).div_ceil(self.tenths() as u128)
    }
}

impl From<Priority> for Queue {
    fn from(priority: Priority) -> Self {
        match priority {
            Priority::Urgent => Self::Urgent,
            Priority::Hint => Self::Hint,
            Priority::FirstSweep => Self::FirstSweep,
            Priority::Ordinary => Self::Ordinary,
        }
    }
}
