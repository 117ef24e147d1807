//! The access keys of the simulator: its own, and the temporary ones that it issued.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard};

use super::seeded_random::SeededRandom;
use super::vendor_error::VendorError;
use crate::clock::Timestamp;
use crate::secret::Secret;

/// Number of remembered temporary keys; the oldest are forgotten first.
const ISSUED: usize = 1000;

/// An access key, and the security token that every request with it must carry.
#[derive(Clone, Debug)]
pub(super) struct SimulatedKey {
    pub(super) id: String,
    pub(super) secret: Secret,
    pub(super) security_token: Option<Secret>,
    /// The end of a temporary key.
    pub(super) expires: Option<Timestamp>,
}

/// All access keys.
#[derive(Debug)]
pub(super) struct KeyStore {
    seed: u64,
    pub(super) root: SimulatedKey,
    issued: Mutex<BTreeMap<u64, SimulatedKey>>,
}

impl KeyStore {
    /// The keys of a seed.
    pub(super) fn new(seed: u64, security_token: Option<Secret>) -> Self {
        let random = SeededRandom::new(seed).derive("access key");
        let bits = |label| random.derive(label).bits() >> 32;
        let root = SimulatedKey {
            id: format!("simulator-key-{:08x}", bits("ID")),
            secret: Secret::new(format!("simulator-secret-{:08x}", bits("secret"))),
            security_token,
            expires: None,
        };
        Self {
            seed,
            root,
            issued: Mutex::default(),
        }
    }

    /// A new key for `role`.
    pub(super) fn issue(&self, role: &str, expires: Timestamp) -> SimulatedKey {
        let mut issued = self.lock();
        let number = issued.last_key_value().map_or(1, |(last, _)| last + 1);
        let random = SeededRandom::new(self.seed)
            .derive("issued key")
            .nth(number);
        let secret = |label| {
            Secret::new(format!(
                "issued-{label}-{:016x}",
                random.derive(label).bits()
            ))
        };
        let key = SimulatedKey {
            id: format!("STS.{role}.{number}"),
            secret: secret("secret"),
            security_token: Some(secret("token")),
            expires: Some(expires),
        };
        issued.insert(number, key.clone());
        if issued.len() > ISSUED {
            issued.pop_first();
        }
        key
    }

    /// Rejects the keys issued so far, from `now` on.
    pub(super) fn revoke(&self, now: Timestamp) {
        for key in self.lock().values_mut() {
            key.expires = key.expires.min(Some(now));
        }
    }

    /// All keys that are remembered.
    pub(super) fn all(&self) -> Vec<SimulatedKey> {
        let issued = self.lock();
        issued.values().chain([&self.root]).cloned().collect()
    }

    /// The key `id`, if a request at `now` may use it with this security token.
    pub(super) fn admit(
        &self,
        id: &str,
        token: Option<Secret>,
        now: Timestamp,
    ) -> Result<SimulatedKey, VendorError> {
        let issued = self.lock();
        let key = issued.values().chain([&self.root]).find(|key| key.id == id);
        let key = key.ok_or(VendorError::NO_SUCH_KEY)?;
        match (&key.security_token, token) {
            (Some(_), None) => Err(VendorError::missing("SecurityToken")),
            (expected, claimed) if *expected != claimed => Err(VendorError::SECURITY_TOKEN),
            _ if key.expires.is_some_and(|expires| now >= expires) => {
                Err(VendorError::EXPIRED_TOKEN)
            }
            _ => Ok(key.clone()),
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<u64, SimulatedKey>> {
        self.issued.lock().expect("no holder of this lock panics")
    }
}
