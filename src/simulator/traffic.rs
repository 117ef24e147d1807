//! Counts requests by second, and enforces the limits of the page "QPS limits": an account is
//! throttled above its calls per second of an operation; an egress address that exceeds the calls
//! per second of an operation is blocked for all operations.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::net::IpAddr;
use std::time::Duration;

use serde::Serialize;
use tokio_util::sync::CancellationToken;

use super::vendor_error::VendorError;
use crate::presence::Operation;

/// One value for each operation, by its name.
pub type PerOperation<T> = BTreeMap<&'static str, T>;

/// Requests to the API and their outcomes, since the start.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Stats {
    /// Requests that arrived, including those of blocked addresses. The operations that are queried
    /// for presence are always present.
    pub arrivals: PerOperation<u64>,
    /// The most requests that arrived in any second.
    pub max_arrivals_per_second: PerOperation<u64>,
    /// How calls ended: `OK`, an error code of the API, or what happened instead of an answer
    /// (`bad_gateway`, `error_page`, `truncated`, `undecodable`, `reset`, `hang`, `blocked`).
    pub answers: BTreeMap<Cow<'static, str>, u64>,
    /// Number of blocks of an address.
    pub blocks: u64,
    /// Total duration of the blocks, in seconds.
    pub blocked_seconds: f64,
}

/// Calls per second and operation of an egress address.
const ADDRESS: u64 = 300;

/// Above this number of addresses, those without a request in the last second are forgotten.
const ADDRESSES: usize = 1024;

/// All requests to the API. Times count from the start of the simulator and never decrease.
#[derive(Debug)]
pub(super) struct Traffic {
    quotas: bool,
    block_for: Duration,
    addresses: HashMap<IpAddr, AddressState>,
    account: PerOperation<SlidingWindow>,
    all: PerOperation<SlidingWindow>,
    stats: Stats,
}

/// One egress address.
#[derive(Debug, Default)]
struct AddressState {
    windows: PerOperation<SlidingWindow>,
    last: Duration,
    /// End of its block.
    blocked_until: Option<Duration>,
    /// Cancelled when a block starts.
    blocked: CancellationToken,
}

impl Traffic {
    /// Without `quotas` it only counts.
    pub(super) fn new(quotas: bool, block_for: Duration) -> Self {
        let none = PerOperation::from(Operation::ALL.map(|operation| (operation.name(), 0)));
        Self {
            quotas,
            block_for,
            addresses: HashMap::new(),
            account: PerOperation::default(),
            all: PerOperation::default(),
            stats: Stats {
                arrivals: none.clone(),
                max_arrivals_per_second: none,
                ..Stats::default()
            },
        }
    }

    /// Counts a request from `address` for `operation` (`None` for an unknown one). Returns a token
    /// that a block of the address cancels, or `None` if it is blocked already.
    pub(super) fn arrive(
        &mut self,
        address: IpAddr,
        operation: Option<&'static str>,
        now: Duration,
    ) -> Option<CancellationToken> {
        if let Some(operation) = operation {
            *self.stats.arrivals.entry(operation).or_default() += 1;
            let count = self.all.entry(operation).or_default().arrive(now);
            let peaks = &mut self.stats.max_arrivals_per_second;
            let peak = peaks.entry(operation).or_default();
            *peak = count.max(*peak);
        }
        if self.addresses.len() >= ADDRESSES {
            let recent = |last| now.saturating_sub(last) < Duration::from_secs(1);
            self.addresses
                .retain(|_, known| known.blocked_until.is_some() || recent(known.last));
        }
        let known = self.addresses.entry(address).or_default();
        match known.blocked_until {
            Some(until) if now < until => return None,
            Some(_) => *known = AddressState::default(),
            None => {}
        }
        known.last = now;
        let count = operation.map_or(0, |operation| {
            known.windows.entry(operation).or_default().arrive(now)
        });
        if self.quotas && count > ADDRESS {
            known.blocked_until = Some(now + self.block_for);
            known.blocked.cancel();
            self.stats.blocks += 1;
            return None;
        }
        Some(known.blocked.clone())
    }

    /// Counts a call against the account's quota of calls per second, and throttles it above. The
    /// quota is `documented` if quotas are enforced, unless a fault has `changed` it. Throttled
    /// calls do not count.
    pub(super) fn charge(
        &mut self,
        operation: &'static str,
        documented: u64,
        changed: Option<u64>,
        now: Duration,
    ) -> Result<(), VendorError> {
        let quota = changed.or(self.quotas.then_some(documented));
        let granted = self.account.entry(operation).or_default();
        if quota.is_some_and(|quota| granted.count(now) >= quota) {
            return Err(VendorError::THROTTLED);
        }
        granted.arrive(now);
        Ok(())
    }

    /// Counts how a call ended.
    pub(super) fn count_answer(&mut self, ending: Cow<'static, str>) {
        *self.stats.answers.entry(ending).or_default() += 1;
    }

    pub(super) fn stats(&self, now: Duration) -> Stats {
        let ends = self
            .addresses
            .values()
            .filter_map(|known| known.blocked_until);
        let remaining: Duration = ends.map(|end| end.saturating_sub(now)).sum();
        let total = self.block_for.as_secs_f64() * self.stats.blocks as f64;
        Stats {
            blocked_seconds: total - remaining.as_secs_f64(),
            ..self.stats.clone()
        }
    }
}

/// Counts arrivals in a sliding second, exactly to the microsecond.
///
/// Arrivals in the same microsecond share an entry, which bounds the number of entries.
#[derive(Debug, Default)]
struct SlidingWindow {
    /// Time in microseconds and number of arrivals; oldest first.
    runs: VecDeque<(u128, u64)>,
    count: u64,
}

impl SlidingWindow {
    /// The number of arrivals in the second that ends at `now`, which never decreases.
    fn count(&mut self, now: Duration) -> u64 {
        let now = now.as_micros();
        while let Some(&(at, arrivals)) = self.runs.front()
            && now - at >= 1_000_000
        {
            self.runs.pop_front();
            self.count -= arrivals;
        }
        self.count
    }

    /// Adds an arrival at `now`. Returns the number of arrivals in the second that ends with it,
    /// itself included.
    fn arrive(&mut self, now: Duration) -> u64 {
        self.count(now);
        let now = now.as_micros();
        match self.runs.back_mut() {
            Some((at, arrivals)) if *at == now => *arrivals += 1,
            _ => self.runs.push_back((now, 1)),
        }
        self.count += 1;
        self.count
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

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
        traffic
            .arrive(address, Some(operation.name()), now)
            .is_some()
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
            "operations are counted separately"
        );
        let token = traffic.arrive(HERE, None, at(1500));
        let token = token.expect("an unknown operation is not counted");
        assert!(!token.is_cancelled());

        assert!(!admitted(&mut traffic, HERE, Operation::Single, at(1501)));
        assert!(token.is_cancelled(), "calls in flight end");
        assert!(
            !admitted(&mut traffic, HERE, Operation::Batch, at(1502)),
            "a block applies to all operations"
        );
        assert!(
            admitted(&mut traffic, THERE, Operation::Single, at(1502)),
            "a block applies to one address"
        );
        assert!(!admitted(&mut traffic, HERE, Operation::Single, at(61_500)));
        let blocked = |traffic: &Traffic, now| traffic.stats(at(now)).blocked_seconds;
        assert!((blocked(&traffic, 11_501) - 10.0).abs() < 1e-9);
        assert!(admitted(&mut traffic, HERE, Operation::Single, at(61_501)));
        assert!((blocked(&traffic, 90_000) - 60.0).abs() < 1e-9);
        let stats = traffic.stats(at(90_000));
        assert_eq!(stats.blocks, 1);
        assert_eq!(
            stats.max_arrivals_per_second,
            PerOperation::from([
                (Operation::Single.name(), 302),
                (Operation::Batch.name(), 2)
            ])
        );
        assert_eq!(
            stats.arrivals,
            PerOperation::from([
                (Operation::Single.name(), 454),
                (Operation::Batch.name(), 2)
            ])
        );
    }

    #[test]
    fn an_account_is_throttled_past_its_quota_and_not_longer() {
        let mut traffic = Traffic::new(true, MINUTE);
        for (operation, quota) in [("one", 500), ("another", 100)] {
            let mut charge = |now| traffic.charge(operation, quota, None, at(now));
            assert!((0..quota).all(|_| charge(0).is_ok()));
            assert_eq!(charge(999), Err(VendorError::THROTTLED));
            assert_eq!(charge(1000), Ok(()));
        }
    }

    #[test]
    fn a_quota_may_change_and_throttled_calls_do_not_count() {
        let mut traffic = Traffic::new(false, MINUTE);
        let mut granted = |quota, now| {
            let charge = |_: &_| traffic.charge("any", 500, quota, at(now)).is_ok();
            (0..100).filter(charge).count()
        };
        assert_eq!(granted(None, 0), 100, "quotas are not enforced");
        assert_eq!(granted(Some(50), 1000), 50);
        assert_eq!(granted(Some(60), 1999), 10);
        assert_eq!(granted(Some(60), 2000), 50);
    }

    #[test]
    fn without_quotas_it_only_counts() {
        let mut traffic = Traffic::new(false, MINUTE);
        assert!((0..2000).all(|_| admitted(&mut traffic, HERE, Operation::Batch, at(7))));
        assert!((0..2000).all(|_| traffic.charge("any", 100, None, at(7)).is_ok()));
        assert_eq!(
            traffic.stats(at(7)).max_arrivals_per_second[Operation::Batch.name()],
            2000
        );
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

    proptest! {
        #[test]
        fn a_window_counts_like_a_full_record(gaps in prop::collection::vec(0_u64..400_000, 1..60)) {
            let mut window = SlidingWindow::default();
            let mut all = Vec::new();
            let mut now = 0;
            for gap in gaps {
                now += gap;
                all.push(now);
                let expected = all.iter().filter(|at| now - **at < 1_000_000).count() as u64;
                prop_assert_eq!(window.arrive(Duration::from_micros(now)), expected);
                prop_assert!(window.runs.len() as u64 <= expected);
            }
        }
    }

    #[test]
    fn arrivals_of_one_moment_share_an_entry() {
        let mut window = SlidingWindow::default();
        let counts: Vec<u64> = (0..1000)
            .map(|_| window.arrive(Duration::from_secs(1)))
            .collect();
        assert_eq!(counts.last(), Some(&1000));
        assert_eq!(window.runs.len(), 1);
    }
}
