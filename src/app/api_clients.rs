//! The API client of each instance. A client whose settings a new configuration keeps stays in use,
//! with its connections and credentials.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use reqwest::Url;

use super::CommandError;
use super::credentials::Providers;
use crate::aliyun::credentials::{CredentialProvider, ProviderDeps};
use crate::aliyun::{self, ApiClient, ApiClientOptions};
use crate::clock::Clock;
use crate::config::{Address, Config, Instance};
use crate::net;
use crate::presence::PresenceSource;

/// The connect timeout is this fraction of the call timeout.
const CONNECT_PART: u32 = 2;

/// The settings of an HTTP client.
#[derive(Clone, Debug, PartialEq)]
struct Route {
    endpoint: Url,
    /// The file of CA certificates, and its content.
    ca: Option<(PathBuf, Option<Vec<u8>>)>,
    connect_timeout: Duration,
}

/// The HTTP client of each instance, in the order of the configuration. Instances with the same route
/// share one.
#[derive(Clone, Debug, Default)]
pub(super) struct Transports(Vec<(Route, reqwest::Client)>);

impl Transports {
    /// The HTTP clients for `config`; those whose route is the same are reused.
    pub(super) fn next(&self, config: &Config) -> Result<Self, CommandError> {
        let mut next = Self::default();
        for instance in &config.instances {
            let route = route(config, instance)?;
            let made = next
                .0
                .iter()
                .chain(&self.0)
                .find(|(other, _)| *other == route);
            let http = match made {
                Some((_, http)) => http.clone(),
                None => connect(&route)?,
            };
            next.0.push((route, http));
        }
        Ok(next)
    }
}

fn route(config: &Config, instance: &Instance) -> Result<Route, CommandError> {
    let endpoint = match &instance.address {
        Address::Endpoint { url, .. } => url.clone(),
        Address::Region { region } => aliyun::endpoint(region, config.api.network)
            .map_err(|error| CommandError::Usage(format!("instance {}: {error}", instance.id)))?,
    };
    // A file that cannot be read is reported when it is used.
    let ca = config
        .api
        .ca_file
        .as_ref()
        .filter(|_| endpoint.scheme() == "https");
    let ca = ca.map(|file| (file.clone(), std::fs::read(file).ok()));
    Ok(Route {
        endpoint,
        ca,
        connect_timeout: config.collect.call_timeout / CONNECT_PART,
    })
}

fn connect(
    Route {
        endpoint,
        ca,
        connect_timeout,
    }: &Route,
) -> Result<reqwest::Client, CommandError> {
    let ca_file = ca.as_ref().map(|(file, _)| &**file);
    net::client::client([endpoint], ca_file, *connect_timeout)
        .map_err(|error| CommandError::Usage(format!("cannot set up HTTPS: {error}")))
}

/// The settings of an API client, besides its credentials.
#[derive(Debug, PartialEq)]
struct ClientKey {
    route: Route,
    options: ApiClientOptions,
}

/// The API clients of all instances, in the order of the configuration.
#[derive(Debug)]
pub(super) struct ApiClients {
    clock: Clock,
    transports: Transports,
    providers: Providers,
    clients: Vec<(ClientKey, Arc<CredentialProvider>, Arc<ApiClient>)>,
}

impl ApiClients {
    /// No API clients.
    pub(super) fn new(deps: ProviderDeps) -> Self {
        Self {
            clock: deps.clock,
            transports: Transports::default(),
            providers: Providers::new(deps),
            clients: Vec::new(),
        }
    }

    /// The HTTP clients in use.
    pub(super) fn transports(&self) -> &Transports {
        &self.transports
    }

    /// Replaces the clients by those of `config`, for which `transports` were made.
    pub(super) fn set(&mut self, config: &Config, transports: Transports) {
        let before = std::mem::take(&mut self.clients);
        let instances = config.instances.iter().zip(self.providers.set(config));
        for ((instance, credentials), (route, http)) in instances.zip(&transports.0) {
            let key = ClientKey {
                route: route.clone(),
                options: ApiClientOptions {
                    instance: instance.id.clone(),
                    endpoint: route.endpoint.clone(),
                    signature: config.api.signature,
                    call_timeout: config.collect.call_timeout,
                },
            };
            let mut before = before.iter();
            let same = before
                .find(|(other, provider, _)| *other == key && Arc::ptr_eq(provider, &credentials));
            let client = same.map_or_else(
                || {
                    let (http, options) = (http.clone(), key.options.clone());
                    Arc::new(ApiClient::new(
                        http,
                        Arc::clone(&credentials),
                        self.clock,
                        options,
                    ))
                },
                |(_, _, client)| Arc::clone(client),
            );
            self.clients.push((key, credentials, client));
        }
        self.transports = transports;
    }

    /// The clients as sources of presence, in the order of the configuration.
    pub(super) fn iter(&self) -> impl Iterator<Item = Arc<dyn PresenceSource>> {
        let clients = self.clients.iter();
        clients.map(|(_, _, client)| Arc::clone(client) as Arc<dyn PresenceSource>)
    }
}
