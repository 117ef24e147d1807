//! The API client of each instance. Clients with unchanged settings stay in use, with their
//! connections and credentials.

use std::path::PathBuf;
use std::sync::Arc;

use super::credentials::Providers;
use super::error::CommandError;
use crate::aliyun::credentials::{CredentialProvider, ProviderDeps};
use crate::aliyun::{self, ApiClient, ApiClientOptions};
use crate::clock::Clock;
use crate::config::{Address, Config, Instance};
use crate::net::{self, HttpClient, Resolver};
use crate::presence::PresenceSource;

/// The connect timeout is this fraction of the call timeout.
const CONNECT_PART: u32 = 2;

/// How an instance is reached.
#[derive(Clone, Debug)]
pub(super) struct Transport {
    options: ApiClientOptions,
    /// The file of CA certificates, and its content.
    ca: Option<(PathBuf, Option<Vec<u8>>)>,
    http: HttpClient,
}

/// How each instance of `config` is reached, in the order of the configuration. Instances with the
/// same endpoint, certificates and timeout share an HTTP client, and one of `before` is reused.
pub(super) fn transports(
    config: &Config,
    before: &[Transport],
    resolver: &Resolver,
) -> Result<Vec<Transport>, CommandError> {
    let mut transports: Vec<Transport> = Vec::with_capacity(config.instances.len());
    for instance in &config.instances {
        let options = options(config, instance)?;
        let ca_file = config.api.ca_file.as_ref();
        let ca_file = ca_file.filter(|_| options.endpoint.scheme() == "https");
        // A file that cannot be read is reported when it is used.
        let ca = ca_file.map(|file| (file.clone(), std::fs::read(file).ok()));
        let is_same = |known: &&Transport| {
            (&known.options.endpoint, &known.ca) == (&options.endpoint, &ca)
                && known.options.call_timeout == options.call_timeout
        };
        let http = if let Some(known) = transports.iter().chain(before).find(is_same) {
            known.http.clone()
        } else {
            let connect_timeout = options.call_timeout / CONNECT_PART;
            let ca_file = ca_file.map(|it| &**it);
            net::client::client(&options.endpoint, ca_file, connect_timeout, resolver)
                .map_err(|error| CommandError::Usage(format!("cannot set up HTTPS: {error}")))?
        };
        transports.push(Transport { options, ca, http });
    }
    Ok(transports)
}

fn options(config: &Config, instance: &Instance) -> Result<ApiClientOptions, CommandError> {
    let endpoint = match &instance.address {
        Address::Endpoint { url, .. } => url.clone(),
        Address::Region { region } => aliyun::endpoint(region, config.api.network)
            .map_err(|error| CommandError::Usage(format!("instance {}: {error}", instance.id)))?,
    };
    Ok(ApiClientOptions {
        instance: instance.id.clone(),
        endpoint,
        signature: config.api.signature,
        call_timeout: config.collect.call_timeout,
    })
}

/// The API client of an instance, and its settings.
#[derive(Debug)]
struct Entry {
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
            clock: deps.clock.clone(),
            providers: Providers::new(deps),
            entries: Vec::new(),
        }
    }

    /// The HTTP clients in use.
    pub(super) fn transports(&self) -> Vec<Transport> {
        let entries = self.entries.iter();
        entries.map(|entry| entry.transport.clone()).collect()
    }

    /// Replaces the clients by those of `config`, for which `transports` were made. Returns each
    /// client with the scheme, host and port of its endpoint, in the order of the configuration.
    pub(super) fn set(
        &mut self,
        config: &Config,
        transports: Vec<Transport>,
    ) -> Vec<(Arc<dyn PresenceSource>, String)> {
        let before = std::mem::take(&mut self.entries);
        let mut sources: Vec<(Arc<dyn PresenceSource>, String)> = Vec::new();
        for (transport, credentials) in transports.into_iter().zip(self.providers.set(config)) {
            let Transport { options, ca, http } = &transport;
            let same = before.iter().find(|old| {
                (&old.transport.options, &old.transport.ca) == (options, ca)
                    && Arc::ptr_eq(&old.credentials, &credentials)
            });
            let client = match same {
                Some(old) => Arc::clone(&old.client),
                None => Arc::new(ApiClient::new(
                    http.clone(),
                    Arc::clone(&credentials),
                    self.clock.clone(),
                    options.clone(),
                )),
            };
            let place = options.endpoint.origin().ascii_serialization();
            sources.push((Arc::clone(&client) as _, place));
            self.entries.push(Entry {
                transport,
                credentials,
                client,
            });
        }
        sources
    }
}
