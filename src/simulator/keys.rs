//! Every access key that the stand-in knows: its own, and those that it has issued for a while.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use super::dice::Dice;
use super::refusal::Refusal;
use crate::clock::Timestamp;
use crate::secret::Secret;

/// More are not remembered; the oldest are forgotten first.
const ISSUED: usize = 1000;

/// An access key, and what every request has to carry beside it, if there is such a thing.
#[derive(Clone, Debug)]
pub(super) struct AccessKey {
    pub(super) id: String,
    pub(super) secret: Secret,
    pub(super) security_token: Option<Secret>,
}

/// A temporary one.
#[derive(Clone, Debug)]
pub(super) struct Issued {
    pub(super) key: AccessKey,
    pub(super) expires: Timestamp,
}

/// All of them.
#[derive(Debug)]
pub(super) struct Keys {
    seed: u64,
    pub(super) root: AccessKey,
    issued: Mutex<BTreeMap<u64, Issued>>,
}

impl Keys {
    /// The keys that belong to `seed`.
    pub(super) fn new(seed: u64, security_token: Option<Secret>) -> Self {
        let dice = Dice::new(seed).ask("access key");
        let root = AccessKey {
            id: format!("simulator-key-{:08x}", dice.ask("ID").bits() >> 32),
            secret: Secret::new(format!(
                "simulator-secret-{:08x}",
                dice.ask("secret").bits() >> 32
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
    pub(super) fn issue(&self, role: &str, now: Timestamp, lifetime: Duration) -> Issued {
        let mut issued = self.lock();
        let number = issued.last_key_value().map_or(1, |(last, _)| last + 1);
        let dice = Dice::new(self.seed).ask("issued key").nth(number);
        let key = AccessKey {
            id: format!("STS.{role}.{number}"),
            secret: Secret::new(format!("issued-secret-{:016x}", dice.ask("secret").bits())),
            security_token: Some(Secret::new(format!(
                "issued-token-{:016x}",
                dice.ask("token").bits()
            ))),
        };
        let new = Issued {
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
    pub(super) fn issued(&self) -> Vec<Issued> {
        self.lock().values().cloned().collect()
    }

    /// The key `id`, if a request at `now` may use it with this token.
    pub(super) fn admit(
        &self,
        id: &str,
        token: Option<Secret>,
        now: Timestamp,
    ) -> Result<AccessKey, Refusal> {
        let issued = self
            .lock()
            .values()
            .find(|issued| issued.key.id == id)
            .cloned();
        let (key, expires) = match issued {
            Some(Issued { key, expires }) => (key, Some(expires)),
            None if self.root.id == id => (self.root.clone(), None),
            None => return Err(Refusal::no_such_key()),
        };
        match (&key.security_token, token) {
            (Some(_), None) => Err(Refusal::missing("SecurityToken")),
            (expected, claimed) if *expected != claimed => Err(Refusal::security_token()),
            _ if expires.is_some_and(|expires| now >= expires) => Err(Refusal::expired_token()),
            _ => Ok(key),
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<u64, Issued>> {
        self.issued
            .lock()
            .expect("nobody panics while holding this lock")
    }
}
