//! The standard metrics of a process (page "Writing client libraries"), read from `/proc` at each
//! scrape. What cannot be read is left out.
//!
//! The `prometheus` crate can do this too, but counts CPU time in whole seconds.

use std::fmt::Write;

use procfs::ProcResult;
use procfs::process::{LimitValue, Process};

use super::metric::Metric;
use super::table::PROCESS;

/// Appends the metrics of this process to `out`.
pub(super) fn write(out: &mut String) {
    let Ok(process) = Process::myself() else {
        return;
    };
    // A file that cannot be read costs only the metrics that come from it.
    let _ = write_stat(out, &process);
    let _ = process
        .fd_count()
        .map(|count| sample(out, &PROCESS.open_fds, count as f64));
    let _ = process.limits().map(|limits| {
        let (files, memory) = (limits.max_open_files, limits.max_address_space);
        sample(out, &PROCESS.max_fds, limit(files.soft_limit));
        sample(
            out,
            &PROCESS.virtual_memory_max_bytes,
            limit(memory.soft_limit),
        );
    });
}

fn write_stat(out: &mut String, process: &Process) -> ProcResult<()> {
    let stat = process.stat()?;
    let ticks = procfs::ticks_per_second() as f64;
    let resident = stat.rss * procfs::page_size();
    let cpu = (stat.utime + stat.stime) as f64 / ticks;
    sample(out, &PROCESS.cpu_seconds_total, cpu);
    sample(out, &PROCESS.virtual_memory_bytes, stat.vsize as f64);
    sample(out, &PROCESS.resident_memory_bytes, resident as f64);
    sample(out, &PROCESS.threads, stat.num_threads as f64);
    let since_boot = stat.starttime as f64 / ticks;
    let boot = procfs::boot_time_secs()? as f64;
    sample(out, &PROCESS.start_time_seconds, boot + since_boot);
    Ok(())
}

/// No limit is written as the kernel counts it: the largest number.
fn limit(value: LimitValue) -> f64 {
    match value {
        LimitValue::Unlimited => u64::MAX as f64,
        LimitValue::Value(value) => value as f64,
    }
}

fn sample(out: &mut String, metric: &Metric, value: f64) {
    writeln!(out, "{}{} {value}", metric.header(), metric.name).expect("a String takes any text");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_has_used_some_time_and_memory_and_began_after_the_epoch() {
        let mut text = String::new();
        write(&mut text);
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
