//! The standard metrics of a process (page "Writing client libraries"), read from `/proc` at each
//! scrape. What cannot be read is left out.
//!
//! The `prometheus` crate can do this too, but counts CPU time in whole seconds.

use procfs::ProcResult;
use procfs::process::{LimitValue, Process};

use super::table::PROCESS;

/// The metrics of this process in the text format.
pub(super) fn text() -> String {
    let mut text = String::new();
    if let Ok(process) = Process::myself() {
        // A file that cannot be read costs only the metrics that come from it.
        let _ = write_stat(&mut text, &process);
        if let Ok(limits) = process.limits() {
            text += &PROCESS
                .max_fds
                .text(limit(limits.max_open_files.soft_limit));
            let memory = limit(limits.max_address_space.soft_limit);
            text += &PROCESS.virtual_memory_max_bytes.text(memory);
        }
        if let Ok(count) = process.fd_count() {
            text += &PROCESS.open_fds.text(count);
        }
    }
    text
}

fn write_stat(text: &mut String, process: &Process) -> ProcResult<()> {
    let stat = process.stat()?;
    let ticks = procfs::ticks_per_second() as f64;
    let cpu = (stat.utime + stat.stime) as f64 / ticks;
    *text += &PROCESS.cpu_seconds_total.text(cpu);
    *text += &PROCESS.virtual_memory_bytes.text(stat.vsize);
    let resident = stat.rss * procfs::page_size();
    *text += &PROCESS.resident_memory_bytes.text(resident);
    *text += &PROCESS.threads.text(stat.num_threads);
    let since_boot = stat.starttime as f64 / ticks;
    let boot = procfs::boot_time_secs()? as f64;
    *text += &PROCESS.start_time_seconds.text(boot + since_boot);
    Ok(())
}

/// No limit is written as the kernel counts it: the largest number.
fn limit(value: LimitValue) -> u64 {
    match value {
        LimitValue::Unlimited => u64::MAX,
        LimitValue::Value(value) => value,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::Metric;

    #[test]
    fn this_process_has_used_some_time_and_memory_and_began_after_the_epoch() {
        let text = text();
        let value = |metric: &Metric| -> f64 {
            let line = text
                .lines()
                .find(|line| line.split(' ').next() == Some(metric.name))
                .expect(metric.name);
            line.rsplit(' ')
                .next()
                .expect("a value")
                .parse()
                .expect("a number")
        };
        assert!(value(&PROCESS.cpu_seconds_total) < 1e6);
        assert!(value(&PROCESS.resident_memory_bytes) > 1e5);
        assert!(value(&PROCESS.virtual_memory_bytes) >= value(&PROCESS.resident_memory_bytes));
        assert!(value(&PROCESS.virtual_memory_max_bytes) >= value(&PROCESS.virtual_memory_bytes));
        assert!(value(&PROCESS.open_fds) >= 1.0);
        assert!(value(&PROCESS.max_fds) >= value(&PROCESS.open_fds));
        assert!(value(&PROCESS.start_time_seconds) > 1.6e9);
        assert!(value(&PROCESS.threads) >= 1.0);
    }
}
