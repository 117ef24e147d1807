//! `demo`: simulator and exporter in one process.

use std::io::Write;
use std::path::Path;

use anyhow::Context as _;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::error::CommandError;
use super::exporter::Exporter;
use super::runtime::Environment;
use crate::aliyun::RULES;
use crate::config::Config;
use crate::net;
use crate::simulator::{Announcement, Simulator, SimulatorOptions};
use crate::web::WebOptions;

/// The flags of `demo`.
#[derive(Clone, Debug, clap::Args)]
pub struct DemoArgs {
    /// Listen address; port 0 selects a free port.
    #[arg(
        long = "web.listen-address",
        value_name = "ADDRESS",
        default_value = "127.0.0.1:10120"
    )]
    pub listen_address: String,
    /// Seed of the simulated devices.
    #[arg(long, value_name = "S", default_value_t = 1)]
    pub seed: u64,
}

/// Serves until `shutdown`, and prints the addresses to `out`.
pub async fn demo(
    args: DemoArgs,
    environment: Environment,
    shutdown: CancellationToken,
    out: &mut (dyn Write + Send),
) -> Result<(), CommandError> {
    let options = SimulatorOptions {
        seed: args.seed,
        ..SimulatorOptions::default()
    };
    let api = net::listen("127.0.0.1:0").await?;
    let stop = CancellationToken::new();
    let simulator = Simulator::start(options, api, environment.clock.clone(), stop.clone())
        .context("cannot start the simulator")?;
    let announcement = simulator.announcement();
    let text = configuration(&announcement);
    let loaded = Config::parse(&text, Path::new("demo.yaml"), &RULES)?;
    let exporter = Exporter::new(loaded, environment).await?;
    let listener = net::listen(&args.listen_address).await?;
    let address = listener.local_addr().context("no address to show")?;
    let clients: usize = announcement.clients.values().map(Vec::len).sum();
    let instances = announcement.instance_ids.len();
    write!(
        out,
        "Exporter with {clients} simulated devices on {instances} instances:\n\n\
         \x20   metrics   http://{address}/metrics\n\
         \x20   page      http://{address}/\n\n\
         Devices connect and disconnect: some flap, and sometimes all devices of a group disconnect.\n\
         No data leaves this machine. Press Ctrl-C to stop.\n"
    )?;
    out.flush()?;
    exporter
        .run(WebOptions::default(), None, vec![listener], shutdown)
        .await?;
    stop.cancel();
    simulator.stopped().await;
    Ok(())
}

/// A configuration file for the announced simulator. JSON is YAML.
fn configuration(announcement: &Announcement) -> String {
    let instances = announcement.clients.iter().map(
        |(id, clients)| json!({ "id": id, "endpoint": announcement.endpoint, "clients": clients }),
    );
    json!({
        "credentials": {
            "type": "access_key",
            "access_key_id": announcement.access_key_id,
            "access_key_secret": announcement.access_key_secret,
        },
        "instances": instances.collect::<Vec<_>>(),
    })
    .to_string()
}
