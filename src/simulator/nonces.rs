//! Which nonces were used.

use std::collections::{HashSet, VecDeque};

use sha2::{Digest as _, Sha256};

use crate::clock::Timestamp;

/// 128 bits of a nonce's hash: a nonce may be long, and its maker is not trusted.
type Mark = [u8; 16];

/// The nonces that would be refused a second time.
///
/// A nonce is remembered for as long as its request's timestamp could be accepted, and no more
/// than [`UsedNonces::CAPACITY`] are: past that, the oldest are forgotten first.
#[derive(Debug, Default)]
pub(super) struct UsedNonces {
    seen: HashSet<Mark>,
    /// The same, in the order of their arrival, with the time after which they do not matter.
    order: VecDeque<(Timestamp, Mark)>,
}

impl UsedNonces {
    /// More than both operations' quotas bring in the half hour for which a nonce matters at most.
    const CAPACITY: usize = 1_200_000;

    /// Remembers `nonce` until `until`; `false` when it is remembered already.
    pub(super) fn insert(&mut self, nonce: &str, now: Timestamp, until: Timestamp) -> bool {
        while let Some(&(end, mark)) = self.order.front()
            && (end < now || self.order.len() >= Self::CAPACITY)
        {
            self.order.pop_front();
            self.seen.remove(&mark);
        }
        let hash: [u8; 32] = Sha256::digest(nonce).into();
        let mark = *hash.first_chunk().expect("32 bytes begin with 16");
        let fresh = self.seen.insert(mark);
        if fresh {
            self.order.push_back((until, mark));
        }
        fresh
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_nonce_is_remembered_until_its_timestamp_expires() {
        let at = Timestamp::from_millis;
        let mut nonces = UsedNonces::default();
        assert!(nonces.insert("a", at(0), at(10)));
        assert!(!nonces.insert("a", at(10), at(20)));
        assert!(nonces.insert("b", at(10), at(20)));
        assert!(nonces.insert("a", at(11), at(21)));
        assert_eq!(nonces.order.len(), nonces.seen.len());
    }
}
