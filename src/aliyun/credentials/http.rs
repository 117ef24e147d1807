//! One request to a service that issues credentials, and its answer.

use std::fmt;
use std::time::Duration;

use reqwest::{Request, Url};
use tokio::time::{Instant, timeout_at};

use super::fetch::{FetchError, FetchedKey, ProviderDeps};
use crate::aliyun::failure::CallFailure;
use crate::aliyun::transport::{self, HttpResponse};
use crate::clock::Timestamp;
use crate::net::HttpClient;
use crate::net::client::{client, client_without_proxy};
use crate::presence::ErrorClass;

/// The route to a service.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Route {
    /// The route of API requests: through the proxy of the environment, if there is one.
    Network,
    /// The service is on this host or on its link, which no proxy reaches.
    LinkLocal,
}

impl Route {
    /// The time limits for the connection and for the answer: those of Alibaba Cloud's SDKs.
    const fn limits(self) -> (Duration, Duration) {
        match self {
            Self::Network => (Duration::from_secs(5), Duration::from_secs(10)),
            Self::LinkLocal => (Duration::from_secs(1), Duration::from_secs(1)),
        }
    }
}

/// The answer of a service, with any status.
pub(super) struct HttpReply {
    service: String,
    pub(super) response: HttpResponse,
}

/// Sends `request` to the service `name`, once.
///
/// A link-local service that cannot be reached is not configured: it exists on some hosts only.
/// Each request has its own connection: the next one comes long after the idle timeout. Errors
/// contain the origin of the URL only: path and query may contain a secret.
pub(super) async fn send(
    name: &str,
    route: Route,
    request: Request,
    deps: &ProviderDeps,
) -> Result<HttpReply, FetchError> {
    let origin = request.url().origin().ascii_serialization();
    let service = format!("{name} at {origin}");
    let (connect, answer) = route.limits();
    let http = http_client(route, request.url().clone(), connect, deps).await;
    let http = http.map_err(|why| format!("{service}: {why}"))?;
    let deadline = Instant::now() + connect + answer;
    let sent = match http.ready(deadline).await {
        Ok(http) => timeout_at(deadline, transport::send(&http, request, &deps.clock))
            .await
            .unwrap_or_else(|_| Err(CallFailure::timeout(answer))),
        Err(why) => Err(CallFailure::unresolved(&why)),
    };
    sent.map(|response| HttpReply {
        service: service.clone(),
        response,
    })
    .map_err(|failure| {
        let why = format!("{service}: {}", failure.error.message);
        if route == Route::LinkLocal && failure.class == ErrorClass::Connect {
            FetchError::NotConfigured(why)
        } else {
            why.into()
        }
    })
}

/// Loading the certificates of the system, for `https`, blocks for a while.
async fn http_client(
    route: Route,
    url: Url,
    connect: Duration,
    deps: &ProviderDeps,
) -> Result<HttpClient, String> {
    let (ca_file, resolver) = (deps.ca_file.clone(), deps.resolver.clone());
    let make = move || match route {
        Route::LinkLocal => client_without_proxy(&url, connect, &resolver),
        Route::Network => client(&url, ca_file.as_deref(), connect, &resolver),
    };
    match tokio::task::spawn_blocking(make).await {
        Ok(built) => built.map_err(|error| error.to_string()),
        Err(error) => Err(error.to_string()),
    }
}

impl HttpReply {
    /// The error `why` of this service.
    pub(super) fn failed(&self, why: impl fmt::Display) -> FetchError {
        format!("{}: {why}", self.service).into()
    }

    /// The body. `request` completes the error of a status other than 200.
    pub(super) fn body(&self, request: &str) -> Result<&[u8], FetchError> {
        match self.response.status {
            200 => Ok(&self.response.body),
            status => Err(self.failed(format_args!("HTTP status {status}{request}"))),
        }
    }

    /// The credentials that `decode` finds in the body.
    pub(super) fn credentials(
        &self,
        request: &str,
        decode: fn(&[u8]) -> Result<FetchedKey, String>,
    ) -> Result<FetchedKey, FetchError> {
        let mut fetched = decode(self.body(request)?).map_err(|why| self.failed(why))?;
        fetched.expires = fetched.expires.map(|expires| self.by_our_clock(expires));
        Ok(fetched)
    }

    /// `expires`, a time of the server's clock, by ours. Dates have whole seconds, so clocks that
    /// differ by less than a minute count as equal.
    fn by_our_clock(&self, expires: Timestamp) -> Timestamp {
        const SAME: Duration = Duration::from_secs(60);
        match self.response.clocks {
            Some((server, ours)) if server.since(ours).max(ours.since(server)) > SAME => {
                ours + expires.since(server)
            }
            _ => expires,
        }
    }
}
