//! Asking client URLs: each in a task of its own, again and again.

use std::io::ErrorKind;
use std::path::PathBuf;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderValue, LOCATION, USER_AGENT};
use reqwest::{Response, StatusCode};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};
use tokio_util::task::AbortOnDropHandle;

use crate::config::{self, Authorization, ClientUrl};
use crate::net::client::{causes, client_with_identity};
use crate::telemetry::VERSION;

/// How long an inventory may take to answer, if it is not asked more often than that.
const PATIENCE: Duration = Duration::from_secs(60);

/// How long making a connection may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// How soon one is asked again that did not answer, if that is not sooner anyway.
const AGAIN: Duration = Duration::from_secs(30);

/// The longest answer that is read: some millions of clients.
const LONGEST: usize = 256 << 20;

/// What Prometheus sends to an `http_sd` endpoint (page "Writing HTTP service discovery").
const REFRESH_INTERVAL: &str = "x-prometheus-refresh-interval-seconds";

/// What became of asking one URL.
#[derive(Debug)]
pub struct UrlUpdate {
    /// The URL.
    pub url: ClientUrl,
    /// The text of its answer, not yet understood; or why there is none, as a sentence that is
    /// fit for a log.
    pub answer: Result<Vec<u8>, String>,
}

/// The tasks that ask client URLs.
#[derive(Debug)]
pub struct UrlPoller {
    answers: mpsc::Sender<UrlUpdate>,
    tasks: Vec<(ClientUrl, AbortOnDropHandle<()>)>,
}

impl UrlPoller {
    /// No tasks, and where their answers will come.
    #[must_use]
    pub fn new() -> (Self, mpsc::Receiver<UrlUpdate>) {
        // An answer may be large: the next one is not read before somebody took the last.
        let (answers, receiver) = mpsc::channel(1);
        (
            Self {
                answers,
                tasks: Vec::new(),
            },
            receiver,
        )
    }

    /// Asks `urls` from now on, and no others. Those that are asked already keep their pace.
    pub fn poll<'a>(&mut self, urls: impl IntoIterator<Item = &'a ClientUrl>) {
        let mut before = std::mem::take(&mut self.tasks);
        for url in urls {
            if self.tasks.iter().any(|(other, _)| other == url) {
                continue;
            }
            let asked = before.iter().position(|(other, _)| other == url);
            let start = || {
                let task = tokio::spawn(ask(url.clone(), self.answers.clone()));
                (url.clone(), AbortOnDropHandle::new(task))
            };
            let task = asked.map_or_else(start, |at| before.swap_remove(at));
            self.tasks.push(task);
        }
    }
}

async fn ask(url: ClientUrl, answers: mpsc::Sender<UrlUpdate>) {
    loop {
        let started = Instant::now();
        let answer = fetch(&url).await;
        let wait = if answer.is_ok() {
            url.refresh_interval
        } else {
            url.refresh_interval.min(AGAIN)
        };
        if answers
            .send(UrlUpdate {
                url: url.clone(),
                answer,
            })
            .await
            .is_err()
        {
            return;
        }
        sleep_until(started + wait).await;
    }
}

/// Asks once.
async fn fetch(url: &ClientUrl) -> Result<Vec<u8>, String> {
    let patience = PATIENCE.min(url.refresh_interval);
    match tokio::time::timeout(patience, attempt(url)).await {
        Ok(answer) => answer,
        Err(_) => Err(format!(
            "has not answered within {}",
            config::duration::display(patience)
        )),
    }
}

async fn attempt(url: &ClientUrl) -> Result<Vec<u8>, String> {
    let credentials = credentials(url).await?;
    let http = http(url).await?;
    let mut request = http
        .get(url.url.expose().clone())
        .header(ACCEPT, "application/json")
        .header(USER_AGENT, format!("mqtt-presence-exporter/{VERSION}"))
        .header(
            REFRESH_INTERVAL,
            url.refresh_interval.as_secs_f64().to_string(),
        );
    if let Some(credentials) = credentials {
        request = request.header(AUTHORIZATION, credentials);
    }
    let response = request.send().await.map_err(|error| transport(&error))?;
    check(&response)?;
    read(response).await
}

/// The HTTP client, made anew each time: the files of its certificates may have been replaced, and
/// no connection is worth keeping for a minute.
async fn http(url: &ClientUrl) -> Result<reqwest::Client, String> {
    let url = url.clone();
    let made = move || {
        let identity = url
            .tls
            .identity
            .as_ref()
            .map(|identity| (&*identity.cert_file, &*identity.key_file));
        client_with_identity(
            [url.url.expose()],
            url.tls.ca_file.as_deref(),
            identity,
            CONNECT_TIMEOUT,
        )
    };
    let made = tokio::task::spawn_blocking(made)
        .await
        .map_err(|error| error.to_string())?;
    made.map_err(|error| {
        causes(&error)
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join(": ")
    })
}

/// The header that says who asks.
async fn credentials(url: &ClientUrl) -> Result<Option<HeaderValue>, String> {
    let text = match &url.authorization {
        None => return Ok(None),
        Some(Authorization::Basic {
            username,
            password_file,
        }) => {
            let password = secret(password_file.clone()).await?;
            format!(
                "Basic {}",
                STANDARD.encode(format!("{username}:{password}"))
            )
        }
        Some(Authorization::Token {
            scheme,
            credentials_file,
        }) => {
            format!("{scheme} {}", secret(credentials_file.clone()).await?)
        }
    };
    let mut header = HeaderValue::try_from(text)
        .map_err(|_| "the token has a character that no header may have")?;
    header.set_sensitive(true);
    Ok(Some(header))
}

/// What is in a file, without the white space at its end that every editor adds.
async fn secret(file: PathBuf) -> Result<String, String> {
    let shown = file.display().to_string();
    let read = tokio::task::spawn_blocking(move || config::read(&file))
        .await
        .map_err(|error| error.to_string())?;
    let bytes = read.map_err(|message| format!("{shown}: {message}"))?;
    let text = String::from_utf8(bytes).map_err(|_| format!("{shown}: is not text"))?;
    match text.trim_end() {
        "" => Err(format!("{shown}: is empty")),
        text => Ok(text.to_owned()),
    }
}

/// Whether the answer is one of an inventory.
fn check(response: &Response) -> Result<(), String> {
    let header = |name| {
        response
            .headers()
            .get(name)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
    };
    let status = response.status();
    if status.is_redirection() {
        let mut target = response.url().join(header(LOCATION)).ok();
        if let Some(target) = &mut target {
            target.set_query(None);
        }
        let target = target.map(String::from).unwrap_or_default();
        return Err(format!(
            "answered {status} and leads to {target}; write that as its `url` if it is right"
        ));
    }
    if status == StatusCode::UNAUTHORIZED || status == StatusCode::FORBIDDEN {
        return Err(format!(
            "answered {status}; check `basic_auth` or `authorization`, and the file named there"
        ));
    }
    if status != StatusCode::OK {
        return Err(format!("answered {status}, not 200 OK"));
    }
    let kind = header(CONTENT_TYPE)
        .split(';')
        .next()
        .unwrap_or_default()
        .trim();
    if kind.eq_ignore_ascii_case("application/json") {
        Ok(())
    } else {
        Err(format!(
            "answered with the Content-Type `{kind}`, not `application/json`; is it the right URL?"
        ))
    }
}

async fn read(mut response: Response) -> Result<Vec<u8>, String> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| transport(&error))? {
        if body.len() + chunk.len() > LONGEST {
            return Err(format!("answered with more than {} MiB", LONGEST >> 20));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// Why there is no whole answer. The innermost cause says what happened; the library's own text
/// has the URL in it, and so perhaps a secret.
fn transport(error: &reqwest::Error) -> String {
    let cause = causes(error)
        .last()
        .map(ToString::to_string)
        .unwrap_or_default();
    let refused = causes(error)
        .filter_map(|cause| cause.downcast_ref::<std::io::Error>())
        .any(|error| error.kind() == ErrorKind::ConnectionRefused);
    if refused || error.is_connect() {
        format!("cannot be reached: {cause}")
    } else {
        format!("broke off: {cause}")
    }
}
