//! One request to a service that gives credentials, and its answer.

use std::path::PathBuf;
use std::time::Duration;

use reqwest::{Request, Url};
use secrecy::zeroize::Zeroizing;

use super::{FetchError, ProviderDeps};
use crate::aliyun::transport;
use crate::clock::{Clock, Timestamp};
use crate::net::client::{ClientError, causes, client, direct_client};

/// How a service is reached.
#[derive(Clone, Copy, Debug)]
pub(super) enum Route {
    /// As the API is: through the proxy of the environment, if there is one.
    Usual,
    /// It is on this host or on its link, where no proxy leads.
    Link,
}

/// How long a service may take.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patience {
    pub(super) connect: Duration,
    /// From the first byte sent to the last one received.
    pub(super) answer: Duration,
}

impl Patience {
    /// As the vendor's SDKs have it for services on the network.
    pub(super) const NETWORK: Self = Self {
        connect: Duration::from_secs(5),
        answer: Duration::from_secs(10),
    };
    /// And for those on the link.
    pub(super) const LINK: Self = Self {
        connect: Duration::from_secs(1),
        answer: Duration::from_secs(1),
    };
}

/// A service, and what is needed to ask it.
#[derive(Clone, Debug)]
pub(super) struct HttpService {
    /// What it is called in messages.
    name: &'static str,
    route: Route,
    patience: Patience,
    clock: Clock,
    ca_file: Option<PathBuf>,
}

/// An answer, whatever its status.
pub(super) struct HttpReply {
    pub(super) status: u16,
    /// The server's clock, and ours at the same time.
    pub(super) clocks: Option<(Timestamp, Timestamp)>,
    pub(super) body: Zeroizing<Vec<u8>>,
}

/// No answer, or a part of one.
#[derive(Debug, thiserror::Error)]
pub(super) enum HttpError {
    /// Nobody took the connection: perhaps there is no such service here.
    #[error("{0}")]
    Unreachable(String),
    /// Somebody did.
    #[error("{0}")]
    Broken(String),
}

impl From<HttpError> for FetchError {
    fn from(trouble: HttpError) -> Self {
        Self::Failed(trouble.to_string())
    }
}

impl HttpService {
    pub(super) fn new(
        name: &'static str,
        route: Route,
        patience: Patience,
        deps: &ProviderDeps,
    ) -> Self {
        Self {
            name,
            route,
            patience,
            clock: deps.clock,
            ca_file: deps.ca_file.clone(),
        }
    }

    /// The service at `url` in words, without the path and the query, which may hold a secret.
    pub(super) fn at(&self, url: &Url) -> String {
        format!("{} at {}", self.name, url.origin().ascii_serialization())
    }

    /// Sends `request`, once. The connection is one of its own: the next request comes long after
    /// any idle connection has been closed.
    pub(super) async fn exchange(&self, request: Request) -> Result<HttpReply, HttpError> {
        let who = self.at(request.url());
        let broken = |why: &dyn std::fmt::Display| HttpError::Broken(format!("{who}: {why}"));
        let client = self
            .client(request.url().clone())
            .await
            .map_err(|why| broken(&why))?;
        let response = tokio::time::timeout(self.patience.connect + self.patience.answer, async {
            let response = client.execute(request).await.map_err(|error| {
                let why = format!("{who}: {}", transport::no_answer(&error).message());
                if error.is_connect() {
                    HttpError::Unreachable(why)
                } else {
                    HttpError::Broken(why)
                }
            })?;
            let received = self.clock.now();
            let clocks =
                transport::server_date(response.headers()).map(|server| (server, received));
            let status = response.status().as_u16();
            let body = transport::body(response)
                .await
                .map_err(|failure| broken(&failure.message()))?;
            Ok(HttpReply {
                status,
                clocks,
                body: Zeroizing::new(body),
            })
        });
        response.await.unwrap_or_else(|_| {
            Err(broken(&format_args!(
                "no answer within {:?}",
                self.patience.answer
            )))
        })
    }

    /// The certificates of the system are read only for `https`, and that takes a while.
    async fn client(&self, url: Url) -> Result<reqwest::Client, String> {
        let told = |error: ClientError| {
            causes(&error)
                .map(ToString::to_string)
                .collect::<Vec<_>>()
                .join(": ")
        };
        let connect = self.patience.connect;
        match self.route {
            Route::Link => direct_client(connect).map_err(told),
            Route::Usual if url.scheme() == "http" => client([&url], None, connect).map_err(told),
            Route::Usual => {
                let ca_file = self.ca_file.clone();
                let built = tokio::task::spawn_blocking(move || {
                    client([&url], ca_file.as_deref(), connect)
                });
                built
                    .await
                    .map_err(|error| error.to_string())?
                    .map_err(told)
            }
        }
    }
}

impl HttpReply {
    /// `expires`, which is a time of the server's clock, by ours. Dates count whole seconds, so
    /// that clocks which are less than a minute apart count as the same.
    pub(super) fn by_our_clock(&self, expires: Timestamp) -> Timestamp {
        const SAME: Duration = Duration::from_secs(60);
        match self.clocks {
            Some((server, ours)) if server.since(ours).max(ours.since(server)) > SAME => {
                ours + expires.since(server)
            }
            _ => expires,
        }
    }
}
