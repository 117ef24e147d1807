//! Who is asked for each instance, and which of them outlive a change of the configuration: those
//! about which nothing has changed, with their connections and their credentials.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use reqwest::Url;

use super::Failure;
use super::exporter::World;
use crate::aliyun::credentials::Provider;
use crate::aliyun::{self, Client, ClientOptions};
use crate::config::{self, Address, Config, Instance, Signature};
use crate::net;
use crate::presence::{InstanceId, PresenceSource};

/// How long making a connection may take, as a part of the time that a call may take.
const CONNECT_PART: u32 = 2;

/// What decides how requests travel.
#[derive(Clone, Debug, PartialEq)]
struct Transport {
    endpoint: Url,
    /// The file of CA certificates, and what was in it.
    ca: Option<(PathBuf, Option<Vec<u8>>)>,
    connect_timeout: Duration,
}

/// What decides how an instance is asked.
#[derive(Clone, Debug, PartialEq)]
struct Recipe {
    instance: InstanceId,
    transport: Transport,
    credentials: config::Provider,
    signature: Signature,
    call_timeout: Duration,
}

/// The sources of all instances, each with what it was made of.
#[derive(Clone, Debug, Default)]
pub(super) struct Sources {
    transports: Vec<(Transport, reqwest::Client)>,
    providers: Vec<(config::Provider, Arc<Provider>)>,
    clients: Vec<(Recipe, Arc<Client>)>,
}

impl Sources {
    /// The sources for `config`; those that would be made of the same are these ones.
    pub(super) fn next(&self, config: &Config, world: &World) -> Result<Self, Failure> {
        let mut next = Self::default();
        for instance in &config.instances {
            let recipe = recipe(config, instance)?;
            let http =
                kept(&self.transports, &mut next.transports, &recipe.transport, || transport(&recipe.transport))?;
            let credentials = kept(&self.providers, &mut next.providers, &recipe.credentials, || {
                Ok(Arc::new(Provider::new(&recipe.credentials, &world.env)))
            })?;
            kept(&self.clients, &mut next.clients, &recipe, || {
                let options = ClientOptions {
                    instance: recipe.instance.clone(),
                    endpoint: recipe.transport.endpoint.clone(),
                    signature: recipe.signature,
                    call_timeout: recipe.call_timeout,
                };
                Ok(Arc::new(Client::new(http, credentials, world.clock, options)))
            })?;
        }
        Ok(next)
    }

    /// The source of each instance, in the order of the configuration.
    pub(super) fn iter(&self) -> impl Iterator<Item = Arc<dyn PresenceSource>> {
        self.clients.iter().map(|(_, client)| Arc::clone(client) as Arc<dyn PresenceSource>)
    }
}

/// What was made of `key` this time or `before`, or else what is made now; it is kept in `now`.
fn kept<K: PartialEq + Clone, V: Clone>(
    before: &[(K, V)],
    now: &mut Vec<(K, V)>,
    key: &K,
    make: impl FnOnce() -> Result<V, Failure>,
) -> Result<V, Failure> {
    let same = |entries: &[(K, V)]| entries.iter().find(|(other, _)| other == key).map(|(_, value)| value.clone());
    if let Some(value) = same(now) {
        return Ok(value);
    }
    let value = same(before).map_or_else(make, Ok)?;
    now.push((key.clone(), value.clone()));
    Ok(value)
}

fn recipe(config: &Config, instance: &Instance) -> Result<Recipe, Failure> {
    let endpoint = match &instance.address {
        Address::Endpoint { url, .. } => url.clone(),
        Address::Region(region) => aliyun::endpoint(region, config.api.network)
            .map_err(|error| Failure::Usage(format!("instance {}: {error}", instance.id)))?,
    };
    // That it cannot be read is found when it is used.
    let ca = config.api.ca_file.as_ref().filter(|_| endpoint.scheme() == "https");
    let ca = ca.map(|file| (file.clone(), std::fs::read(file).ok()));
    Ok(Recipe {
        instance: instance.id.clone(),
        transport: Transport { endpoint, ca, connect_timeout: config.collect.call_timeout / CONNECT_PART },
        credentials: instance.credentials.provider.clone(),
        signature: config.api.signature,
        call_timeout: config.collect.call_timeout,
    })
}

fn transport(Transport { endpoint, ca, connect_timeout }: &Transport) -> Result<reqwest::Client, Failure> {
    let ca_file = ca.as_ref().map(|(file, _)| &**file);
    net::client::client([endpoint], ca_file, *connect_timeout)
        .map_err(|error| Failure::Usage(format!("cannot set up HTTPS: {error}")))
}
