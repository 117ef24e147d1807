//! The commands and their flags. The commands connect the other rooms, and contain no logic that
//! belongs to one of them.

mod api_clients;
mod check_config;
mod checked_config;
mod client_sources;
mod credentials;
mod demo;
mod error;
mod exporter;
mod query;
mod reloader;
mod runtime;
mod serve;
mod shard;
mod simulate;

pub use check_config::{CheckArgs, check_config, check_files};
pub use demo::{DemoArgs, demo};
pub use error::CommandError;
pub use exporter::Exporter;
pub use query::{Output, QueryArgs, query, read_ids};
pub use runtime::Environment;
pub use serve::{ServeArgs, serve};
pub use shard::ShardArgs;
pub use simulate::{SimulateArgs, simulate};
