//! An HTTP client of one endpoint, with new connections when the addresses of its host change.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hyper_util::client::proxy::matcher::Matcher;
use reqwest::{Client, RequestBuilder, Url};
use rustls::ClientConfig;
use tokio::time::{Instant, timeout_at};

use super::resolver::{LookupError, Resolver};

/// How long an idle connection is kept. The gateway of Alibaba Cloud closes it after 25 s (its
/// `Keep-Alive` header), and a request that is sent at that moment is lost.
const IDLE_TIMEOUT: Duration = Duration::from_secs(15);

/// The interval of TCP keepalive probes, which detect a dead peer.
const KEEPALIVE: Duration = Duration::from_secs(15);

/// The settings of the connections of a client.
#[derive(Debug)]
struct ConnectionSettings {
    tls: ClientConfig,
    connect_timeout: Duration,
    proxy: bool,
    resolver: Resolver,
}

impl ConnectionSettings {
    fn build(&self) -> reqwest::Result<Client> {
        #[expect(
            clippy::disallowed_methods,
            reason = "the one place that builds clients"
        )]
        let builder = Client::builder()
            .tls_backend_preconfigured(self.tls.clone())
            .http1_only()
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .referer(false)
            .dns_resolver(self.resolver.clone())
            .connect_timeout(self.connect_timeout)
            .pool_idle_timeout(IDLE_TIMEOUT)
            .tcp_keepalive(KEEPALIVE)
            .tcp_nodelay(true);
        let builder = if self.proxy {
            builder
        } else {
            builder.no_proxy()
        };
        builder.build()
    }
}

/// An HTTP client of one endpoint. Clones share its connections.
#[derive(Clone, Debug)]
pub struct HttpClient(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    settings: ConnectionSettings,
    /// The host to which connections are made, unless it is an address.
    host: Option<String>,
    peer: Arc<str>,
    pool: Mutex<Pool>,
}

/// Connections to one set of addresses.
#[derive(Debug)]
struct Pool {
    client: Client,
    /// The generation of the addresses; `None` before the first lookup.
    generation: Option<u64>,
}

/// A client whose host is resolved.
#[derive(Debug)]
pub struct ReadyClient {
    /// The connections to the current addresses.
    pub http: Client,
    /// Host and port of the endpoint and, if there is one, of the proxy, for messages.
    pub peer: Arc<str>,
}

impl HttpClient {
    /// The client of `endpoint`, through the proxy of the environment if `proxy` is set and there is
    /// one.
    pub(super) fn new(
        endpoint: &Url,
        tls: ClientConfig,
        connect_timeout: Duration,
        proxy: bool,
        resolver: &Resolver,
    ) -> reqwest::Result<Self> {
        let settings = ConnectionSettings {
            tls,
            connect_timeout,
            proxy,
            resolver: resolver.clone(),
        };
        let host = endpoint.host_str().unwrap_or_default();
        let port = endpoint.port_or_known_default().unwrap_or_default();
        let matcher = proxy.then(Matcher::from_system);
        let proxy = matcher.and_then(|matcher| {
            let proxy = matcher.intercept(&endpoint.as_str().parse().ok()?)?;
            proxy.uri().authority().cloned()
        });
        let (host, peer) = match &proxy {
            None => (host, format!("{host}:{port}")),
            Some(proxy) => (
                proxy.host(),
                format!("{host}:{port} through the proxy {proxy}"),
            ),
        };
        let address = host.trim_start_matches('[').trim_end_matches(']');
        let is_name = address.parse::<std::net::IpAddr>().is_err();
        let pool = Pool {
            client: settings.build()?,
            generation: None,
        };
        Ok(Self(Arc::new(Shared {
            host: is_name.then(|| host.to_owned()),
            peer: peer.into(),
            pool: Mutex::new(pool),
            settings,
        })))
    }

    /// Waits until `deadline` for the addresses of the host, and returns the connections to them.
    ///
    /// If the addresses have changed, these are new connections. Requests in progress finish on the
    /// old ones, which then close.
    pub async fn ready(&self, deadline: Instant) -> Result<ReadyClient, LookupError> {
        let Shared {
            settings,
            host,
            peer,
            pool,
        } = &*self.0;
        let mut generation = None;
        if let Some(host) = host {
            let found = timeout_at(deadline, settings.resolver.resolve(host)).await;
            let found = found.unwrap_or_else(|_| {
                let why = "no nameserver has answered yet; the lookup continues".to_owned();
                let host = host.clone();
                Err(LookupError { host, why })
            })?;
            generation = Some(found.generation);
        }
        let mut pool = pool.lock().unwrap_or_else(PoisonError::into_inner);
        // The same settings were valid before.
        if pool.generation.is_some()
            && pool.generation < generation
            && let Ok(client) = settings.build()
        {
            pool.client = client;
        }
        pool.generation = pool.generation.max(generation);
        Ok(ReadyClient {
            http: pool.client.clone(),
            peer: Arc::clone(peer),
        })
    }

    /// Builds a GET request to `url`.
    pub fn get(&self, url: Url) -> RequestBuilder {
        let pool = self.0.pool.lock().unwrap_or_else(PoisonError::into_inner);
        pool.client.get(url)
    }
}
