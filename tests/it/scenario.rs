//! The exporter in front of the simulator: what a user relies on, from scrape to scrape.

mod faults;
mod limits;
mod refusals;
