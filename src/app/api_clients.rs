//! Who is asked for each instance, and which of them outlive a change of the configuration: those
//! about which nothing has changed, with their connections and their credentials.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use reqwest::Url;

use super::CommandError;
use super::credentials::Providers;
use crate::aliyun::credentials::{CredentialProvider, ProviderDeps};
use crate::aliyun::{self, ApiClient, ApiClientOptions};
use crate::clock::Clock;
use crate::config::{Address, Config, Instance, Signature};
use crate::net;
use crate::presence::{InstanceId, PresenceSource};

/// How long making a connection may take, as a part of the time that a call may take.
const CONNECT_PART: u32 = 2;

/// What decides how requests travel.
#[derive(Clone, Debug, PartialEq)]
struct Route {
    endpoint: Url,
    /// The file of CA certificates, and what was in it.
    ca: Option<(PathBuf, Option<Vec<u8>>)>,
    connect_timeout: Duration,
}

/// The HTTP client of each instance, in the order of the configuration; those with the same route
/// share one.
#[derive(Clone, Debug, Default)]
pub(super) struct Transports(Vec<(Route, reqwest::Client)>);

impl Transports {
    /// The HTTP clients for `config`: these, as far as their routes are the same.
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
        Address::Region(region) => aliyun::endpoint(region, config.api.network)
            .map_err(|error| CommandError::Usage(format!("instance {}: {error}", instance.id)))?,
    };
    // That it cannot be read is found when it is used.
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

/// What decides how an instance is asked.
#[derive(Debug)]
struct ClientKey {
    instance: InstanceId,
    route: Route,
    credentials: Arc<CredentialProvider>,
    signature: Signature,
    call_timeout: Duration,
}

impl PartialEq for ClientKey {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.credentials, &other.credentials)
            && (&self.instance, &self.route) == (&other.instance, &other.route)
            && (self.signature, self.call_timeout) == (other.signature, other.call_timeout)
    }
}

/// The sources of all instances, each with what it was made of.
#[derive(Debug)]
pub(super) struct ApiClients {
    clock: Clock,
    transports: Transports,
    providers: Providers,
    clients: Vec<(ClientKey, Arc<ApiClient>)>,
}

impl ApiClients {
    /// No sources yet.
    pub(super) fn new(tools: ProviderDeps) -> Self {
        let clock = tools.clock;
        Self {
            clock,
            transports: Transports::default(),
            providers: Providers::new(tools),
            clients: Vec::new(),
        }
    }

    /// How requests travel now.
    pub(super) fn transports(&self) -> &Transports {
        &self.transports
    }

    /// Asks as `config` says from now on, by `transports` that were made for it. Clients that would
    /// be made anew of the same stay.
    pub(super) fn set(&mut self, config: &Config, transports: Transports) {
        let before = std::mem::take(&mut self.clients);
        let credentials = self.providers.of(config);
        for ((instance, (route, http)), credentials) in
            config.instances.iter().zip(&transports.0).zip(credentials)
        {
            let key = ClientKey {
                instance: instance.id.clone(),
                route: route.clone(),
                credentials,
                signature: config.api.signature,
                call_timeout: config.collect.call_timeout,
            };
            let made = before
                .iter()
                .find(|(other, _)| *other == key)
                .map(|(_, client)| Arc::clone(client));
            let client = made.unwrap_or_else(|| Arc::new(client(&key, http.clone(), self.clock)));
            self.clients.push((key, client));
        }
        self.transports = transports;
    }

    /// The source of each instance, in the order of the configuration.
    pub(super) fn iter(&self) -> impl Iterator<Item = Arc<dyn PresenceSource>> {
        self.clients
            .iter()
            .map(|(_, client)| Arc::clone(client) as Arc<dyn PresenceSource>)
    }
}

fn client(key: &ClientKey, http: reqwest::Client, clock: Clock) -> ApiClient {
    let options = ApiClientOptions {
        instance: key.instance.clone(),
        endpoint: key.route.endpoint.clone(),
        signature: key.signature,
        call_timeout: key.call_timeout,
    };
    ApiClient::new(http, Arc::clone(&key.credentials), clock, options)
}
