//! What is true of the devices: the script, and what somebody imposed on it.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use super::roster::Roster;
use super::script::Script;
use crate::clock::Timestamp;

/// The devices and their status at any time.
#[derive(Debug)]
pub(super) struct World {
    roster: Roster,
    script: Script,
    /// How often the cache is filled anew that batches are answered from.
    cache_refresh: Duration,
    imposed: Mutex<Imposed>,
}

/// By client, what was imposed and when, oldest first.
type Imposed = HashMap<Box<str>, Vec<(Timestamp, Option<bool>)>>;

/// How many impositions on one client are remembered, so that the past stays as it was.
const REMEMBERED: usize = 256;

impl World {
    pub(super) fn new(seed: u64, roster: Roster, cache_refresh: Duration) -> Self {
        let script = Script::new(seed, &roster.groups());
        Self {
            roster,
            script,
            cache_refresh,
            imposed: Mutex::default(),
        }
    }

    pub(super) const fn roster(&self) -> &Roster {
        &self.roster
    }

    /// Whether `client` is connected to `instance` at `at`. A client that is not there is not
    /// connected.
    pub(super) fn online_at(&self, instance: &str, client: &str, at: Timestamp) -> bool {
        if self
            .roster
            .home(client)
            .is_none_or(|home| home.as_str() != instance)
        {
            return false;
        }
        let imposed = self.imposed().get(client).and_then(|history| {
            let (_, online) = history.iter().rev().find(|(since, _)| *since <= at)?;
            *online
        });
        imposed.unwrap_or_else(|| self.script.online_at(client, at))
    }

    /// From `now` on, `client` is `online`, or follows the script again. `false` if there is no
    /// such client.
    pub(super) fn impose(&self, client: &str, online: Option<bool>, now: Timestamp) -> bool {
        let known = self.roster.home(client).is_some();
        if known {
            let mut imposed = self.imposed();
            let history = imposed.entry(client.into()).or_default();
            if history.len() == REMEMBERED {
                history.remove(0);
            }
            history.push((now, online));
        }
        known
    }

    /// The time as of which the cache knows the devices: it was filled up to `cache_refresh` ago,
    /// from data that were `staleness` old.
    pub(super) fn cached_as_of(&self, now: Timestamp, staleness: Duration) -> Timestamp {
        let millis = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        let age = now
            .as_millis()
            .checked_rem(millis(self.cache_refresh))
            .unwrap_or(0);
        Timestamp::from_millis(
            now.as_millis()
                .saturating_sub(age)
                .saturating_sub(millis(staleness)),
        )
    }

    fn imposed(&self) -> MutexGuard<'_, Imposed> {
        self.imposed
            .lock()
            .expect("nobody panics while holding this lock")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLIENT: &str = "GID_meters@@@meter-0001";

    fn world() -> World {
        World::new(1, Roster::made_up(2, 30), Duration::from_secs(2))
    }

    #[test]
    fn what_is_imposed_holds_from_then_on_and_not_before() {
        let world = world();
        let instance = world.roster().instances()[1].0.clone();
        let at = |second: u64| Timestamp::from_millis(1_700_000_000_000 + second * 1000);
        let online = |second| world.online_at(instance.as_str(), CLIENT, at(second));
        let scripted: Vec<bool> = (0..60).map(online).collect();
        assert!(world.impose(CLIENT, Some(!scripted[10]), at(10)));
        assert!(world.impose(CLIENT, Some(scripted[20]), at(20)));
        assert!(world.impose(CLIENT, None, at(30)));
        assert_eq!(online(9), scripted[9]);
        assert_eq!(online(10), !scripted[10]);
        assert_eq!(online(19), !scripted[10]);
        assert_eq!(online(20), scripted[20]);
        assert_eq!((30..60).map(online).collect::<Vec<_>>(), scripted[30..]);
    }

    #[test]
    fn a_client_is_online_only_where_it_is() {
        let world = world();
        let now = Timestamp::from_millis(1_700_000_000_000);
        assert!(world.impose(CLIENT, Some(true), now));
        assert!(!world.impose("GID_meters@@@nobody", Some(true), now));
        let [there, here] = world.roster().instances() else {
            panic!("two instances")
        };
        assert!(world.online_at(here.0.as_str(), CLIENT, now));
        assert!(!world.online_at(there.0.as_str(), CLIENT, now));
        assert!(!world.online_at(here.0.as_str(), "GID_meters@@@nobody", now));
    }

    #[test]
    fn the_cache_lags_by_its_refresh_and_the_staleness() {
        let world = world();
        let as_of = |now, staleness| {
            world
                .cached_as_of(
                    Timestamp::from_millis(now),
                    Duration::from_millis(staleness),
                )
                .as_millis()
        };
        assert_eq!(as_of(5999, 0), 4000);
        assert_eq!(as_of(6000, 0), 6000);
        assert_eq!(as_of(6000, 1500), 4500);
        assert_eq!(as_of(6000, 7000), 0);
    }
}
