//! The manual: its links lead somewhere, and what it names is there.

mod chinese;
mod command_line;
mod configuration;
mod contributing;
mod discovery;
mod metrics;
mod monitoring;
mod names;
mod page;
mod scaling;
