//! The commands of the binary: words, exit codes, logs.

mod binary;
mod check_config;
mod completions;
mod leaks;
mod query;
