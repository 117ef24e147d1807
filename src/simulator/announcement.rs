//! What a client of the simulator must know.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::fleet::SimulatedFleet;
use super::keys::SimulatedKey;
use crate::presence::ClientId;

/// The region of the simulator: a real one, so that it causes no warning.
const REGION: &str = "cn-hangzhou";

/// The address, access key, instances and clients of the simulator.
///
/// `simulate` prints it as one line of JSON when it is ready. JSON is YAML, so a few lines of Python
/// make a configuration of the exporter from it:
///
/// ```python
/// a = json.loads(line)
/// credentials = {"type": "access_key", **{k: a[k] for k in ("access_key_id", "access_key_secret")}}
/// instances = [{"id": i, "region": a["region"], "endpoint": a["endpoint"], "clients": a["clients"][i]}
///              for i in a["instance_ids"]]
/// json.dump({"credentials": credentials, "instances": instances}, open("config.yaml", "w"))
/// ```
///
/// The access key is not secret: it depends on the seed only, and is valid for the simulator only.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Announcement {
    /// The URL of the API.
    pub endpoint: String,
    /// The region to configure.
    pub region: String,
    /// The access key ID.
    pub access_key_id: String,
    /// The access key secret.
    pub access_key_secret: String,
    /// The instances.
    pub instance_ids: Vec<String>,
    /// The client IDs of each instance.
    pub clients: BTreeMap<String, Vec<String>>,
}

impl Announcement {
    pub(super) fn new(endpoint: &str, key: &SimulatedKey, fleet: &SimulatedFleet) -> Self {
        let strings = |clients: &[ClientId]| clients.iter().map(ToString::to_string).collect();
        let instances = fleet.instances().iter();
        Self {
            endpoint: endpoint.to_owned(),
            region: REGION.to_owned(),
            access_key_id: key.id.clone(),
            access_key_secret: key.secret.expose().to_owned(),
            instance_ids: instances.clone().map(|(id, _)| id.to_string()).collect(),
            clients: instances
                .map(|(id, clients)| (id.to_string(), strings(clients)))
                .collect(),
        }
    }
}
