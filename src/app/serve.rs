//! `serve`: runs the exporter with a configuration file.

use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::exporter::Exporter;
use super::runtime::Environment;
use super::{CommandError, listen};
use crate::aliyun::RULES;
use crate::config::Config;
use crate::net;
use crate::web::{self, ActiveWebConfig};

/// The flags of `serve`.
#[derive(Clone, Debug, PartialEq)]
pub struct ServeConfig {
    /// The configuration file.
    pub config_file: PathBuf,
    /// Listen addresses.
    pub listen_addresses: Vec<String>,
    /// Use sockets passed by the service manager instead of the listen addresses.
    pub systemd_socket: bool,
    /// The web configuration file: TLS and authentication.
    pub web_config_file: Option<PathBuf>,
    /// The flags of the HTTP edge.
    pub web: web::WebOptions,
}

/// Serves until `shutdown`; reloads the configuration file whenever `hangup` is notified.
pub async fn serve(
    options: ServeConfig,
    environment: Environment,
    hangup: Arc<Notify>,
    shutdown: CancellationToken,
) -> Result<(), CommandError> {
    let handed_over = options
        .systemd_socket
        .then(net::handed_over)
        .transpose()
        .map_err(anyhow::Error::from)?;
    let mut edge = None;
    if let Some(file) = &options.web_config_file {
        let (loaded, warnings) = ActiveWebConfig::load(file, environment.clock)?;
        for warning in warnings {
            tracing::warn!("{warning}");
        }
        edge = Some(loaded);
    }
    let loaded = Config::load(&options.config_file, &RULES)?;
    let exporter = Exporter::new(loaded, environment)
        .await?
        .reloading(options.config_file, hangup)
        .behind(edge.clone());
    let (instances, clients) = (exporter.clients().len(), exporter.clients().sum::<usize>());
    let listeners = match handed_over {
        Some(listeners) => listeners,
        None => listen(&options.listen_addresses).await?,
    };
    let tls = edge.is_some_and(|edge| edge.tls().is_some());
    for listener in &listeners {
        let address = listener
            .local_addr()
            .map_or_else(|error| error.to_string(), |address| address.to_string());
        tracing::info!(
            address,
            tls,
            path = options.web.telemetry_path,
            instances,
            clients,
            "listening"
        );
    }
    exporter.run(options.web, listeners, shutdown).await?;
    tracing::info!("stopped");
    Ok(())
}
