//! A caller of the simulator that can be as wrong as a test wants it to be.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use mqtt_presence_exporter::aliyun::sign::{self, CanonicalQuery, v2, v3};
use mqtt_presence_exporter::clock::{Clock, Timestamp};
use mqtt_presence_exporter::secret::Secret;
use mqtt_presence_exporter::simulator::{Announcement, Simulator, SimulatorOptions};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use crate::support::pump::pump;

/// A simulator with its time, and all that one has to know to call it.
pub(super) struct Stage {
    pub(super) simulator: Simulator,
    pub(super) clock: Clock,
    pub(super) announcement: Announcement,
    pub(super) shutdown: CancellationToken,
    _pump: AbortOnDropHandle<()>,
}

impl Stage {
    pub(super) async fn new(options: SimulatorOptions) -> Self {
        let pump = pump();
        let clock = Clock::manual(Timestamp::from_millis(1_700_000_000_000));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let shutdown = CancellationToken::new();
        let simulator =
            Simulator::start(options, listener, clock.clone(), shutdown.clone()).unwrap();
        let announcement = simulator.announcement();
        Self {
            simulator,
            clock,
            announcement,
            shutdown,
            _pump: pump,
        }
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.announcement
            .endpoint
            .strip_prefix("http://")
            .unwrap()
            .parse()
            .unwrap()
    }

    /// The first instance.
    pub(super) fn instance(&self) -> &str {
        &self.announcement.instance_ids[0]
    }

    /// The clients of the first instance.
    pub(super) fn clients(&self) -> &[String] {
        &self.announcement.clients[self.instance()]
    }

    pub(super) fn single(&self, client: &str) -> Request {
        self.request("QuerySessionByClientId")
            .param("ClientId", client)
    }

    pub(super) fn batch<'a>(&self, clients: impl IntoIterator<Item = &'a String>) -> Request {
        let request = self.request("BatchQuerySessionByClientIds");
        clients
            .into_iter()
            .zip(1..)
            .fold(request, |request, (client, n)| {
                request.param(&format!("ClientIdList.{n}"), client)
            })
    }

    pub(super) fn request(&self, action: &str) -> Request {
        use std::sync::atomic::{AtomicU64, Ordering};
        static NONCE: AtomicU64 = AtomicU64::new(0);

        let nonce = NONCE.fetch_add(1, Ordering::Relaxed);
        Request {
            address: self.address(),
            from: Ipv4Addr::LOCALHOST.into(),
            version: Version::V3,
            method: "POST",
            path: "/",
            form: false,
            common: BTreeMap::from([
                ("Action", action.to_owned()),
                ("Version", "2020-04-20".to_owned()),
                ("Timestamp", sign::format_date(self.clock.now())),
                ("SignatureNonce", format!("nonce-{nonce}")),
                ("AccessKeyId", self.announcement.access_key_id.clone()),
            ]),
            secret: self.announcement.access_key_secret.clone(),
            params: BTreeMap::from([("InstanceId".to_owned(), self.instance().to_owned())]),
        }
    }

    /// An unsigned request, as for the admin API.
    pub(super) async fn plain(&self, method: &str, path: &str, body: &str) -> Answer {
        let request = format!(
            "{method} {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        let stream = connect(Ipv4Addr::LOCALHOST.into(), self.address())
            .await
            .unwrap();
        exchange(stream, &request).await.unwrap()
    }
}

#[derive(Clone, Copy, PartialEq)]
pub(super) enum Version {
    V3,
    V2,
}

/// A request that is signed when it is sent.
#[derive(Clone)]
pub(super) struct Request {
    pub(super) address: SocketAddr,
    pub(super) from: IpAddr,
    pub(super) version: Version,
    pub(super) method: &'static str,
    pub(super) path: &'static str,
    /// Whether the parameters travel in a form body.
    pub(super) form: bool,
    /// What each request has, by the names of V2.
    pub(super) common: BTreeMap<&'static str, String>,
    pub(super) secret: String,
    pub(super) params: BTreeMap<String, String>,
}

impl Request {
    pub(super) fn param(mut self, name: &str, value: &str) -> Self {
        self.params.insert(name.to_owned(), value.to_owned());
        self
    }

    pub(super) fn common(mut self, name: &'static str, value: &str) -> Self {
        self.common.insert(name, value.to_owned());
        self
    }

    pub(super) fn without(mut self, name: &str) -> Self {
        self.common.remove(name);
        self.params.remove(name);
        self
    }

    pub(super) fn v2(mut self) -> Self {
        self.version = Version::V2;
        self
    }

    pub(super) async fn send(&self) -> io::Result<Answer> {
        let stream = connect(self.from, self.address).await?;
        exchange(stream, &self.text("close")).await
    }

    /// The request as it goes over the wire.
    pub(super) fn text(&self, connection: &str) -> String {
        let (query, body, mut headers) = match self.version {
            Version::V3 => self.signed_v3(),
            Version::V2 => self.signed_v2(),
        };
        if self.form {
            headers.push((
                "content-type".to_owned(),
                "application/x-www-form-urlencoded".to_owned(),
            ));
        }
        let headers = headers.iter().fold(String::new(), |text, (name, value)| {
            text + name + ": " + value + "\r\n"
        });
        let Self {
            method,
            path,
            address,
            ..
        } = self;
        let length = body.len();
        format!(
            "{method} {path}?{query} HTTP/1.1\r\nhost: {address}\r\n{headers}connection: {connection}\r\n\
             content-length: {length}\r\n\r\n{body}"
        )
    }

    fn signed_v3(&self) -> (String, String, Vec<(String, String)>) {
        let params = CanonicalQuery::new(
            self.params
                .iter()
                .map(|(n, v)| (n.as_str(), v.as_str()))
                .collect(),
        );
        let empty = CanonicalQuery::new(Vec::new());
        let (query, body) = if self.form {
            (&empty, params.as_str())
        } else {
            (&params, "")
        };
        let hash = v3::body_hash(body.as_bytes());
        let mut headers = vec![
            ("host", self.address.to_string()),
            ("x-acs-content-sha256", hash.as_str().to_owned()),
        ];
        for (common, header) in [
            ("Action", "x-acs-action"),
            ("Version", "x-acs-version"),
            ("Timestamp", "x-acs-date"),
            ("SignatureNonce", "x-acs-signature-nonce"),
            ("SecurityToken", "x-acs-security-token"),
        ] {
            headers.extend(self.common.get(common).map(|value| (header, value.clone())));
        }
        let signed = headers.iter().map(|(n, v)| (*n, v.as_str())).collect();
        let canonical = v3::CanonicalRequest::new(self.method, query, signed, hash.as_str());
        let secret = Secret::new(self.secret.clone());
        let authorization = canonical.authorization(&self.common["AccessKeyId"], &secret);
        let mut headers: Vec<_> = headers
            .drain(1..)
            .map(|(name, value)| (name.to_owned(), value))
            .collect();
        headers.push(("Authorization".to_owned(), authorization));
        (query.as_str().to_owned(), body.to_owned(), headers)
    }

    fn signed_v2(&self) -> (String, String, Vec<(String, String)>) {
        let fixed = [
            ("SignatureMethod", v2::METHOD),
            ("SignatureVersion", v2::VERSION),
        ];
        let mut query: Vec<_> = self
            .common
            .iter()
            .map(|(n, v)| (*n, v.as_str()))
            .chain(fixed)
            .collect();
        let params: Vec<_> = self
            .params
            .iter()
            .map(|(n, v)| (n.as_str(), v.as_str()))
            .collect();
        let all = CanonicalQuery::new([query.clone(), params.clone()].concat());
        let signature =
            v2::string_to_sign(self.method, &all).sign(&Secret::new(self.secret.clone()));
        query.push(("Signature", signature.as_str()));
        let body = if self.form {
            CanonicalQuery::new(params).into_string()
        } else {
            query.extend(params);
            String::new()
        };
        (CanonicalQuery::new(query).into_string(), body, Vec::new())
    }
}

/// An answer, as much of it as came.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: BTreeMap<String, String>,
    pub(super) body: String,
}

impl Answer {
    pub(super) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }

    /// Status and error code.
    pub(super) fn error(&self) -> (u16, String) {
        (
            self.status,
            self.json()["Code"].as_str().unwrap_or_default().to_owned(),
        )
    }

    pub(super) fn online(&self) -> bool {
        self.json()["OnlineStatus"]
            .as_bool()
            .unwrap_or_else(|| panic!("no status: {}", self.body))
    }

    /// The clients of a batch that are there, sorted.
    pub(super) fn clients(&self) -> BTreeMap<String, bool> {
        let entries = self.json()["OnlineStatusList"].as_array().unwrap().clone();
        let pair = |entry: Value| {
            (
                entry["ClientId"].as_str().unwrap().to_owned(),
                entry["OnlineStatus"].as_bool().unwrap(),
            )
        };
        entries.into_iter().map(pair).collect()
    }
}

pub(super) async fn connect(from: IpAddr, to: SocketAddr) -> io::Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    socket.bind((from, 0).into())?;
    socket.connect(to).await
}

async fn exchange(mut stream: TcpStream, request: &str) -> io::Result<Answer> {
    stream.write_all(request.as_bytes()).await?;
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).await?;
    let text = String::from_utf8(bytes).unwrap();
    let (head, body) = text
        .split_once("\r\n\r\n")
        .ok_or(io::ErrorKind::UnexpectedEof)?;
    let mut lines = head.lines();
    let status = lines
        .next()
        .unwrap()
        .split(' ')
        .nth(1)
        .unwrap()
        .parse()
        .unwrap();
    let headers = lines
        .map(|line| line.split_once(": ").unwrap())
        .map(|(n, v)| (n.to_lowercase(), v.to_owned()));
    Ok(Answer {
        status,
        headers: headers.collect(),
        body: body.to_owned(),
    })
}
