//! The scripted status of the devices, as a pure function of the seed, the client and the time.

use super::seeded_random::SeededRandom;
use crate::clock::Timestamp;
use crate::presence::ClientId;

const SECOND: u64 = 1000;
const MINUTE: u64 = 60 * SECOND;
const HOUR: u64 = 60 * MINUTE;

/// Which device is online when, without overrides.
#[derive(Debug)]
pub(super) struct DeviceScript {
    random: SeededRandom,
    /// The group whose devices share an uplink and disconnect together when it fails.
    shared_uplink: Option<Box<str>>,
}

impl DeviceScript {
    /// A script for devices of `groups`, one of which has a shared uplink.
    pub(super) fn new(seed: u64, groups: &[&str]) -> Self {
        let random = SeededRandom::new(seed).derive("script");
        let shared_uplink = (!groups.is_empty()).then(|| {
            let index = random.derive("uplink").within(0..groups.len() as u64);
            groups[usize::try_from(index).expect("an index of `groups`")].into()
        });
        Self {
            random,
            shared_uplink,
        }
    }

    /// Whether `client` is online at `at`.
    pub(super) fn online_at(&self, client: &str, at: Timestamp) -> bool {
        let random = self.random.derive(client);
        let now = at.as_millis();
        if self.shared_uplink.as_deref() == Some(ClientId::group_of(client))
            && self.uplink_is_down(random, now)
        {
            return false;
        }
        match random.derive("habit").unit() {
            // A spare device.
            ..0.04 => false,
            0.04..0.2 => flap(random, now),
            _ => !outage(random, now),
        }
    }

    /// Every six minutes the uplink fails for 40 to 80 seconds. All devices disconnect at once, and
    /// each reconnects within 15 seconds of its end.
    fn uplink_is_down(&self, device: SeededRandom, now: u64) -> bool {
        const CYCLE: u64 = 6 * MINUTE;
        let random = self.random.derive("uplink").nth(now / CYCLE);
        let start = random.derive("start").within(MINUTE..4 * MINUTE);
        let length = random.derive("length").within(40 * SECOND..80 * SECOND);
        let back = device.nth(now / CYCLE).within(0..15 * SECOND);
        (start..start + length + back).contains(&(now % CYCLE))
    }
}

/// Periods of 1 to 10 minutes, online for 60 % to 95 % of each.
fn flap(device: SeededRandom, now: u64) -> bool {
    let period = device.derive("period").within(MINUTE..10 * MINUTE);
    let online = period * device.derive("online").within(60..95) / 100;
    let phase = device.derive("phase").within(0..period);
    (now + phase) % period < online
}

/// One outage of 1 to 5 minutes in a tenth of the hours.
fn outage(device: SeededRandom, now: u64) -> bool {
    let random = device.derive("outage").nth(now / HOUR);
    let start = random.derive("start").within(0..55 * MINUTE);
    let length = random.derive("length").within(MINUTE..5 * MINUTE);
    random.unit() < 0.1 && (start..start + length).contains(&(now % HOUR))
}

#[cfg(test)]
mod tests {
    use super::*;

    const GROUPS: [&str; 3] = ["GID_pumps", "GID_gates", "GID_meters"];

    fn clients() -> Vec<String> {
        GROUPS
            .iter()
            .flat_map(|group| (0..100).map(move |number| format!("{group}@@@{number}")))
            .collect()
    }

    /// Which clients are online, every four seconds of an hour.
    fn hour(script: &DeviceScript) -> Vec<Vec<bool>> {
        let start = 1_700_000_000_000;
        (0..900)
            .map(|step| Timestamp::from_millis(start + step * 4 * SECOND))
            .map(|at| {
                clients()
                    .iter()
                    .map(|client| script.online_at(client, at))
                    .collect()
            })
            .collect()
    }

    #[test]
    fn most_devices_are_online_most_of_the_time_and_some_change() {
        for seed in [1, 2, 3] {
            let hour = hour(&DeviceScript::new(seed, &GROUPS));
            let online =
                hour.iter().flatten().filter(|online| **online).count() as f64 / (900.0 * 300.0);
            assert!((0.75..0.98).contains(&online), "{online}");
            let changes: usize = hour
                .windows(2)
                .map(|pair| pair[0].iter().zip(&pair[1]).filter(|(a, b)| a != b).count())
                .sum();
            assert!(changes > 300, "{changes}");
        }
    }

    #[test]
    fn one_group_disconnects_together_and_the_others_do_not() {
        let hour = hour(&DeviceScript::new(1, &GROUPS));
        let dark = |group: usize| {
            hour.iter()
                .filter(|online| {
                    online[group * 100..(group + 1) * 100]
                        .iter()
                        .all(|online| !online)
                })
                .count()
        };
        let mut steps = [dark(0), dark(1), dark(2)];
        steps.sort_unstable();
        assert_eq!(steps[..2], [0, 0]);
        assert!((100..=200).contains(&steps[2]), "{steps:?}");
    }

    #[test]
    fn a_script_without_groups_works() {
        let script = DeviceScript::new(1, &[]);
        assert!(
            clients()
                .iter()
                .any(|client| script.online_at(client, Timestamp::from_millis(1)))
        );
    }
}
