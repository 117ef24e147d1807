//! What changes while the exporter runs: client files, and the configuration as a whole.

mod files;
mod instances;
mod storm;

use mqtt_presence_exporter::simulator::Faults;

use crate::support::exposition::Scrape;
use crate::support::live::Stage;

/// Sweeps as often as there are scrapes.
const OFTEN: &str = "collect: {max_age: 1ms}";

const INFO: &str = "mqtt_presence_client_info";
const ONLINE: &str = "mqtt_presence_client_online";

async fn stage(instances: usize, clients: usize) -> Stage {
    Stage::new(instances, clients, Faults::default()).await
}

/// Whether all of these clients are known to be online.
fn online(scrape: &Scrape, clients: &[String]) -> bool {
    clients
        .iter()
        .all(|client| scrape.value(ONLINE, &[("client_id", client)]) == Some(1.0))
}

/// How many series speak of `client`.
fn series_of(scrape: &Scrape, client: &str) -> usize {
    let samples = scrape.families.iter().flat_map(|family| &family.samples);
    samples
        .filter(|sample| sample.label("client_id") == client)
        .count()
}

/// The lines about clients, without the times of observations.
fn devices(scrape: &Scrape) -> Vec<String> {
    let samples = scrape.families.iter().flat_map(|family| &family.samples);
    let devices = samples.filter(|sample| sample.name == INFO || sample.name == ONLINE);
    devices
        .map(|sample| format!("{} {:?} {}", sample.name, sample.labels, sample.value))
        .collect()
}
