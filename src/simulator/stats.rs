//! What requests leave behind: statistics, used nonces and the last requests as they arrived.

use std::collections::{HashSet, VecDeque};

use sha2::{Digest as _, Sha256};

use super::request::{ApiRequest, CapturedRequest};
use super::traffic::Traffic;
use crate::clock::Timestamp;

/// Number of kept requests.
const CAPTURED: usize = 100;

/// The memory of the simulator.
#[derive(Debug)]
pub(super) struct Records {
    pub(super) traffic: Traffic,
    pub(super) nonces: UsedNonces,
    /// The last requests, oldest first.
    pub(super) captured: VecDeque<CapturedRequest>,
    requests: u64,
}

impl Records {
    pub(super) fn new(traffic: Traffic) -> Self {
        Self {
            traffic,
            nonces: UsedNonces::default(),
            captured: VecDeque::new(),
            requests: 0,
        }
    }

    /// Keeps a request, and gives it its number.
    pub(super) fn capture(&mut self, request: &ApiRequest) -> u64 {
        self.requests += 1;
        if self.captured.len() == CAPTURED {
            self.captured.pop_front();
        }
        self.captured.push_back(request.captured());
        self.requests
    }
}

/// 128 bits of a nonce's hash: a nonce may be long, and its sender is not trusted.
type NonceHash = [u8; 16];

/// The nonces that are rejected a second time.
///
/// A nonce is remembered for as long as the timestamp of its request could be accepted, at most
/// [`UsedNonces::CAPACITY`] of them: above that, the oldest are forgotten first.
#[derive(Debug, Default)]
pub(super) struct UsedNonces {
    seen: HashSet<NonceHash>,
    /// The same in order of arrival, with the time after which they do not matter.
    order: VecDeque<(Timestamp, NonceHash)>,
}

impl UsedNonces {
    /// More than both quotas admit in the half hour for which a nonce matters at most.
    const CAPACITY: usize = 1_200_000;

    /// Remembers `nonce` until `until`; `false` if it is remembered already.
    pub(super) fn insert(&mut self, nonce: &str, now: Timestamp, until: Timestamp) -> bool {
        while let Some(&(end, hash)) = self.order.front()
            && (end < now || self.order.len() >= Self::CAPACITY)
        {
            self.order.pop_front();
            self.seen.remove(&hash);
        }
        let hash: [u8; 32] = Sha256::digest(nonce).into();
        let hash = *hash.first_chunk().expect("32 bytes begin with 16");
        let fresh = self.seen.insert(hash);
        if fresh {
            self.order.push_back((until, hash));
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
