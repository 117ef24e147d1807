//! The exporter in front of the simulator: what a user relies on, from scrape to scrape.

mod batches;
mod budgets;
mod faults;
mod limits;
mod outages;
mod poll;
mod probes;
mod refusals;
mod shards;
mod stale_cache;
mod storm;
mod time;
mod waits;
