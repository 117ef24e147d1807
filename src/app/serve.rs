//! `serve`: the exporter, from a configuration file to the end of the process.

use std::path::PathBuf;

use tokio_util::sync::CancellationToken;

use super::exporter::{Exporter, World};
use super::{Failure, listen};
use crate::config::{Config, Problem};
use crate::discovery;
use crate::presence::Fleet;
use crate::web;

/// What the flags of `serve` say.
#[derive(Clone, Debug, PartialEq)]
pub struct ServeOptions {
    /// The configuration file.
    pub config_file: PathBuf,
    /// Addresses to listen at.
    pub listen_addresses: Vec<String>,
    /// The HTTP edge; what the configuration file says about it is filled in.
    pub web: web::Options,
}

/// Serves until `shutdown`.
pub async fn serve(options: ServeOptions, world: World, shutdown: CancellationToken) -> Result<(), Failure> {
    let loaded = Config::load(&options.config_file).map_err(|problems| Failure::Usage(problems.to_string()))?;
    let discovered = discovery::fleets(&loaded.config).map_err(|problems| Failure::Usage(problems.to_string()))?;
    loaded.warnings.iter().chain(&discovered.warnings).for_each(warn);
    let instances = discovered.fleets.len();
    let clients: usize = discovered.fleets.iter().map(Fleet::len).sum();
    discovered.fleets.iter().for_each(warn_of_folded_groups);
    let exporter = Exporter::new(loaded.config, discovered, &world)?;
    let listeners = listen(&options.listen_addresses).await?;
    for listener in &listeners {
        let address = listener.local_addr().map_or_else(|error| error.to_string(), |address| address.to_string());
        tracing::info!(address, path = options.web.telemetry_path, instances, clients, "listening");
    }
    exporter.run(options.web, listeners, shutdown).await?;
    tracing::info!("stopped");
    Ok(())
}

fn warn(problem: &Problem) {
    tracing::warn!("{problem}");
}

fn warn_of_folded_groups(fleet: &Fleet) {
    let folded = fleet.folded_groups();
    if folded > 0 {
        let kept = crate::presence::MAX_GROUPS;
        tracing::warn!(instance_id = %fleet.instance(), folded, "more than {kept} groups; the devices of the rest count to the empty group_id");
    }
}
