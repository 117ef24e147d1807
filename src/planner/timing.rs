//! The duration of sweeps, and the interval between them.

use std::time::Duration;

/// The average time between the starts of two sweeps.
///
/// A scrape joins the sweep in flight, and starts none before `max_age` has passed since the last
/// start; so one starts at the first scrape after both. The scrapes of several replicas lie
/// evenly between each other where they cost most.
pub(super) fn sweep_period(
    interval: Duration,
    replicas: u32,
    max_age: Duration,
    sweep: Duration,
) -> Duration {
    let apart = interval / replicas;
    let wait = max_age.max(sweep);
    let scrapes = wait.as_nanos().div_ceil(apart.as_nanos()).max(1);
    // Scrapes exactly `max_age` apart may be slightly early or late; the estimate assumes that every
    // second one joins.
    let borderline = replicas > 1 && wait == apart;
    apart * (u32::try_from(scrapes).unwrap_or(u32::MAX) + u32::from(borderline))
}

/// The duration of each of the sweeps that start together, given the calls and the own rate of
/// each, when `rate` is shared evenly and the others get what one cannot use.
pub(super) fn sweep_times(rate: f64, loads: &[(usize, f64)]) -> Vec<Duration> {
    let mut times = vec![Duration::ZERO; loads.len()];
    // The sweeps that have not ended, with their calls left. The lowest own rate comes first: a
    // sweep that cannot use an even share leaves more for the others.
    let calls = loads.iter().map(|&(calls, _)| calls as f64).enumerate();
    let mut active: Vec<_> = calls.filter(|&(_, left)| left > 0.0).collect();
    active.sort_by(|&(a, _), &(b, _)| loads[a].1.total_cmp(&loads[b].1));
    let mut now = 0.0;
    while !active.is_empty() {
        let (mut free, mut sharing) = (rate, active.len() as f64);
        let share = |&(sweep, _): &(usize, f64)| {
            let speed = loads[sweep].1.min(free / sharing);
            (free, sharing) = (free - speed, sharing - 1.0);
            speed
        };
        let speeds: Vec<_> = active.iter().map(share).collect();
        let ends = active
            .iter()
            .zip(&speeds)
            .map(|((_, left), speed)| left / speed);
        let step = ends.fold(f64::INFINITY, f64::min);
        now += step;
        for ((sweep, left), speed) in active.iter_mut().zip(speeds) {
            *left -= speed * step;
            times[*sweep] = Duration::from_secs_f64(now);
        }
        // Half a call: what remains of a sweep that has ended is rounding.
        active.retain(|&(_, left)| left > 0.5);
    }
    times
}
