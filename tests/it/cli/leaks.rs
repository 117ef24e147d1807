//! Nothing secret gets out: the binary goes through every type of credentials and every failure, and
//! whatever it says is searched for every secret, token and signature in play.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use assert_cmd::cargo::CommandCargoExt as _;
use mqtt_presence_exporter::clock::Clock;
use mqtt_presence_exporter::simulator::{
    Announcement, CapturedRequest, Faults, IdentityInfo, Probability, SimulatedFleet, Simulator,
    SimulatorOptions,
};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::support::exposition::Scrape;
use crate::support::http::{Client, request, soon};

/// Secrets that are nobody's, in the places where others stand.
const WRONG: [&str; 6] = [
    "wrong-access-key-secret",
    "wrong-sts-secret",
    "wrong-oidc-token",
    "hidden-in-uri",
    "hidden-in-ini",
    "hidden-in-json",
];

/// A simulator that ends with the test.
struct Stage {
    simulator: Simulator,
    announced: Announcement,
    identity: IdentityInfo,
    _stop: DropGuard,
}

impl Stage {
    async fn new(instances: usize, seed: u64) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let stop = CancellationToken::new();
        let options = SimulatorOptions {
            seed,
            fleet: SimulatedFleet::generate(instances, 2 * instances),
            ..SimulatorOptions::default()
        };
        let simulator =
            Simulator::start(options, listener, Clock::system(), stop.clone()).expect("it listens");
        let (announced, identity) = (simulator.announcement(), simulator.identity());
        Self {
            simulator,
            announced,
            identity,
            _stop: stop.drop_guard(),
        }
    }

    fn key(&self) -> Value {
        json!({"type": "access_key", "access_key_id": self.announced.access_key_id, "access_key_secret": self.announced.access_key_secret})
    }

    /// Credentials of the four types that ask a service, which is this one.
    fn services(&self, key: &Value, folder: &Path) -> [Value; 4] {
        let IdentityInfo {
            role_arns,
            oidc_provider_arn,
            credentials_uri,
            ..
        } = &self.identity;
        let endpoint = &self.announced.endpoint;
        [
            json!({"type": "assume_role", "role_arn": role_arns[0], "sts_endpoint": endpoint, "source": key}),
            json!({"type": "oidc", "role_arn": role_arns[0], "oidc_provider_arn": oidc_provider_arn,
                "oidc_token_file": folder.join("token"), "sts_endpoint": endpoint}),
            json!({"type": "ecs_ram_role", "metadata_endpoint": endpoint}),
            json!({"type": "uri", "uri": format!("{credentials_uri}?token=hidden-in-uri")}),
        ]
    }
}

/// Writes the files that credentials are in.
fn write_files(folder: &Path, api: &Stage) {
    let write = |name: &str, text: &str| {
        let path = folder.join(name);
        std::fs::create_dir_all(path.parent().expect("in a folder")).expect("a folder");
        std::fs::write(path, text).expect("a file");
    };
    let Announcement {
        access_key_id: id,
        access_key_secret: secret,
        ..
    } = &api.announced;
    write("secret", secret);
    write("empty", "");
    write("token", &api.identity.oidc_token);
    write("wrong-token", "wrong-oidc-token");
    let role = &api.identity.role_arns[0];
    let profile = |name: &str, mode: &str| json!({"name": name, "mode": mode, "access_key_id": id, "access_key_secret": secret, "ram_role_arn": role});
    write(
        ".aliyun/config.json",
        &json!({"current": "key", "profiles": [profile("key", "AK"), profile("role", "RamRoleArn"), profile("sso", "CloudSSO")]}).to_string(),
    );
    write(
        "sdk.ini",
        &format!(
            "[default]\ntype = ram_role_arn\naccess_key_id = {id}\naccess_key_secret = {secret}\nrole_arn = {role}\n"
        ),
    );
    write(
        "broken.ini",
        "[default]\ntype = access_key\naccess_key_secret hidden-in-ini\n",
    );
    write(
        "broken.json",
        r#"{"profiles": [{"name": "x", "access_key_secret": "hidden-in-json" "mode": 1}]}"#,
    );
}

/// Credentials that work, then those that do not.
fn cases(api: &Stage, failing: &[Stage], folder: &Path) -> (Vec<Value>, Vec<Value>) {
    let key = api.key();
    let endpoint = &api.announced.endpoint;
    let mut works = vec![
        key.clone(),
        json!({"type": "access_key", "access_key_id": api.announced.access_key_id, "access_key_secret_file": folder.join("secret")}),
        json!({"type": "env"}),
        json!({"type": "profile"}),
        json!({"type": "profile", "profile": "role", "sts_endpoint": endpoint}),
        json!({"type": "profile", "file": folder.join("sdk.ini"), "sts_endpoint": endpoint}),
        json!({"type": "chain", "providers": [{"type": "oidc"}, {"type": "env"}]}),
    ];
    works.extend(api.services(&key, folder));
    let wrong = |key: &Value, secret: &str| {
        let mut key = key.clone();
        key["access_key_secret"] = secret.into();
        key
    };
    let mut oidc = api.services(&key, folder)[1].clone();
    oidc["oidc_token_file"] = folder.join("wrong-token").to_str().into();
    let mut unknown = api.services(&key, folder)[0].clone();
    unknown["role_arn"] = "acs:ram::1000000000000001:role/nobody".into();
    let mut fails = vec![
        wrong(&key, WRONG[0]),
        api.services(&wrong(&key, WRONG[1]), folder)[0].clone(),
        oidc,
        unknown,
        json!({"type": "access_key", "access_key_id": "someone", "access_key_secret_file": folder.join("empty")}),
        json!({"type": "access_key", "access_key_id": "someone", "access_key_secret_file": folder.join("absent")}),
        json!({"type": "profile", "profile": "sso"}),
        json!({"type": "profile", "file": folder.join("broken.ini")}),
        json!({"type": "profile", "file": folder.join("broken.json")}),
        json!({"type": "chain", "providers": [{"type": "oidc"}, {"type": "uri"}]}),
    ];
    fails.extend(
        failing
            .iter()
            .flat_map(|stage| stage.services(&key, folder)),
    );
    // Keys that the API has never heard of.
    fails.push(failing[0].key());
    (works, fails)
}

/// A running exporter, which is killed when it is dropped.
struct Exporter(Child);

impl Exporter {
    fn start(folder: &Path, api: &Stage) -> Self {
        let file = |name: &str| std::fs::File::create(folder.join(name)).expect("a file");
        let child = Command::cargo_bin("mqtt-presence-exporter")
            .expect("it is built")
            .args([
                "--log.level=debug",
                "--web.listen-address=127.0.0.1:0",
                "--config.file",
            ])
            .arg(folder.join("config.yaml"))
            .env_clear()
            .env("HOME", folder)
            .env("ALIBABA_CLOUD_ACCESS_KEY_ID", &api.announced.access_key_id)
            .env(
                "ALIBABA_CLOUD_ACCESS_KEY_SECRET",
                &api.announced.access_key_secret,
            )
            .stdout(file("stdout"))
            .stderr(file("stderr"))
            .stdin(Stdio::null())
            .spawn();
        Self(child.expect("it starts"))
    }

    async fn address(&mut self, folder: &Path) -> SocketAddr {
        loop {
            let log = std::fs::read_to_string(folder.join("stderr")).expect("a log");
            if let Some((_, rest)) = log.split_once(" address=") {
                return rest
                    .split([' ', '\n'])
                    .next()
                    .expect("a word")
                    .parse()
                    .expect("an address");
            }
            assert!(
                self.0.try_wait().expect("a child").is_none(),
                "it ended: {log}"
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

impl Drop for Exporter {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

async fn ask(address: SocketAddr, method: &str, path: &str) -> String {
    let mut client = Client::connect(address).await;
    client.send(&request(method, path, &[])).await;
    client
        .answer(method)
        .await
        .expect("an answer")
        .text()
        .to_owned()
}

/// The signatures of requests, as they travel.
fn signatures(requests: &[CapturedRequest]) -> BTreeSet<String> {
    let of_v3 = |request: &CapturedRequest| {
        let (_, value) = request
            .headers
            .iter()
            .find(|(name, _)| name == "authorization")?;
        Some(value.split_once("Signature=")?.1.to_owned())
    };
    let of_v2 = |request: &CapturedRequest| {
        let (_, rest) = request.target.split_once("&Signature=")?;
        let decoded = form_urlencoded::parse(format!("s={rest}").as_bytes())
            .next()?
            .1
            .into_owned();
        Some([rest.to_owned(), decoded])
    };
    requests
        .iter()
        .filter_map(of_v3)
        .chain(requests.iter().filter_map(of_v2).flatten())
        .collect()
}

/// Everything that the exporter says of these cases, and everything that it must not say.
struct Said {
    log: String,
    pages: String,
    secrets: BTreeSet<String>,
    up: usize,
}

async fn run(signature: &str) -> Said {
    let folder = tempfile::tempdir().expect("a folder");
    let always = Probability::try_from(1.0).expect("a probability");
    let failing = {
        let none = Faults::default;
        let faults = [
            Faults {
                internal_error: always,
                ..none()
            },
            Faults {
                bad_gateway: always,
                ..none()
            },
            Faults {
                undecodable: always,
                ..none()
            },
            Faults {
                truncated: always,
                ..none()
            },
            Faults {
                reset: always,
                ..none()
            },
            Faults {
                hang: always,
                ..none()
            },
        ];
        let mut failing = Vec::new();
        for (faults, seed) in faults.into_iter().zip(2..) {
            let stage = Stage::new(1, seed).await;
            stage.simulator.set_credential_faults(faults);
            failing.push(stage);
        }
        failing
    };
    let api = Stage::new(64, 1).await;
    write_files(folder.path(), &api);
    let (works, fails) = cases(&api, &failing, folder.path());
    let (working, all) = (works.len(), works.len() + fails.len());
    let instances: Vec<_> = works
        .into_iter()
        .chain(fails)
        .zip(&api.announced.clients)
        .map(|(credentials, (id, clients))| json!({"id": id, "endpoint": api.announced.endpoint, "clients": clients, "credentials": credentials}))
        .collect();
    assert_eq!(instances.len(), all);
    let configuration = json!({
        "api": {"signature": signature},
        "collect": {"max_age": "1s", "call_timeout": "1s", "retries": 0},
        "instances": instances,
    });
    std::fs::write(folder.path().join("config.yaml"), configuration.to_string()).expect("a file");

    let mut exporter = Exporter::start(folder.path(), &api);
    let address = soon(exporter.address(folder.path())).await;
    let mut secrets: BTreeSet<String> = WRONG.iter().map(ToString::to_string).collect();
    let mut pages = String::new();
    let scrape = soon(async {
        loop {
            let text = ask(address, "GET", "/metrics").await;
            secrets.extend(signatures(&api.simulator.requests()));
            let scrape = Scrape::parse(&text).expect("valid text");
            pages.push_str(&text);
            // Each of them worked once, or failed once; the same key is read once for two of them.
            let fetched = scrape.series("mqtt_presence_credential_refreshes_total");
            let silent = fetched
                .chunks(2)
                .filter(|results| results.iter().all(|result| result.value < 1.0))
                .count();
            let asked = scrape.series("mqtt_presence_api_up").len();
            if silent == 0 && asked == all {
                return scrape;
            }
            tokio::time::sleep(Duration::from_millis(300)).await;
        }
    })
    .await;
    for (method, path) in [
        ("GET", "/"),
        ("GET", "/config"),
        ("GET", "/nothing"),
        ("POST", "/metrics"),
        ("GET", "/-/ready"),
    ] {
        pages += &ask(address, method, path).await;
    }
    drop(exporter);
    for stage in failing.iter().chain([&api]) {
        secrets.extend(stage.simulator.secrets());
    }
    let read = |name: &str| std::fs::read_to_string(folder.path().join(name)).expect("text");
    let up = scrape
        .matching("mqtt_presence_api_up", &[])
        .iter()
        .filter(|sample| sample.value > 0.0)
        .count();
    assert_eq!(
        up, working,
        "those that are to work do, and the others do not"
    );
    Said {
        log: read("stdout") + &read("stderr"),
        pages,
        secrets,
        up,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_secret_token_or_signature_is_ever_shown() {
    let (v3, v2) = tokio::join!(run("v3"), run("v2"));
    for Said {
        log,
        pages,
        secrets,
        up,
    } in [v3, v2]
    {
        assert!(up > 10 && secrets.len() > 20, "{} secrets", secrets.len());
        for secret in &secrets {
            for said in [&log, &pages] {
                assert!(!said.contains(&**secret), "{secret} is in {said}");
            }
        }
        // The names of keys are no secret, but the server's string to sign is full of them.
        for name in ["simulator-key-", "STS."] {
            assert!(!log.contains(name), "{log}");
        }
        // It did go through all of this.
        for told in [
            "SignatureDoesNotMatch",
            "InvalidAccessKeyId.NotFound",
            "AuthenticationFail.OIDCToken.Invalid",
            "EntityNotExist.Role",
            "absent: No such file",
            "which is not supported",
            "neither a section nor",
            "not the JSON of Alibaba Cloud's CLI",
            "the metadata service at ",
            "the credentials URI at ",
            "the answer ended early",
            "the connection ended before the answer",
            "HTTP status 502",
            "no answer within 10s",
            "level=debug",
        ] {
            assert!(log.contains(told), "{told} is not in {log}");
        }
        assert!(
            pages.contains("access_key_secret: <secret>")
                && pages.contains("/credentials?<secret>"),
            "{pages}"
        );
    }
}
