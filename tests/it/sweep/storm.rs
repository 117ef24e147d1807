//! Random storms: all faults at once, in paused time. Each seed is another fleet, another
//! configuration and another script of faults, reloads, probes and scrapes.
//!
//! `STORM_SEEDS=COUNT` or `STORM_SEEDS=FROM..TO` selects the seeds, for long runs and to repeat one
//! that failed.

mod api;
mod dice;
mod plan;
mod real;
mod run;
mod stage;
mod witness;

use std::any::Any;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use api::FakeApi;
use plan::Plan;
use real::RealApi;

/// The seeds to run.
fn seeds(count: u64) -> Range<u64> {
    #[expect(
        clippy::disallowed_methods,
        reason = "the only parameter of a test that a person runs by hand"
    )]
    let Ok(wanted) = std::env::var("STORM_SEEDS") else {
        return 0..count;
    };
    let number = |text: &str| text.parse().expect("STORM_SEEDS is COUNT or FROM..TO");
    match wanted.split_once("..") {
        Some((from, to)) => number(from)..number(to),
        None => 0..number(&wanted),
    }
}

fn message(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("a panic without a message")
}

/// Runs `storm` for each seed, in as many threads as there are processors.
fn each_seed(name: &str, seeds: Range<u64>, storm: impl Fn(u64) + Sync) {
    let next = AtomicU64::new(seeds.start);
    let failed = Mutex::new(Vec::new());
    let work = || {
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            let many = failed.lock().expect("no panic").len() >= 5;
            if seed >= seeds.end || many {
                return;
            }
            if let Err(panic) = catch_unwind(AssertUnwindSafe(|| storm(seed))) {
                let text = format!(
                    "seed {seed}: {}\n  repeat: STORM_SEEDS={seed}..{} cargo test --test it -- sweep::storm::{name}",
                    message(&*panic),
                    seed + 1
                );
                failed.lock().expect("no panic").push(text);
            }
        }
    };
    let threads = std::thread::available_parallelism().map_or(2, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(work);
        }
    });
    let failed = failed.into_inner().expect("no panic");
    assert!(failed.is_empty(), "\n{}", failed.join("\n"));
}

fn paused() -> tokio::runtime::Runtime {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    runtime
        .enable_all()
        .start_paused(true)
        .build()
        .expect("a runtime")
}

#[test]
fn no_storm_makes_a_status_wrong_or_the_exporter_blind() {
    each_seed(
        "no_storm_makes_a_status_wrong_or_the_exporter_blind",
        seeds(300),
        |seed| {
            let plan = Plan::new(seed);
            paused().block_on(async { run::storm(&plan, FakeApi::new(&plan)).await });
        },
    );
}

#[test]
fn nor_through_http() {
    each_seed("nor_through_http", seeds(8), |seed| {
        let plan = Plan::short(seed);
        paused().block_on(async { run::storm(&plan, RealApi::new(&plan).await).await });
    });
}
