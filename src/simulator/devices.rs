//! The status of the devices: the script, and the statuses that override it.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use super::fleet::SimulatedFleet;
use super::script::DeviceScript;
use crate::clock::Timestamp;

/// The devices and their status at any time.
#[derive(Debug)]
pub(super) struct Devices {
    fleet: SimulatedFleet,
    script: DeviceScript,
    /// Time between two refreshes of the cache that answers batches.
    cache_refresh: Duration,
    overrides: Mutex<Overrides>,
}

/// The overrides of each client with their start, oldest first; `None` is the script.
type Overrides = HashMap<Box<str>, Vec<(Timestamp, Option<bool>)>>;

/// Number of remembered overrides of a client, so that the past does not change.
const REMEMBERED: usize = 256;

impl Devices {
    pub(super) fn new(seed: u64, fleet: SimulatedFleet, cache_refresh: Duration) -> Self {
        let script = DeviceScript::new(seed, &fleet.groups());
        Self {
            fleet,
            script,
            cache_refresh,
            overrides: Mutex::default(),
        }
    }

    pub(super) const fn fleet(&self) -> &SimulatedFleet {
        &self.fleet
    }

    /// Whether `client` is connected to `instance` at `at`; `false` for an unknown client.
    pub(super) fn online_at(&self, instance: &str, client: &str, at: Timestamp) -> bool {
        let own = self.fleet.instance_of(client);
        if own.is_none_or(|own| own.as_str() != instance) {
            return false;
        }
        let overridden = self.overrides().get(client).and_then(|history| {
            let (_, online) = history.iter().rev().find(|(since, _)| *since <= at)?;
            *online
        });
        overridden.unwrap_or_else(|| self.script.online_at(client, at))
    }

    /// From `now` on, `client` is `online`, or follows the script again. `false` for an unknown
    /// client.
    pub(super) fn override_status(
        &self,
        client: &str,
        online: Option<bool>,
        now: Timestamp,
    ) -> bool {
        let known = self.fleet.instance_of(client).is_some();
        if known {
            let mut overrides = self.overrides();
            let history = overrides.entry(client.into()).or_default();
            if history.len() == REMEMBERED {
                history.remove(0);
            }
            history.push((now, online));
        }
        known
    }

    /// The time that the cache shows: its last refresh, minus `staleness`.
    pub(super) fn cached_as_of(&self, now: Timestamp, staleness: Duration) -> Timestamp {
        let millis = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        let now = now.as_millis();
        let age = now.checked_rem(millis(self.cache_refresh)).unwrap_or(0);
        Timestamp::from_millis((now - age).saturating_sub(millis(staleness)))
    }

    fn overrides(&self) -> MutexGuard<'_, Overrides> {
        self.overrides
            .lock()
            .expect("no holder of this lock panics")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLIENT: &str = "GID_meters@@@meter-0001";

    fn devices() -> Devices {
        Devices::new(1, SimulatedFleet::generate(2, 30), Duration::from_secs(2))
    }

    #[test]
    fn an_override_holds_from_its_start() {
        let devices = devices();
        let instance = devices.fleet().instances()[1].0.clone();
        let at = |second: u64| Timestamp::from_millis(1_700_000_000_000 + second * 1000);
        let online = |second| devices.online_at(instance.as_str(), CLIENT, at(second));
        let scripted: Vec<bool> = (0..60).map(online).collect();
        assert!(devices.override_status(CLIENT, Some(!scripted[10]), at(10)));
        assert!(devices.override_status(CLIENT, Some(scripted[20]), at(20)));
        assert!(devices.override_status(CLIENT, None, at(30)));
        assert_eq!(online(9), scripted[9]);
        assert_eq!(online(10), !scripted[10]);
        assert_eq!(online(19), !scripted[10]);
        assert_eq!(online(20), scripted[20]);
        assert_eq!((30..60).map(online).collect::<Vec<_>>(), scripted[30..]);
    }

    #[test]
    fn a_client_is_online_only_where_it_is() {
        let devices = devices();
        let now = Timestamp::from_millis(1_700_000_000_000);
        assert!(devices.override_status(CLIENT, Some(true), now));
        assert!(!devices.override_status("GID_meters@@@unknown", Some(true), now));
        let [there, here] = devices.fleet().instances() else {
            panic!("two instances")
        };
        assert!(devices.online_at(here.0.as_str(), CLIENT, now));
        assert!(!devices.online_at(there.0.as_str(), CLIENT, now));
        assert!(!devices.online_at(here.0.as_str(), "GID_meters@@@unknown", now));
    }

    #[test]
    fn the_cache_lags_by_its_refresh_and_the_staleness() {
        let devices = devices();
        let as_of = |now, staleness| {
            devices
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
