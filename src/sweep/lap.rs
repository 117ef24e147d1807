//! The time in which all clients of a fleet are queried once, as measured.

use std::time::Duration;

use tokio::time::Instant;

/// After a longer pause between sweeps, scrapes were missing and no time was needed.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// Measures laps over the ring of clients. A lap that the breaker or a pause interrupts does not
/// count.
#[derive(Debug, Default)]
pub(super) struct Lap {
    began: Option<Instant>,
    last_end: Option<Instant>,
    /// Clients that were queried in this lap.
    queried: usize,
    measured: Duration,
}

impl Lap {
    /// A sweep of a fleet with this many clients begins. If a lap has ended, returns its duration;
    /// a shorter lap halves the previous one at most.
    pub(super) fn begin_sweep(&mut self, now: Instant, clients: usize) -> Option<Duration> {
        let pause = self.last_end.map(|end| now - end);
        if pause.is_some_and(|pause| pause > LONGEST_PAUSE) {
            self.began = None;
        }
        let Some(began) = self.began else {
            (self.began, self.queried) = (Some(now), 0);
            return None;
        };
        if clients == 0 || self.queried < clients {
            return None;
        }
        self.measured = (now - began).max(self.measured / 2);
        (self.began, self.queried) = (Some(now), self.queried % clients);
        Some(self.measured)
    }

    /// A sweep that queried this many clients has ended. `stopped`: the breaker stopped it.
    pub(super) fn end_sweep(&mut self, now: Instant, queried: usize, stopped: bool) {
        self.queried += queried;
        self.last_end = Some(now);
        if stopped {
            self.began = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn a_lap_takes_from_its_first_sweep_to_the_first_of_the_next_lap() {
        let start = Instant::now();
        let mut lap = Lap::default();
        assert_eq!(lap.begin_sweep(start, 100), None);
        lap.end_sweep(start + 10 * SECOND, 40, false);
        assert_eq!(lap.begin_sweep(start + 15 * SECOND, 100), None);
        lap.end_sweep(start + 25 * SECOND, 40, false);
        assert_eq!(lap.begin_sweep(start + 30 * SECOND, 100), None);
        lap.end_sweep(start + 40 * SECOND, 40, false);
        let measured = lap.begin_sweep(start + 45 * SECOND, 100);
        assert_eq!(measured, Some(45 * SECOND));
    }

    #[tokio::test(start_paused = true)]
    async fn an_interrupted_lap_does_not_count_and_shorter_ones_halve_it() {
        let start = Instant::now();
        let mut lap = Lap::default();
        let mut sweep = |from: u64, to: u64, stopped| {
            let measured = lap.begin_sweep(start + Duration::from_secs(from), 10);
            lap.end_sweep(start + Duration::from_secs(to), 10, stopped);
            measured
        };
        assert_eq!(sweep(0, 40, false), None);
        assert_eq!(sweep(40, 50, false), Some(40 * SECOND));
        assert_eq!(sweep(50, 60, true), Some(20 * SECOND));
        assert_eq!(
            sweep(60, 70, false),
            None,
            "the breaker stopped the last one"
        );
        assert_eq!(sweep(500, 510, false), None, "nothing was scraped for long");
        assert_eq!(sweep(510, 520, false), Some(10 * SECOND));
    }
}
