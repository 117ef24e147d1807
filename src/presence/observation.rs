//! An answer of the API about one client, and its encoding in atomic words.

use crate::clock::Moment;

/// The status of a client; the order is from best to worst.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Status {
    /// The API reported the client connected.
    Online,
    /// The API reported the client not connected. Nothing else makes a client offline.
    Offline,
    /// There is no answer, or the answer has expired.
    Unknown,
}

impl Status {
    /// All statuses, in the order of the exposition.
    pub const ALL: [Self; 3] = [Self::Online, Self::Offline, Self::Unknown];

    /// The value of the label `status`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Online => "online",
            Self::Offline => "offline",
            Self::Unknown => "unknown",
        }
    }
}

/// How a client was queried.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Operation {
    /// One client a call, in real time.
    Single,
    /// Several clients a call, from a cache of the API that may lag.
    Batch,
}

impl Operation {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Single, Self::Batch];

    /// The name of the operation in the API, which is the value of the label `operation`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Single => "QuerySessionByClientId",
            Self::Batch => "BatchQuerySessionByClientIds",
        }
    }
}

/// One answer of the API about one client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Observation {
    /// Whether the API reported the client online.
    pub online: bool,
    /// When its call was sent, which orders and ages observations.
    pub at: Moment,
    /// When the answer arrived.
    pub answered: Moment,
    /// The operation that returned the answer.
    pub operation: Operation,
}

/// The bits of a word, from the lowest: three flags, the duration of the call, the moment at which
/// it was sent.
const ONLINE: u64 = 1;
const BATCH: u64 = 2;
const OBSERVED: u64 = 4;
const DURATION: u32 = 3;
const AT: u32 = 12;

/// The unit of the duration, in microseconds. Durations are rounded up, and at most 67 s.
const DURATION_UNIT: u64 = 1 << 17;
const LONGEST: u64 = (1 << (AT - DURATION)) - 1;

impl Observation {
    /// The observed status.
    #[must_use]
    pub const fn status(self) -> Status {
        if self.online {
            Status::Online
        } else {
            Status::Offline
        }
    }

    /// Whether the calls of both were in flight at the same time.
    pub(super) fn overlaps(self, other: Self) -> bool {
        self.at < other.answered && other.at < self.answered
    }

    /// One word; zero is reserved for "never observed".
    pub(super) fn pack(self) -> u64 {
        let batch = u64::from(self.operation == Operation::Batch) * BATCH;
        let duration = self
            .answered
            .as_micros()
            .saturating_sub(self.at.as_micros());
        let duration = duration.div_ceil(DURATION_UNIT).min(LONGEST);
        (self.at.as_micros() << AT)
            | (duration << DURATION)
            | OBSERVED
            | batch
            | u64::from(self.online)
    }

    pub(super) fn unpack(word: u64) -> Option<Self> {
        let (at, duration) = (word >> AT, (word >> DURATION & LONGEST) * DURATION_UNIT);
        (word != 0).then(|| Self {
            online: word & ONLINE != 0,
            at: Moment::from_micros(at),
            answered: Moment::from_micros(at + duration),
            operation: Operation::ALL[usize::from(word & BATCH != 0)],
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn packing_an_observation_rounds_up_the_duration_only(online: bool, batch: bool, at in 0..=u64::MAX >> AT, duration in 0..66_000_000_u64) {
            let operation = if batch { Operation::Batch } else { Operation::Single };
            let answered = Moment::from_micros(at + duration);
            let observation = Observation { online, at: Moment::from_micros(at), answered, operation };
            let unpacked = Observation::unpack(observation.pack()).expect("observed");
            prop_assert_eq!(Observation { answered, ..unpacked }, observation);
            let rounded = unpacked.answered.since(answered).as_micros();
            prop_assert!(unpacked.answered >= answered && rounded < u128::from(DURATION_UNIT));
            prop_assert_eq!(Observation::unpack(unpacked.pack()), Some(unpacked));
        }
    }
}
