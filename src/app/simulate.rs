//! `simulate`: runs a simulator of the API.

use std::io::Write;
use std::num::NonZeroUsize;

use anyhow::Context as _;
use tokio_util::sync::CancellationToken;

use super::error::CommandError;
use crate::clock::Clock;
use crate::net;
use crate::simulator::{DurationSetting, Faults, SimulatedFleet, Simulator, SimulatorOptions};

/// The flags of `simulate`.
#[derive(Clone, Debug, clap::Args)]
pub struct SimulateArgs {
    /// Listen address; port 0 selects a free port.
    #[arg(
        long = "web.listen-address",
        value_name = "ADDRESS",
        default_value = "127.0.0.1:0"
    )]
    pub listen_address: String,
    /// Number of devices.
    #[arg(long, value_name = "N", default_value_t = 300)]
    pub clients: usize,
    /// Number of instances.
    #[arg(long, value_name = "N", default_value = "2")]
    pub instances: NonZeroUsize,
    /// Seed of the devices, the faults and the access key.
    #[arg(long, value_name = "S", default_value_t = 1)]
    pub seed: u64,
    /// Disable quotas: no throttling, no block.
    #[arg(long)]
    pub no_quotas: bool,
    /// Block duration of an address that makes more than 300 calls of an operation in a second.
    #[arg(long, value_name = "DURATION", default_value = "60s")]
    pub block_for: DurationSetting,
    /// Lifetime of temporary credentials, whatever lifetime is requested.
    #[arg(long, value_name = "DURATION")]
    pub credential_lifetime: Option<DurationSetting>,
    /// Injected faults.
    #[command(flatten)]
    pub faults: Faults,
}

/// Runs the simulator until `shutdown`. When it is ready, it writes one line of JSON to `out`: the
/// [announcement](crate::simulator::Announcement).
pub async fn simulate(
    args: SimulateArgs,
    clock: Clock,
    shutdown: CancellationToken,
    out: &mut (dyn Write + Send),
) -> Result<(), CommandError> {
    let listener = net::listen(&args.listen_address).await?;
    let options = SimulatorOptions {
        seed: args.seed,
        fleet: SimulatedFleet::generate(args.instances.get(), args.clients),
        quotas: !args.no_quotas,
        block_for: args.block_for.0,
        credential_lifetime: args.credential_lifetime.map(|lifetime| lifetime.0),
        faults: args.faults,
        ..SimulatorOptions::default()
    };
    let simulator = Simulator::start(options, listener, clock, shutdown)
        .context("cannot start the simulator")?;
    let line = serde_json::to_string(&simulator.announcement())
        .context("cannot write the announcement")?;
    writeln!(out, "{line}")?;
    out.flush()?;
    simulator.stopped().await;
    Ok(())
}
