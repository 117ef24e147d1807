//! Every access key that the stand-in knows: its own, and those that it has issued for a while.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use super::seeded_random::SeededRandom;
use super::vendor_error::VendorError;
use crate::clock::Timestamp;
use crate::secret::Secret;

/// More are not remembered; the oldest are forgotten first.
const ISSUED: usize = 1000;

/// An access key, and what every request has to carry beside it, if there is such a thing.
#[derive(Clone, Debug)]
pub(super) struct SimulatedKey {
    pub(super) id: String,
    pub(super) secret: Secret,
    pub(super) security_token: Option<Secret>,
}

/// A temporary one.
#[derive(Clone, Debug)]
pub(super) struct IssuedKey {
    pub(super) key: SimulatedKey,
    pub(super) expires: Timestamp,
}

/// All of them.
#[derive(Debug)]
pub(super) struct KeyStore {
    seed: u64,
    pub(super) root: SimulatedKey,
    issued: Mutex<BTreeMap<u64, IssuedKey>>,
}

impl KeyStore {
    /// The keys that belong to `seed`.
    pub(super) fn new(seed: u64, security_token: Option<Secret>) -> Self {
        let random = SeededRandom::new(seed).derive("access key");
        let root = SimulatedKey {
            id: format!("simulator-key-{:08x}", random.derive("ID").bits() >> 32),
            secret: Secret::new(format!(
                "simulator-secret-{:08x}",
                random.derive("secret").bits() >> 32
            )),
            security_token,
        };
        Self {
            seed,
            root,
            issued: Mutex::default(),
        }
    }

    /// A new key for `role`.
    pub(super) fn issue(&self, role: &str, now: Timestamp, lifetime: Duration) -> IssuedKey {
        let mut issued = self.lock();
        let number = issued.last_key_value().map_or(1, |(last, _)| last + 1);
        let random = SeededRandom::new(self.seed)
            .derive("issued key")
            .nth(number);
        let key = SimulatedKey {
            id: format!("STS.{role}.{number}"),
            secret: Secret::new(format!(
                "issued-secret-{:016x}",
                random.derive("secret").bits()
            )),
            security_token: Some(Secret::new(format!(
                "issued-token-{:016x}",
                random.derive("token").bits()
            ))),
        };
        let new = IssuedKey {
            key,
            expires: now + lifetime,
        };
        issued.insert(number, new.clone());
        while issued.len() > ISSUED {
            issued.pop_first();
        }
        new
    }

    /// Whatever was issued is refused from `now` on.
    pub(super) fn revoke(&self, now: Timestamp) {
        self.lock()
            .values_mut()
            .for_each(|issued| issued.expires = issued.expires.min(now));
    }

    /// All that were issued, for the one who looks for their traces.
    pub(super) fn issued(&self) -> Vec<IssuedKey> {
        self.lock().values().cloned().collect()
    }

    /// The key `id`, if a request at `now` may use it with this token.
    pub(super) fn admit(
        &self,
        id: &str,
        token: Option<Secret>,
        now: Timestamp,
    ) -> Result<SimulatedKey, VendorError> {
        let issued = self
            .lock()
            .values()
            .find(|issued| issued.key.id == id)
            .cloned();
        let (key, expires) = match issued {
            Some(IssuedKey { key, expires }) => (key, Some(expires)),
            None if self.root.id == id => (self.root.clone(), None),
            None => return Err(VendorError::no_such_key()),
        };
        match (&key.security_token, token) {
            (Some(_), None) => Err(VendorError::missing("SecurityToken")),
            (expected, claimed) if *expected != claimed => Err(VendorError::security_token()),
            _ if expires.is_some_and(|expires| now >= expires) => Err(VendorError::expired_token()),
            _ => Ok(key),
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<u64, IssuedKey>> {
        self.issued
            .lock()
            .expect("nobody panics while holding this lock")
    }
}
