//! Checks of passwords.
//!
//! bcrypt is slow by design. So one check runs at a time, its result is cached, and wrong guesses
//! cannot evict right credentials from the cache. The time of a response does not reveal whether a
//! user exists: every check costs as much as that of the hash with the highest cost.

use std::collections::HashSet;
use std::hint::black_box;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;

use crate::web::toolkit::{PasswordHash, Users};

/// The maximum number of cached credentials, right and wrong each.
const MAX_CACHED: usize = 1000;

/// Users, and the results of checks.
pub(super) struct Passwords {
    pub(super) users: Users,
    max_cost: u32,
    /// Has a random key, so that neither a memory dump nor the time of a lookup reveals anything
    /// about cached credentials.
    mac: Hmac<Sha256>,
    cache: Mutex<Cache>,
    /// One permit for the check that runs; the others wait in their order.
    permits: Arc<Semaphore>,
}

/// The keyed hash of credentials.
type Fingerprint = [u8; 32];

/// Wrong credentials, and right ones.
type Cache = [HashSet<Fingerprint>; 2];

impl Passwords {
    /// `None` without users.
    ///
    /// # Panics
    /// When the operating system has no random numbers.
    pub(super) fn new(users: Users) -> Option<Self> {
        let max_cost = users.values().map(|hash| hash.cost).max()?;
        let mut key = [0; 32];
        getrandom::fill(&mut key).expect("the operating system has random numbers");
        Some(Self {
            max_cost,
            users,
            mac: Hmac::new_from_slice(&key).expect("HMAC takes keys of any length"),
            cache: Mutex::default(),
            permits: Arc::new(Semaphore::new(1)),
        })
    }

    /// Whether `password` is that of `user`.
    pub(super) async fn check(self: &Arc<Self>, user: &[u8], password: &[u8]) -> bool {
        let fingerprint = self.fingerprint(user, password);
        if let Some(known) = self.cached(&fingerprint) {
            return known;
        }
        let permit = Arc::clone(&self.permits).acquire_owned().await;
        // The check before this one may have been for the same credentials.
        if let Some(known) = self.cached(&fingerprint) {
            return known;
        }
        let user = str::from_utf8(user).ok();
        let hash = user.and_then(|user| self.users.get(user)).cloned();
        let (passwords, password) = (Arc::clone(self), password.to_vec());
        let check = spawn_blocking(move || {
            let is_right = verify(hash.as_ref(), &password, passwords.max_cost);
            passwords.cache(fingerprint, is_right);
            // Not earlier: a client that disconnects does not stop its check.
            drop(permit);
            is_right
        });
        check.await.unwrap_or(false)
    }

    fn fingerprint(&self, user: &[u8], password: &[u8]) -> Fingerprint {
        let mut mac = self.mac.clone();
        mac.update(&user.len().to_be_bytes());
        mac.update(user);
        mac.update(password);
        mac.finalize().into_bytes().into()
    }

    fn lock(&self) -> MutexGuard<'_, Cache> {
        self.cache.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn cached(&self, fingerprint: &Fingerprint) -> Option<bool> {
        let [wrong, right] = &*self.lock();
        let is_right = right.contains(fingerprint);
        (is_right || wrong.contains(fingerprint)).then_some(is_right)
    }

    fn cache(&self, fingerprint: Fingerprint, is_right: bool) {
        let cached = &mut self.lock()[usize::from(is_right)];
        if cached.len() == MAX_CACHED {
            cached.clear();
        }
        cached.insert(fingerprint);
    }
}

/// Checks a password against the hash of its user, if there is such a user, in 2^`max_cost`
/// rounds: the rounds that the hash does not need are wasted.
fn verify(hash: Option<&PasswordHash>, password: &[u8], max_cost: u32) -> bool {
    let Some(hash) = hash else {
        waste(max_cost);
        return false;
    };
    let is_right = bcrypt::verify(password, hash.text.expose()).unwrap_or(false);
    // 2^cost + 2^cost + 2^(cost + 1) + … + 2^(max_cost - 1) = 2^max_cost
    (hash.cost..max_cost).for_each(waste);
    is_right
}

fn waste(cost: u32) {
    black_box(bcrypt::bcrypt(black_box(cost), [0; 16], b"unknown\0"));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::Secret;

    /// The hashes of `right`, by cost.
    fn passwords(costs: &[(&str, u32)]) -> Arc<Passwords> {
        let user = |&(name, cost): &(&str, u32)| {
            let text = bcrypt::hash_with_salt_bytes("right", cost, [7; 16]);
            let text = String::from_utf8(text.expect("a hash").to_vec()).expect("ASCII");
            (
                name.to_owned(),
                PasswordHash {
                    text: Secret::new(text),
                    cost,
                },
            )
        };
        let users = costs.iter().map(user).collect();
        Arc::new(Passwords::new(users).expect("there are users"))
    }

    fn cached(passwords: &Passwords) -> (usize, usize) {
        let [wrong, right] = &*passwords.lock();
        (right.len(), wrong.len())
    }

    #[tokio::test]
    async fn each_user_has_one_password() {
        let passwords = passwords(&[("alice", 4), ("bob", 6)]);
        for (user, password, right) in [
            ("alice", "right", true),
            ("bob", "right", true),
            ("alice", "wrong", false),
            ("alice", "", false),
            ("", "right", false),
            ("mallory", "right", false),
            // Another split of the same bytes.
            ("alic", "eright", false),
        ] {
            for _ in 0..2 {
                assert_eq!(
                    passwords.check(user.as_bytes(), password.as_bytes()).await,
                    right,
                    "{user}:{password}"
                );
            }
        }
        assert!(!passwords.check(b"\xff", b"right").await);
        assert_eq!(cached(&passwords), (2, 6));
    }

    #[tokio::test]
    async fn guesses_do_not_evict_right_credentials() {
        let passwords = passwords(&[("alice", 4)]);
        assert!(passwords.check(b"alice", b"right").await);
        for n in 0..=MAX_CACHED {
            passwords.cache(passwords.fingerprint(b"alice", &n.to_be_bytes()), false);
        }
        assert_eq!(cached(&passwords), (1, 1));
        assert_eq!(
            passwords.cached(&passwords.fingerprint(b"alice", b"right")),
            Some(true)
        );
    }
}
