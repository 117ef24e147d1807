//! The API client of each instance. Clients with unchanged settings stay in use, with their
//! connections and credentials.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use reqwest::Url;

use super::credentials::Providers;
use super::error::CommandError;
use crate::aliyun::credentials::{CredentialProvider, ProviderDeps};
use crate::aliyun::{self, ApiClient, ApiClientOptions};
use crate::clock::Clock;
use crate::config::{Address, Config, Instance, Signature};
use crate::net;
use crate::presence::{InstanceId, PresenceSource};

/// The connect timeout is this fraction of the call timeout.
const CONNECT_PART: u32 = 2;

/// The settings of a connection to the API.
#[derive(Clone, Debug, PartialEq)]
struct Route {
    endpoint: Url,
    /// The file of CA certificates, and its content.
    ca: Option<(PathBuf, Option<Vec<u8>>)>,
    signature: Signature,
    call_timeout: Duration,
}

impl Route {
    fn new(config: &Config, instance: &Instance) -> Result<Self, CommandError> {
        let endpoint = match &instance.address {
            Address::Endpoint { url, .. } => url.clone(),
            Address::Region { region } => {
                aliyun::endpoint(region, config.api.network).map_err(|error| {
                    CommandError::Usage(format!("instance {}: {error}", instance.id))
                })?
            }
        };
        let ca_file = config.api.ca_file.as_ref();
        let ca_file = ca_file.filter(|_| endpoint.scheme() == "https");
        Ok(Self {
            endpoint,
            // A file that cannot be read is reported when it is used.
            ca: ca_file.map(|file| (file.clone(), std::fs::read(file).ok())),
            signature: config.api.signature,
            call_timeout: config.collect.call_timeout,
        })
    }

    fn connect(&self) -> Result<reqwest::Client, CommandError> {
        let ca_file = self.ca.as_ref().map(|(file, _)| &**file);
        net::client::client([&self.endpoint], ca_file, self.call_timeout / CONNECT_PART)
            .map_err(|error| CommandError::Usage(format!("cannot set up HTTPS: {error}")))
    }
}

/// The HTTP client of an instance.
#[derive(Clone, Debug)]
pub(super) struct Transport {
    route: Route,
    http: reqwest::Client,
}

/// The HTTP clients for `config`, in the order of its instances. Instances with the same route share
/// one, and one of `before` is reused if its route is the same.
pub(super) fn transports(
    config: &Config,
    before: &[Transport],
) -> Result<Vec<Transport>, CommandError> {
    let mut transports: Vec<Transport> = Vec::with_capacity(config.instances.len());
    for instance in &config.instances {
        let route = Route::new(config, instance)?;
        let mut known = transports.iter().chain(before);
        let http = match known.find(|known| known.route == route) {
            Some(known) => known.http.clone(),
            None => route.connect()?,
        };
        transports.push(Transport { route, http });
    }
    Ok(transports)
}

/// The API client of an instance, and its settings.
#[derive(Debug)]
struct Entry {
    instance: InstanceId,
    transport: Transport,
    credentials: Arc<CredentialProvider>,
    client: Arc<ApiClient>,
}

/// The API clients of all instances, in the order of the configuration.
#[derive(Debug)]
pub(super) struct ApiClients {
    clock: Clock,
    providers: Providers,
    entries: Vec<Entry>,
}

impl ApiClients {
    /// No API clients.
    pub(super) fn new(deps: ProviderDeps) -> Self {
        Self {
            clock: deps.clock,
            providers: Providers::new(deps),
            entries: Vec::new(),
        }
    }

    /// The HTTP clients in use.
    pub(super) fn transports(&self) -> Vec<Transport> {
        let entries = self.entries.iter();
        entries.map(|entry| entry.transport.clone()).collect()
    }

    /// Replaces the clients by those of `config`, for which `transports` were made.
    pub(super) fn set(&mut self, config: &Config, transports: Vec<Transport>) {
        let before = std::mem::take(&mut self.entries);
        let instances = config.instances.iter().zip(self.providers.set(config));
        for ((instance, credentials), transport) in instances.zip(transports) {
            let Transport { route, http } = &transport;
            let same = before.iter().find(|old| {
                old.instance == instance.id
                    && old.transport.route == *route
                    && Arc::ptr_eq(&old.credentials, &credentials)
            });
            let client = same.map(|old| Arc::clone(&old.client));
            let client = client.unwrap_or_else(|| {
                let options = ApiClientOptions {
                    instance: instance.id.clone(),
                    endpoint: route.endpoint.clone(),
                    signature: route.signature,
                    call_timeout: route.call_timeout,
                };
                let credentials = Arc::clone(&credentials);
                Arc::new(ApiClient::new(
                    http.clone(),
                    credentials,
                    self.clock,
                    options,
                ))
            });
            self.entries.push(Entry {
                instance: instance.id.clone(),
                transport,
                credentials,
                client,
            });
        }
    }

    /// The scheme, host and port of each client, in the same order.
    pub(super) fn places(&self) -> impl Iterator<Item = String> {
        let entries = self.entries.iter();
        entries.map(|entry| {
            entry
                .transport
                .route
                .endpoint
                .origin()
                .ascii_serialization()
        })
    }

    /// The clients as sources of presence, in the order of the configuration.
    pub(super) fn iter(&self) -> impl Iterator<Item = Arc<dyn PresenceSource>> {
        let entries = self.entries.iter();
        entries.map(|entry| Arc::clone(&entry.client) as Arc<dyn PresenceSource>)
    }
}
