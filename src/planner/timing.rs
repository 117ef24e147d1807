//! How long sweeps take, and when they start again.

use std::time::Duration;

/// When a sweep starts again, seen over a long time.
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
    // Scrapes exactly `max_age` apart keep to it only until one comes a little late or early; the
    // rule of thumb counts them as joined.
    let on_the_edge = replicas > 1 && wait == apart;
    apart * (u32::try_from(scrapes).unwrap_or(u32::MAX) + u32::from(on_the_edge))
}

/// How long each of the sweeps takes that start together, given the clients and the own rate of
/// each, when `rate` is shared evenly and what one cannot use goes to the others.
pub(super) fn sweep_times(rate: f64, loads: &[(usize, f64)]) -> Vec<Duration> {
    // Time as each would have it alone with an even share; as sweeps end, the share grows.
    let mut left: Vec<f64> = loads.iter().map(|&(clients, _)| clients as f64).collect();
    let mut times = vec![Duration::ZERO; loads.len()];
    // By own rate, the lowest first: who cannot use an even share decides what the others get.
    let mut active: Vec<usize> = (0..loads.len()).filter(|&n| loads[n].0 > 0).collect();
    active.sort_by(|&a, &b| loads[a].1.total_cmp(&loads[b].1));
    let mut now = 0.0;
    while !active.is_empty() {
        let mut free = rate;
        let speeds: Vec<f64> = active
            .iter()
            .enumerate()
            .map(|(n, &at)| {
                let speed = loads[at].1.min(free / (active.len() - n) as f64);
                free -= speed;
                speed
            })
            .collect();
        let step = active
            .iter()
            .zip(&speeds)
            .map(|(&at, speed)| left[at] / speed)
            .fold(f64::INFINITY, f64::min);
        now += step;
        for (&at, speed) in active.iter().zip(&speeds) {
            left[at] -= speed * step;
        }
        active.retain(|&at| {
            // Half a call: what remains of a finished sweep is rounding.
            let unfinished = left[at] > 0.5;
            if !unfinished {
                times[at] = Duration::from_secs_f64(now);
            }
            unfinished
        });
    }
    times
}
