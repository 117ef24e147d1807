//! What a client of the stand-in has to be told.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::fleet::SimulatedFleet;
use crate::secret::Secret;

/// The region that the stand-in says it is in: a real one, so that nobody warns about it.
const REGION: &str = "cn-hangzhou";

/// Where the stand-in is, how to sign for it, and whom to ask for.
///
/// `simulate` prints it as one line of JSON when it is ready. JSON is YAML, so that a
/// configuration of the exporter is made of that line by a few lines of, say, Python:
///
/// ```python
/// a = json.loads(line)
/// credentials = {"type": "access_key", **{k: a[k] for k in ("access_key_id", "access_key_secret")}}
/// instances = [{"id": i, "region": a["region"], "endpoint": a["endpoint"], "clients": a["clients"][i]}
///              for i in a["instance_ids"]]
/// json.dump({"credentials": credentials, "instances": instances}, open("config.yaml", "w"))
/// ```
///
/// The access key is no secret: it is made of the seed and opens nothing but the stand-in.
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
    /// By instance, the IDs of its clients.
    pub clients: BTreeMap<String, Vec<String>>,
}

impl Announcement {
    pub(super) fn new(
        endpoint: &str,
        access_key_id: &str,
        access_key_secret: &Secret,
        fleet: &SimulatedFleet,
    ) -> Self {
        let clients = fleet.instances().iter().map(|(instance, clients)| {
            (
                instance.to_string(),
                clients.iter().map(ToString::to_string).collect::<Vec<_>>(),
            )
        });
        Self {
            endpoint: endpoint.to_owned(),
            region: REGION.to_owned(),
            access_key_id: access_key_id.to_owned(),
            access_key_secret: access_key_secret.expose().to_owned(),
            instance_ids: fleet
                .instances()
                .iter()
                .map(|(instance, _)| instance.to_string())
                .collect(),
            clients: clients.collect(),
        }
    }
}
