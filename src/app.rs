//! The commands: they connect the other rooms, and contain no logic that belongs to one of them.

mod api_clients;
mod check_config;
mod client_sources;
mod credentials;
mod demo;
mod exporter;
mod query;
mod reloader;
mod runtime;
mod serve;
mod simulate;

pub use check_config::{check_config, check_web_config};
pub use demo::{DemoArgs, demo};
pub use exporter::Exporter;
pub use query::{Output, QueryArgs, query, read_ids};
pub use runtime::Environment;
pub use serve::{ServeConfig, serve};
pub use simulate::{SimulateArgs, simulate};

use tokio::net::TcpListener;

use crate::config::Problems;
use crate::net::{self, ListenError};

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// The command line or the configuration is invalid; the text contains the position and a fix.
    #[error("{0}")]
    Usage(String),
    /// The command failed at run time.
    #[error("{0:#}")]
    Runtime(#[from] anyhow::Error),
}

impl From<Problems> for CommandError {
    fn from(problems: Problems) -> Self {
        Self::Usage(problems.to_string())
    }
}

/// Listens at all `addresses`, or at none of them.
async fn listen(addresses: &[String]) -> Result<Vec<TcpListener>, CommandError> {
    let mut listeners = Vec::with_capacity(addresses.len());
    for address in addresses {
        listeners.push(net::listen(address).await.map_err(|error| match error {
            ListenError::Address { .. } => {
                CommandError::Usage(format!("--web.listen-address: {error}"))
            }
            error => CommandError::Runtime(error.into()),
        })?);
    }
    Ok(listeners)
}
