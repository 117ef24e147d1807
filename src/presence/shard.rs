//! Divides the clients of a fleet among several processes.

/// One of several processes that share every fleet. Each client belongs to exactly one shard,
/// independent of host, version and configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shard {
    index: u32,
    total: u32,
}

/// The index of a shard is not below the number of shards.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no shard {index} of {total}; shards are counted from 0")]
pub struct NoSuchShard {
    index: u32,
    total: u32,
}

impl Shard {
    /// The only shard.
    pub const WHOLE: Self = Self { index: 0, total: 1 };

    /// Shard `index` of `total`; the first index is 0.
    pub const fn new(index: u32, total: u32) -> Result<Self, NoSuchShard> {
        if index < total {
            Ok(Self { index, total })
        } else {
            Err(NoSuchShard { index, total })
        }
    }

    /// The index, starting at 0.
    #[must_use]
    pub const fn index(self) -> u32 {
        self.index
    }

    /// The number of shards, at least 1.
    #[must_use]
    pub const fn total(self) -> u32 {
        self.total
    }

    /// The fraction of every shared limit that each shard gets.
    #[must_use]
    pub fn part(self) -> f64 {
        f64::from(self.total).recip()
    }

    /// Whether `client` belongs to this shard. Going from N to N+1 shards moves about 1/(N+1) of the
    /// clients, all of them to the new shard.
    #[must_use]
    pub fn owns(self, client: &str) -> bool {
        self.total == 1 || jump(hash(client), self.total) == self.index
    }
}

impl Default for Shard {
    fn default() -> Self {
        Self::WHOLE
    }
}

/// FNV-1a with the finalizer of `MurmurHash3`, so that every bit depends on every byte. It must not
/// change: with another hash, nearly all clients would move.
fn hash(client: &str) -> u64 {
    let fnv = client
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
        });
    let mixed = (fnv ^ (fnv >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    let mixed = (mixed ^ (mixed >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    mixed ^ (mixed >> 33)
}

/// Jump consistent hash (Lamping and Veach, "A Fast, Minimal Memory, Consistent Hash Algorithm").
fn jump(mut key: u64, buckets: u32) -> u32 {
    let (mut bucket, mut next) = (0, 0_u64);
    while next < u64::from(buckets) {
        bucket = next;
        key = key.wrapping_mul(2_862_933_555_777_941_757).wrapping_add(1);
        // The next jump is `(bucket + 1) / r` for a random `r` of 2^-31 to 1: integers only,
        // so that every host computes the same.
        next = ((bucket + 1) << 31) / ((key >> 33) + 1);
    }
    u32::try_from(bucket).expect("below the number of buckets")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owner(client: &str, total: u32) -> u32 {
        let owners: Vec<_> = (0..total)
            .filter(|&index| Shard::new(index, total).expect("one of them").owns(client))
            .collect();
        assert_eq!(owners.len(), 1, "{client} of {total}");
        owners[0]
    }

    fn clients() -> impl Iterator<Item = String> {
        (0..20_000).map(|n| format!("GID_pumps@@@pump-{n}"))
    }

    #[test]
    fn every_client_has_one_owner_and_shards_are_balanced() {
        for total in [1, 2, 3, 7, 16] {
            let mut counts = vec![0_u32; total as usize];
            clients().for_each(|client| counts[owner(&client, total) as usize] += 1);
            let even = 20_000.0 / f64::from(total);
            for count in counts {
                assert!(
                    (f64::from(count) / even - 1.0).abs() < 0.1,
                    "{count} of {even} with {total} shards"
                );
            }
        }
    }

    #[test]
    fn a_new_shard_takes_its_fraction_and_no_other_client_moves() {
        for total in 1..12 {
            let mut moved = 0;
            for client in clients().step_by(5) {
                let (before, after) = (owner(&client, total), owner(&client, total + 1));
                if before != after {
                    assert_eq!(after, total, "{client} moved between old shards");
                    moved += 1;
                }
            }
            let expected = 4000.0 / f64::from(total + 1);
            assert!(
                (f64::from(moved) / expected - 1.0).abs() < 0.15,
                "{moved} of {expected} moved to shard {total}"
            );
        }
    }

    /// Other versions and other hosts must compute the same owners.
    #[test]
    fn the_owners_of_known_clients_do_not_change() {
        assert_eq!(hash(""), 0xefd0_1f60_ba99_2926);
        let owners: Vec<_> = clients().take(12).map(|client| owner(&client, 5)).collect();
        assert_eq!(owners, [1, 2, 4, 1, 0, 2, 2, 0, 3, 2, 4, 3]);
    }

    #[test]
    fn an_index_out_of_range_is_refused() {
        assert!(Shard::new(2, 3).is_ok());
        let error = Shard::new(3, 3).expect_err("the fourth of three");
        assert_eq!(
            error.to_string(),
            "there is no shard 3 of 3; shards are counted from 0"
        );
        assert!(Shard::new(0, 0).is_err());
    }
}
