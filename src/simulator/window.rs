//! How many arrivals the last second saw.

use std::collections::VecDeque;
use std::time::Duration;

/// Counts arrivals in a second that slides, exactly to the microsecond.
///
/// Arrivals of the same microsecond share an entry, so that no load makes it longer than the
/// microseconds of a second.
#[derive(Debug, Default)]
pub(super) struct SlidingWindow {
    /// When (in microseconds), and how many arrived then; oldest first.
    runs: VecDeque<(u128, u64)>,
    count: u64,
}

/// Arrivals so far apart share no second.
const SECOND: u128 = 1_000_000;

impl SlidingWindow {
    /// Adds an arrival at `now`, which never goes backwards, and says how many arrivals there
    /// were in the second that ends with it, itself included.
    pub(super) fn arrive(&mut self, now: Duration) -> u64 {
        let now = now.as_micros();
        while let Some(&(at, arrivals)) = self.runs.front()
            && now - at >= SECOND
        {
            self.runs.pop_front();
            self.count -= arrivals;
        }
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

    proptest! {
        #[test]
        fn it_counts_as_one_does_who_remembers_everything(gaps in prop::collection::vec(0_u64..400_000, 1..60)) {
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
