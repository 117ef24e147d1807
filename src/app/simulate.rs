//! `simulate`: the stand-in of the vendor's API, as a server of its own.

use std::io::Write;
use std::num::NonZeroUsize;

use anyhow::Context as _;
use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::net;
use crate::simulator::{DurationSetting, Faults, SimulatedFleet, Simulator, SimulatorOptions};

/// The flags of `simulate`.
#[derive(Clone, Debug, clap::Args)]
pub struct SimulateArgs {
    /// Address to listen at; port 0 is a free one.
    #[arg(
        long = "web.listen-address",
        value_name = "ADDRESS",
        default_value = "127.0.0.1:0"
    )]
    pub listen_address: String,
    /// How many devices there are.
    #[arg(long, value_name = "N", default_value_t = 300)]
    pub clients: usize,
    /// How many instances they belong to.
    #[arg(long, value_name = "N", default_value = "2")]
    pub instances: NonZeroUsize,
    /// Decides the life of the devices, the faults and the access key.
    #[arg(long, value_name = "S", default_value_t = 1)]
    pub seed: u64,
    /// Answer however many calls arrive: no throttling, no block.
    #[arg(long)]
    pub no_quotas: bool,
    /// How long an address is blocked that makes more than 300 calls of an operation in a second.
    #[arg(long, value_name = "DURATION", default_value = "60s")]
    pub block_for: DurationSetting,
    /// How long temporary credentials live, whatever is asked for.
    #[arg(long, value_name = "DURATION")]
    pub credential_lifetime: Option<DurationSetting>,
    /// What goes wrong.
    #[command(flatten)]
    pub faults: Faults,
}

/// Serves the stand-in until `shutdown`. When it is ready, `out` gets one line of JSON: the
/// [announcement](crate::simulator::Announcement).
pub async fn simulate(
    args: SimulateArgs,
    clock: Clock,
    shutdown: CancellationToken,
    out: &mut (dyn Write + Send),
) -> anyhow::Result<()> {
    let listener = net::listen(&args.listen_address).await?;
    let options = SimulatorOptions {
        seed: args.seed,
        fleet: SimulatedFleet::generate(args.instances.get(), args.clients),
        quotas: !args.no_quotas,
        block_for: args.block_for.get(),
        credential_lifetime: args.credential_lifetime.map(DurationSetting::get),
        faults: args.faults,
        ..SimulatorOptions::default()
    };
    let simulator = Simulator::start(options, listener, clock, shutdown)
        .context("cannot start the simulator")?;
    let line = serde_json::to_string(&simulator.announcement())
        .context("cannot write the announcement")?;
    writeln!(out, "{line}")
        .and_then(|()| out.flush())
        .context("cannot write the announcement")?;
    simulator.stopped().await;
    Ok(())
}
