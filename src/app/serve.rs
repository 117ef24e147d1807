//! `serve`: runs the exporter with a configuration file.

use std::path::PathBuf;
use std::sync::Arc;

use clap::builder::{OsStringValueParser, TypedValueParser as _};
use futures_util::future::try_join_all;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::error::CommandError;
use super::exporter::Exporter;
use super::runtime::Environment;
use super::shard::ShardArgs;
use crate::aliyun::RULES;
use crate::config::Config;
use crate::net;
use crate::web::{ActiveWebConfig, WebOptions};

/// The flags of `serve`.
#[derive(Clone, Debug, clap::Args)]
pub struct ServeArgs {
    /// Configuration file.
    #[arg(
        long = "config.file",
        value_name = "FILE",
        default_value = "config.yaml"
    )]
    pub config_file: PathBuf,
    /// Listen address; repeatable.
    #[arg(
        long = "web.listen-address",
        value_name = "ADDRESS",
        default_value = ":10120"
    )]
    pub listen_addresses: Vec<String>,
    /// Listen on the sockets that systemd passes (socket activation), not on --web.listen-address.
    #[arg(long = "web.systemd-socket")]
    pub systemd_socket: bool,
    /// Web configuration file: TLS and authentication, in the format of Prometheus exporter-toolkit.
    // An empty value, which a path cannot be, means no file.
    #[arg(
        long = "web.config.file",
        value_name = "FILE",
        value_parser = OsStringValueParser::new().map(PathBuf::from)
    )]
    pub web_config_file: Option<PathBuf>,
    /// The flags of the HTTP server.
    #[command(flatten)]
    pub web: WebOptions,
    /// The shard of this process.
    #[command(flatten)]
    pub shard: ShardArgs,
}

/// Serves until `shutdown`; reloads the configuration file whenever `hangup` is notified.
pub async fn serve(
    args: ServeArgs,
    mut environment: Environment,
    hangup: Arc<Notify>,
    shutdown: CancellationToken,
) -> Result<(), CommandError> {
    environment.shard = args.shard.shard(&environment.env)?;
    let web_config_file = args.web_config_file.as_ref();
    let mut web_config = None;
    if let Some(file) = web_config_file.filter(|file| !file.as_os_str().is_empty()) {
        let (loaded, warnings) = ActiveWebConfig::load(file, environment.clock.clone())?;
        for warning in warnings {
            tracing::warn!("{warning}");
        }
        web_config = Some(loaded);
    }
    let loaded = Config::load(&args.config_file, &RULES)?;
    let exporter = Exporter::new(loaded, environment)
        .await?
        .reloading(args.config_file, hangup);
    let (instances, clients) = (exporter.clients().len(), exporter.clients().sum::<usize>());
    let listeners = if args.systemd_socket {
        net::handed_over()?
    } else {
        try_join_all(args.listen_addresses.iter().map(|it| net::listen(it))).await?
    };
    let tls = web_config
        .as_ref()
        .is_some_and(|web_config| web_config.tls().is_some());
    for listener in &listeners {
        let address = listener
            .local_addr()
            .map_or_else(|error| error.to_string(), |address| address.to_string());
        tracing::info!(
            address,
            tls,
            path = args.web.telemetry_path,
            instances,
            clients,
            "listening"
        );
    }
    exporter
        .run(args.web, web_config, listeners, shutdown)
        .await?;
    tracing::info!("stopped");
    Ok(())
}
