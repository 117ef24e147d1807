//! The standard metrics of a process (page "Writing client libraries"), read from `/proc` at each
//! scrape. What cannot be read is left out.
//!
//! The `prometheus` crate can do this too, but counts CPU time in whole seconds.

use std::fmt::Write;

use procfs::ProcResult;
use procfs::process::{LimitValue, Process};

use super::{Metric, table};

/// Appends the metrics of this process to `out`.
pub(super) fn write(out: &mut String) {
    let Ok(process) = Process::myself() else {
        return;
    };
    // Each file that cannot be read costs the families that come from it, and no others.
    let _ = write_stat(out, &process);
    let _ = write_descriptors(out, &process);
    let _ = write_limits(out, &process);
}

fn write_stat(out: &mut String, process: &Process) -> ProcResult<()> {
    let stat = process.stat()?;
    let ticks = procfs::ticks_per_second() as f64;
    sample(
        out,
        &table::PROCESS_CPU_SECONDS_TOTAL,
        (stat.utime + stat.stime) as f64 / ticks,
    );
    sample(out, &table::PROCESS_VIRTUAL_MEMORY_BYTES, stat.vsize as f64);
    sample(
        out,
        &table::PROCESS_RESIDENT_MEMORY_BYTES,
        (stat.rss * procfs::page_size()) as f64,
    );
    sample(out, &table::PROCESS_THREADS, stat.num_threads as f64);
    let since_boot = stat.starttime as f64 / ticks;
    sample(
        out,
        &table::PROCESS_START_TIME_SECONDS,
        procfs::boot_time_secs()? as f64 + since_boot,
    );
    Ok(())
}

fn write_descriptors(out: &mut String, process: &Process) -> ProcResult<()> {
    sample(out, &table::PROCESS_OPEN_FDS, process.fd_count()? as f64);
    Ok(())
}

fn write_limits(out: &mut String, process: &Process) -> ProcResult<()> {
    let limits = process.limits()?;
    sample(
        out,
        &table::PROCESS_MAX_FDS,
        limit(limits.max_open_files.soft_limit),
    );
    sample(
        out,
        &table::PROCESS_VIRTUAL_MEMORY_MAX_BYTES,
        limit(limits.max_address_space.soft_limit),
    );
    Ok(())
}

/// No limit is written as the kernel counts it: the largest number there is.
fn limit(value: LimitValue) -> f64 {
    match value {
        LimitValue::Unlimited => u64::MAX as f64,
        LimitValue::Value(value) => value as f64,
    }
}

fn sample(out: &mut String, metric: &Metric, value: f64) {
    writeln!(out, "{}{} {value}", metric.header(), metric.name).expect("a String takes everything");
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
        assert!(value(&table::PROCESS_CPU_SECONDS_TOTAL) < 1e6);
        assert!(value(&table::PROCESS_RESIDENT_MEMORY_BYTES) > 1e5);
        assert!(
            value(&table::PROCESS_VIRTUAL_MEMORY_BYTES)
                >= value(&table::PROCESS_RESIDENT_MEMORY_BYTES)
        );
        assert!(
            value(&table::PROCESS_VIRTUAL_MEMORY_MAX_BYTES)
                >= value(&table::PROCESS_VIRTUAL_MEMORY_BYTES)
        );
        assert!(value(&table::PROCESS_OPEN_FDS) >= 1.0);
        assert!(value(&table::PROCESS_MAX_FDS) >= value(&table::PROCESS_OPEN_FDS));
        assert!(value(&table::PROCESS_START_TIME_SECONDS) > 1.6e9);
        assert!(value(&table::PROCESS_THREADS) >= 1.0);
    }
}
