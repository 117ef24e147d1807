//! An answer of the API about one client, and its encoding in atomic words.

use crate::clock::Timestamp;

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
    /// When the answer arrived.
    pub at: Timestamp,
    /// The operation that returned the answer.
    pub operation: Operation,
}

const ONLINE: u64 = 1;
const BATCH: u64 = 2;
const FLAGS: u32 = 2;

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

    /// One word: milliseconds above two flags; zero is reserved for "never observed".
    pub(super) fn pack(self) -> u64 {
        let batch = u64::from(self.operation == Operation::Batch) * BATCH;
        (self.at.as_millis().max(1) << FLAGS) | batch | u64::from(self.online)
    }

    pub(super) fn unpack(word: u64) -> Option<Self> {
        (word != 0).then(|| Self {
            online: word & ONLINE != 0,
            at: Timestamp::from_millis(word >> FLAGS),
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
        fn packing_an_observation_is_lossless(online: bool, batch: bool, millis in 1..=u64::MAX >> 2) {
            let at = Timestamp::from_millis(millis);
            let operation = if batch { Operation::Batch } else { Operation::Single };
            let observation = Observation { online, at, operation };
            prop_assert_eq!(Observation::unpack(observation.pack()), Some(observation));
        }
    }
}
