//! Requests client URLs: each in a task of its own, at its interval.

use std::io::ErrorKind;
use std::path::Path;
use std::time::Duration;

use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderValue, LOCATION, USER_AGENT};
use reqwest::{RequestBuilder, Response, StatusCode};
use tokio::sync::mpsc;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep_until, timeout_at};
use tokio_util::task::AbortOnDropHandle;

use crate::config::{self, Authorization, ClientUrl};
use crate::net::client::{causes, client_with_identity, innermost, tls_error, tls_message};
use crate::net::{HttpClient, Resolver};
use crate::telemetry::VERSION;

/// The time limit of a request, if the interval is not shorter.
const TIMEOUT: Duration = Duration::from_secs(60);

/// The time limit for making a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// The interval after a failure, if the usual one is not shorter.
const RETRY_INTERVAL: Duration = Duration::from_secs(30);

/// The maximum size of a response: some millions of clients.
const MAX_BYTES: usize = 256 << 20;

/// The header that Prometheus sends to an `http_sd` endpoint (page "Writing HTTP service
/// discovery").
const REFRESH_INTERVAL: &str = "x-prometheus-refresh-interval-seconds";

/// The result of one request.
#[derive(Debug)]
pub struct UrlUpdate {
    /// The URL.
    pub url: ClientUrl,
    /// The body of the response, not yet parsed; or why there is none, as a predicate of the URL.
    pub body: Result<Vec<u8>, String>,
}

/// The tasks that request client URLs.
#[derive(Debug)]
pub struct UrlPoller {
    updates: mpsc::Sender<UrlUpdate>,
    resolver: Resolver,
    tasks: Vec<(ClientUrl, AbortOnDropHandle<()>)>,
}

impl UrlPoller {
    /// No tasks, and the receiver of their updates. The `resolver` looks up the hosts of URLs.
    #[must_use]
    pub fn new(resolver: Resolver) -> (Self, mpsc::Receiver<UrlUpdate>) {
        // A body may be large: the next one is not received before the last one was taken.
        let (updates, receiver) = mpsc::channel(1);
        let poller = Self {
            updates,
            resolver,
            tasks: Vec::new(),
        };
        (poller, receiver)
    }

    /// Requests these `urls` from now on. Those that were requested before keep their schedule.
    pub fn poll<'a>(&mut self, urls: impl IntoIterator<Item = &'a ClientUrl>) {
        let mut before = std::mem::take(&mut self.tasks);
        for url in urls {
            if self.tasks.iter().any(|(other, _)| other == url) {
                continue;
            }
            let known = before.iter().position(|(other, _)| other == url);
            let task = if let Some(known) = known {
                before.swap_remove(known).1
            } else {
                let (updates, resolver) = (self.updates.clone(), self.resolver.clone());
                AbortOnDropHandle::new(tokio::spawn(poll(url.clone(), updates, resolver)))
            };
            self.tasks.push((url.clone(), task));
        }
    }
}

async fn poll(url: ClientUrl, updates: mpsc::Sender<UrlUpdate>, resolver: Resolver) {
    loop {
        let started = Instant::now();
        let limit = TIMEOUT.min(url.refresh_interval);
        let deadline = started + limit;
        let body = timeout_at(deadline, fetch(&url, &resolver, deadline)).await;
        let body = body.unwrap_or_else(|_| {
            let limit = config::duration::display(limit);
            Err(format!("has not responded within {limit}"))
        });
        let wait = match body {
            Ok(_) => url.refresh_interval,
            Err(_) => url.refresh_interval.min(RETRY_INTERVAL),
        };
        let url = url.clone();
        if updates.send(UrlUpdate { url, body }).await.is_err() {
            return;
        }
        sleep_until(started + wait).await;
    }
}

async fn fetch(url: &ClientUrl, resolver: &Resolver, deadline: Instant) -> Result<Vec<u8>, String> {
    let (settings, resolver) = (url.clone(), resolver.clone());
    let (http, request) = spawn_blocking(move || prepare(&settings, &resolver))
        .await
        .map_err(|error| error.to_string())??;
    let request = request.build().map_err(|error| transport(&error))?;
    let ready = http
        .ready(deadline)
        .await
        .map_err(|error| format!("cannot be reached: {error}"))?;
    let response = ready
        .http
        .execute(request)
        .await
        .map_err(|error| transport(&error))?;
    check(&response)?;
    read(response).await
}

/// The request. Certificates, passwords and tokens are read each time, because their files may have
/// been replaced, and no connection is worth keeping for a minute.
fn prepare(url: &ClientUrl, resolver: &Resolver) -> Result<(HttpClient, RequestBuilder), String> {
    let identity = url
        .tls
        .identity
        .as_ref()
        .map(|identity| (&*identity.cert_file, &*identity.key_file));
    let (address, ca_file) = (url.url.expose(), url.tls.ca_file.as_deref());
    let http = client_with_identity(address, ca_file, identity, CONNECT_TIMEOUT, resolver)
        .map_err(|error| error.to_string())?;
    let interval = url.refresh_interval.as_secs_f64().to_string();
    let request = http
        .get(address.clone())
        .header(ACCEPT, "application/json")
        .header(USER_AGENT, format!("mqtt-presence-exporter/{VERSION}"))
        .header(REFRESH_INTERVAL, interval);
    let request = match &url.authorization {
        None => request,
        Some(Authorization::Basic {
            username,
            password_file,
        }) => request.basic_auth(username, Some(read_secret(password_file)?)),
        Some(Authorization::Token {
            scheme,
            credentials_file,
        }) => {
            let token = format!("{scheme} {}", read_secret(credentials_file)?);
            let mut header = HeaderValue::try_from(token)
                .map_err(|_| "the token contains a character that is invalid in a header")?;
            header.set_sensitive(true);
            request.header(AUTHORIZATION, header)
        }
    };
    Ok((http, request))
}

/// The content of a file without white space at its end, which editors add.
fn read_secret(file: &Path) -> Result<String, String> {
    let read = || {
        let bytes = config::read(file)?;
        let text = String::from_utf8(bytes).map_err(|_| "is not text")?;
        match text.trim_end() {
            "" => Err("is empty".to_owned()),
            text => Ok(text.to_owned()),
        }
    };
    read().map_err(|message| format!("{}: {message}", file.display()))
}

/// Whether the response is one of an inventory.
fn check(response: &Response) -> Result<(), String> {
    let header = |name| {
        response
            .headers()
            .get(name)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
    };
    let status = response.status();
    let kind = header(CONTENT_TYPE)
        .split(';')
        .next()
        .unwrap_or_default()
        .trim();
    Err(match status {
        StatusCode::OK if kind.eq_ignore_ascii_case("application/json") => return Ok(()),
        StatusCode::OK => format!(
            "responded with the Content-Type `{kind}`, not `application/json`; check the URL"
        ),
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
            format!("responded with {status}; check `basic_auth` or `authorization` and its file")
        }
        _ if status.is_redirection() => {
            let mut target = response.url().join(header(LOCATION)).ok();
            if let Some(target) = &mut target {
                target.set_query(None);
            }
            let target = target.map(String::from).unwrap_or_default();
            format!(
                "responded with {status} to {target}; set `url` to this address if it is correct"
            )
        }
        _ => format!("responded with {status}, not 200 OK"),
    })
}

async fn read(mut response: Response) -> Result<Vec<u8>, String> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| transport(&error))? {
        if body.len() + chunk.len() > MAX_BYTES {
            return Err(format!("responded with more than {} MiB", MAX_BYTES >> 20));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// Why there is no complete response. Only the innermost cause is shown: the text of the library
/// contains the URL, which may contain a secret.
fn transport(error: &reqwest::Error) -> String {
    let cause = tls_error(error).map_or_else(|| innermost(error), tls_message);
    let refused = causes(error)
        .filter_map(|cause| cause.downcast_ref::<std::io::Error>())
        .any(|error| error.kind() == ErrorKind::ConnectionRefused);
    if refused || error.is_connect() {
        format!("cannot be reached: {cause}")
    } else {
        format!("closed the connection: {cause}")
    }
}
