//! A configuration that was checked together with its client files.

use crate::config::{Config, Loaded, Problem, Problems};
use crate::discovery::{self, Discovered, SourceCache};
use crate::planner::Plan;
use crate::presence::{Fleet, Shard};
use crate::secret;

/// A valid configuration with its clients and limits.
pub(super) struct CheckedConfig {
    pub(super) config: Config,
    pub(super) discovered: Discovered,
    pub(super) plan: Plan,
    pub(super) warnings: Vec<Problem>,
}

impl CheckedConfig {
    /// Reads the client files of the `loaded` configuration. The content of client URLs is as in
    /// `texts`.
    pub(super) fn new(loaded: Loaded, texts: &SourceCache, shard: Shard) -> Result<Self, Problems> {
        let Loaded {
            config,
            mut warnings,
        } = loaded;
        let mut discovered = discovery::read(&config, shard, texts)?;
        warnings.append(&mut discovered.warnings);
        for file in config.secret_files() {
            let exposure = secret::exposure(file);
            warnings.extend(exposure.map(|message| Problem::of_file(&file.into(), message)));
        }
        Ok(Self {
            plan: plan(&config, shard, &discovered)?,
            config,
            discovered,
            warnings,
        })
    }
}

/// The plan of `config` for the clients that were `discovered`.
pub(super) fn plan(
    config: &Config,
    shard: Shard,
    discovered: &Discovered,
) -> Result<Plan, Problems> {
    let clients: Vec<_> = discovered.fleets.iter().map(Fleet::len).collect();
    Plan::new(config, shard, &clients)
}
