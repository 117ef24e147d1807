//! Prometheus exporter for device presence on ApsaraMQ for MQTT (Alibaba Cloud).
//!
//! The modules form rows. Each uses only modules of rows below its own, never of its own row; a test
//! that parses the code checks this (`tests/it/code/rows.rs`):
//!
//! | row | module | what is in it |
//! | --- | --- | --- |
//! | 7 | `main`, [`cli`] | commands, one call into [`app`], exit codes |
//! | 6 | [`app`] | the commands and their flags |
//! | 5 | [`web`] | the HTTP edge |
//! | 4 | [`sweep`], [`planner`], [`discovery`], [`exposition`], [`simulator`] | querying a fleet; the arithmetic of a configuration; the sources of client IDs; a snapshot to text; the simulator of the API |
//! | 3 | [`aliyun`] | everything specific to Alibaba Cloud |
//! | 2 | [`config`] | file to validated values |
//! | 1 | [`presence`], [`limits`], [`net`] | IDs, fleets, observations, state; the limits; accept loop and HTTP client |
//! | 0 | [`clock`], [`random`], [`secret`], [`telemetry`] | wall time; random numbers; secrets as types; logging and metrics |
//!
//! Data flows one way: configuration and discovery make a fleet, sweeps turn it into
//! observations, the state publishes them, the exposition renders snapshots. Nothing flows back.

pub mod aliyun;
pub mod app;
pub mod cli;
pub mod clock;
pub mod config;
pub mod discovery;
pub mod exposition;
pub mod limits;
pub mod net;
pub mod planner;
pub mod presence;
pub mod random;
pub mod secret;
pub mod simulator;
pub mod sweep;
pub mod telemetry;
pub mod web;
