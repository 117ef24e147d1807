//! Whether a password is that of a user.
//!
//! bcrypt is made to be slow. So one check runs at a time, what it came to is remembered, and what
//! was right is not forgotten because somebody else guesses. Nobody can tell by the time that an
//! answer takes whether there is a user of a name: every check costs what the costliest one does.

use std::collections::HashSet;
use std::hint::black_box;
use std::sync::{Arc, Mutex, PoisonError};

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;

use crate::web::toolkit::{PasswordHash, Users};

/// How many credentials of a kind are remembered.
const REMEMBERED: usize = 1000;

/// Users, and what has been found out about credentials.
pub(super) struct Passwords {
    users: Users,
    costliest: u32,
    /// Of this process alone, so that neither a dump of its memory nor the time that a look-up
    /// takes says anything about the credentials that are remembered.
    key: [u8; 32],
    remembered: Mutex<Remembered>,
    /// Whoever has it computes; the others wait in the order in which they came.
    turn: Arc<Semaphore>,
}

/// Credentials as their keyed hashes.
#[derive(Default)]
struct Remembered {
    right: HashSet<[u8; 32]>,
    wrong: HashSet<[u8; 32]>,
}

impl Default for Passwords {
    fn default() -> Self {
        Self::new(Users::new())
    }
}

impl Passwords {
    /// Those of `users`; nothing is known yet.
    ///
    /// # Panics
    /// When the operating system has no random numbers.
    pub(super) fn new(users: Users) -> Self {
        let mut key = [0; 32];
        getrandom::fill(&mut key).expect("the operating system has random numbers");
        Self {
            costliest: users
                .values()
                .map(|hash| hash.cost)
                .max()
                .unwrap_or_default(),
            users,
            key,
            remembered: Mutex::default(),
            turn: Arc::new(Semaphore::new(1)),
        }
    }

    /// Whether nobody is named, so that everybody may come in.
    pub(super) fn is_open(&self) -> bool {
        self.users.is_empty()
    }

    pub(super) fn are_of(&self, users: &Users) -> bool {
        self.users == *users
    }

    /// Whether `password` is that of `user`.
    pub(super) async fn check(self: &Arc<Self>, user: &[u8], password: &[u8]) -> bool {
        let credentials = self.fingerprint(user, password);
        if let Some(known) = self.recall(&credentials) {
            return known;
        }
        let Ok(turn) = Arc::clone(&self.turn).acquire_owned().await else {
            return false;
        };
        // Whoever had it before may have asked the same.
        if let Some(known) = self.recall(&credentials) {
            return known;
        }
        let hash = str::from_utf8(user)
            .ok()
            .and_then(|user| self.users.get(user))
            .cloned();
        let (passwords, password) = (Arc::clone(self), password.to_vec());
        let computed = spawn_blocking(move || {
            let right = compute(hash.as_ref(), &password, passwords.costliest);
            passwords.remember(credentials, right);
            // Not before: who hangs up does not stop what was begun for him.
            drop(turn);
            right
        });
        computed.await.unwrap_or(false)
    }

    fn fingerprint(&self, user: &[u8], password: &[u8]) -> [u8; 32] {
        let mut mac =
            Hmac::<Sha256>::new_from_slice(&self.key).expect("HMAC takes keys of any length");
        mac.update(&user.len().to_be_bytes());
        mac.update(user);
        mac.update(password);
        mac.finalize().into_bytes().into()
    }

    fn recall(&self, credentials: &[u8; 32]) -> Option<bool> {
        let remembered = self
            .remembered
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if remembered.right.contains(credentials) {
            return Some(true);
        }
        remembered.wrong.contains(credentials).then_some(false)
    }

    fn remember(&self, credentials: [u8; 32], right: bool) {
        let mut remembered = self
            .remembered
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let of_this_kind = if right {
            &mut remembered.right
        } else {
            &mut remembered.wrong
        };
        if of_this_kind.len() == REMEMBERED {
            of_this_kind.clear();
        }
        of_this_kind.insert(credentials);
    }
}

/// Checks a password against the hash of its user, if there is such a user, in 2^`costliest`
/// rounds: what the hash leaves of them is spent on nothing.
fn compute(hash: Option<&PasswordHash>, password: &[u8], costliest: u32) -> bool {
    let Some(hash) = hash else {
        spend(costliest);
        return false;
    };
    let right = bcrypt::verify(password, hash.text.expose()).unwrap_or(false);
    // 2^cost + 2^cost + 2^(cost + 1) + … + 2^(costliest - 1) = 2^costliest
    (hash.cost..costliest).for_each(spend);
    right
}

fn spend(cost: u32) {
    black_box(bcrypt::bcrypt(black_box(cost), [0; 16], b"nobody\0"));
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
        Arc::new(Passwords::new(costs.iter().map(user).collect()))
    }

    fn remembered(passwords: &Passwords) -> (usize, usize) {
        let remembered = passwords.remembered.lock().expect("no panic");
        (remembered.right.len(), remembered.wrong.len())
    }

    #[tokio::test]
    async fn each_user_has_his_own_password() {
        let passwords = passwords(&[("alice", 4), ("bob", 6)]);
        for (user, password, right) in [
            ("alice", "right", true),
            ("bob", "right", true),
            ("alice", "wrong", false),
            ("alice", "", false),
            ("", "right", false),
            ("mallory", "right", false),
            // Nothing is gained by moving the border between the two.
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
        assert_eq!(remembered(&passwords), (2, 6));
    }

    #[tokio::test]
    async fn guesses_do_not_push_out_what_was_right() {
        let passwords = passwords(&[("alice", 4)]);
        assert!(passwords.check(b"alice", b"right").await);
        for n in 0..=REMEMBERED {
            passwords.remember(passwords.fingerprint(b"alice", &n.to_be_bytes()), false);
        }
        assert_eq!(remembered(&passwords), (1, 1));
        assert_eq!(
            passwords.recall(&passwords.fingerprint(b"alice", b"right")),
            Some(true)
        );
    }
}
