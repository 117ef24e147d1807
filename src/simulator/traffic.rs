//! How much arrives, and what the vendor does about too much of it.
//!
//! Limits as the vendor's page "QPS limits" has them: an account is throttled past its calls per
//! second of an operation; an egress address that passes the calls per second of an operation is
//! blocked, for all operations.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::operation::PerOperation;
use super::vendor_error::VendorError;
use super::window::SlidingWindow;
use crate::presence::Operation;

/// Calls per second of an account.
const ACCOUNT: PerOperation<u64> = PerOperation {
    single: 500,
    batch: 100,
};

/// Calls per second and operation of an egress address.
const ADDRESS: u64 = 300;

/// With more addresses than this, those that have been silent for a second are forgotten.
const ADDRESSES: usize = 1024;

/// What becomes of an arrival.
#[derive(Debug)]
pub(super) enum Arrival {
    /// It is handled, until its address is blocked: then the token is cancelled.
    Admitted(CancellationToken),
    /// Its address is blocked.
    Blocked,
}

/// Everything that arrived. All times count from the simulator's start and never go backwards.
#[derive(Debug)]
pub(super) struct Traffic {
    quotas: bool,
    block_for: Duration,
    addresses: HashMap<IpAddr, AddressState>,
    account: PerOperation<SlidingWindow>,
    all: PerOperation<SlidingWindow>,
    arrivals: PerOperation<u64>,
    peaks: PerOperation<u64>,
    blocks: u64,
    /// The length of the blocks that are over.
    blocked: Duration,
}

/// What is known of an egress address.
#[derive(Debug, Default)]
struct AddressState {
    windows: PerOperation<SlidingWindow>,
    last: Duration,
    /// From when to when it is blocked.
    block: Option<(Duration, Duration)>,
    /// Cancelled when it is blocked.
    line: CancellationToken,
}

impl Traffic {
    /// Without `quotas` it only counts.
    pub(super) fn new(quotas: bool, block_for: Duration) -> Self {
        Self {
            quotas,
            block_for,
            addresses: HashMap::new(),
            account: PerOperation::default(),
            all: PerOperation::default(),
            arrivals: PerOperation::default(),
            peaks: PerOperation::default(),
            blocks: 0,
            blocked: Duration::ZERO,
        }
    }

    /// Counts a request for `operation` (none for one that nobody knows) from `address`.
    pub(super) fn arrive(
        &mut self,
        address: IpAddr,
        operation: Option<Operation>,
        now: Duration,
    ) -> Arrival {
        if let Some(operation) = operation {
            *self.arrivals.of(operation) += 1;
            let count = self.all.of(operation).arrive(now);
            let peak = self.peaks.of(operation);
            *peak = count.max(*peak);
        }
        if self.addresses.len() >= ADDRESSES {
            self.addresses.retain(|_, known| {
                known.block.is_some() || now.saturating_sub(known.last) < Duration::from_secs(1)
            });
        }
        let known = self.addresses.entry(address).or_default();
        known.last = now;
        if let Some((from, until)) = known.block {
            if now < until {
                return Arrival::Blocked;
            }
            self.blocked += until.saturating_sub(from);
            *known = AddressState {
                last: now,
                ..AddressState::default()
            };
        }
        let count = operation.map_or(0, |operation| known.windows.of(operation).arrive(now));
        if self.quotas && count > ADDRESS {
            known.block = Some((now, now + self.block_for));
            known.line.cancel();
            self.blocks += 1;
            return Arrival::Blocked;
        }
        Arrival::Admitted(known.line.clone())
    }

    /// Counts a call that the account has to answer for, and throttles it if it is one too many.
    pub(super) fn charge(
        &mut self,
        operation: Operation,
        now: Duration,
    ) -> Result<(), VendorError> {
        let mut quota = ACCOUNT;
        let count = self.account.of(operation).arrive(now);
        if self.quotas && count > *quota.of(operation) {
            Err(VendorError::throttled())
        } else {
            Ok(())
        }
    }

    /// How many requests arrived.
    pub(super) const fn arrivals(&self) -> PerOperation<u64> {
        self.arrivals
    }

    /// How many arrived in the second that saw most of them.
    pub(super) const fn peaks(&self) -> PerOperation<u64> {
        self.peaks
    }

    /// How often an address was blocked.
    pub(super) const fn blocks(&self) -> u64 {
        self.blocks
    }

    /// How long addresses were blocked so far.
    pub(super) fn blocked(&self, now: Duration) -> Duration {
        let current = self.addresses.values().filter_map(|known| known.block);
        self.blocked
            + current
                .map(|(from, until)| until.min(now).saturating_sub(from))
                .sum::<Duration>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);
    const THERE: IpAddr = IpAddr::V6(std::net::Ipv6Addr::LOCALHOST);
    const MINUTE: Duration = Duration::from_secs(60);

    fn at(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    fn admitted(
        traffic: &mut Traffic,
        address: IpAddr,
        operation: Operation,
        now: Duration,
    ) -> bool {
        matches!(
            traffic.arrive(address, Some(operation), now),
            Arrival::Admitted(_)
        )
    }

    #[test]
    fn three_hundred_in_a_second_pass_and_one_more_blocks_the_address() {
        let mut traffic = Traffic::new(true, MINUTE);
        // At 500 the first half leaves the window at 1500: the window slides.
        for now in [500, 1400] {
            assert!((0..150).all(|_| admitted(&mut traffic, HERE, Operation::Single, at(now))));
        }
        assert!((0..150).all(|_| admitted(&mut traffic, HERE, Operation::Single, at(1500))));
        assert!(
            admitted(&mut traffic, HERE, Operation::Batch, at(1500)),
            "operations count apart"
        );
        let Arrival::Admitted(line) = traffic.arrive(HERE, None, at(1500)) else {
            panic!("an unknown one counts not")
        };
        assert!(!line.is_cancelled());

        assert!(!admitted(&mut traffic, HERE, Operation::Single, at(1501)));
        assert!(line.is_cancelled(), "calls in flight are cut");
        assert!(
            !admitted(&mut traffic, HERE, Operation::Batch, at(1502)),
            "a block is for all operations"
        );
        assert!(
            admitted(&mut traffic, THERE, Operation::Single, at(1502)),
            "and for one address"
        );
        assert!(!admitted(&mut traffic, HERE, Operation::Single, at(61_500)));
        assert_eq!(traffic.blocked(at(11_501)), at(10_000));
        assert!(admitted(&mut traffic, HERE, Operation::Single, at(61_501)));
        assert_eq!((traffic.blocks(), traffic.blocked(at(90_000))), (1, MINUTE));
        assert_eq!(
            traffic.peaks(),
            PerOperation {
                single: 302,
                batch: 2
            }
        );
        assert_eq!(
            traffic.arrivals(),
            PerOperation {
                single: 454,
                batch: 2
            }
        );
    }

    #[test]
    fn an_account_is_throttled_past_its_quota_and_not_longer() {
        let mut traffic = Traffic::new(true, MINUTE);
        for (operation, quota) in [(Operation::Single, 500), (Operation::Batch, 100)] {
            assert!((0..quota).all(|_| traffic.charge(operation, at(0)).is_ok()));
            assert_eq!(
                traffic.charge(operation, at(999)),
                Err(VendorError::throttled())
            );
            assert_eq!(traffic.charge(operation, at(1000)), Ok(()));
        }
    }

    #[test]
    fn without_quotas_it_only_counts() {
        let mut traffic = Traffic::new(false, MINUTE);
        assert!((0..2000).all(|_| admitted(&mut traffic, HERE, Operation::Batch, at(7))));
        assert!((0..2000).all(|_| traffic.charge(Operation::Batch, at(7)).is_ok()));
        assert_eq!(traffic.peaks().batch, 2000);
    }

    #[test]
    fn silent_addresses_are_forgotten_and_blocked_ones_are_not() {
        let mut traffic = Traffic::new(true, MINUTE);
        assert!((0..=ADDRESS).any(|_| !admitted(&mut traffic, HERE, Operation::Single, at(0))));
        for number in 0..10 * ADDRESSES as u64 {
            let address = IpAddr::V6(std::net::Ipv6Addr::from_bits(u128::from(number) + 2));
            assert!(admitted(
                &mut traffic,
                address,
                Operation::Single,
                at(number * 4)
            ));
        }
        assert!(traffic.addresses.len() <= ADDRESSES);
        assert!(!admitted(&mut traffic, HERE, Operation::Single, at(41_000)));
    }
}
