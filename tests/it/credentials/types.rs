//! Each type works from a few lines.

use std::path::Path;
use std::time::Duration;

use mqtt_presence_exporter::aliyun::RULES;
use mqtt_presence_exporter::config::Config;
use mqtt_presence_exporter::simulator::{MetadataTokens, SimulatedFleet, SimulatorOptions};
use tokio::time::sleep;

use super::setup::{Place, requests, rig};
use crate::support::rig::Rig;

const HOUR: Duration = Duration::from_secs(3600);

const CLI: &str = r#"{"current": "key", "profiles": [
    {"name": "key", "mode": "AK", "access_key_id": "$KEY_ID", "access_key_secret": "$KEY_SECRET"},
    {"name": "role", "mode": "RamRoleArn", "access_key_id": "$KEY_ID", "access_key_secret": "$KEY_SECRET",
     "ram_role_arn": "$HOP", "ram_session_name": "exporter", "expired_seconds": 900},
    {"name": "hops", "mode": "ChainableRamRoleArn", "source_profile": "role", "ram_role_arn": "$READER"},
    {"name": "instance", "mode": "EcsRamRole", "ram_role_name": "presence-reader"},
    {"name": "cluster", "mode": "OIDC", "ram_role_arn": "$READER", "oidc_provider_arn": "$IDENTITY_PROVIDER",
     "oidc_token_file": "$FOLDER/token"}
]}"#;

const INI: &str = "
[role]
type = ram_role_arn
access_key_id = $KEY_ID
access_key_secret = $KEY_SECRET
role_arn = $READER
[cluster]
type = oidc_role_arn
role_arn = $READER
oidc_provider_arn = $IDENTITY_PROVIDER
oidc_token_file_path = $FOLDER/token
[instance]
type = ecs_ram_role
";

/// Credentials as they stand in a configuration, and the environment they are found in.
const CASES: &[(&str, &[(&str, &str)])] = &[
    (
        "credentials:\n  type: access_key\n  access_key_id: $KEY_ID\n  access_key_secret: $KEY_SECRET",
        &[],
    ),
    (
        "credentials:\n  type: access_key\n  access_key_id: $KEY_ID\n  access_key_secret_file: $FOLDER/secret",
        &[],
    ),
    (
        "credentials:\n  type: env",
        &[
            ("ALIBABA_CLOUD_ACCESS_KEY_ID", "$KEY_ID"),
            ("ALIBABA_CLOUD_ACCESS_KEY_SECRET", "$KEY_SECRET"),
        ],
    ),
    ("credentials:\n  type: profile", &[("HOME", "$FOLDER")]),
    (
        "credentials:\n  type: profile\n  profile: role\n  sts_endpoint: $ENDPOINT",
        &[("HOME", "$FOLDER")],
    ),
    (
        "credentials:\n  type: profile\n  profile: hops\n  sts_endpoint: $ENDPOINT",
        &[("HOME", "$FOLDER")],
    ),
    (
        "credentials:\n  type: profile\n  profile: cluster\n  file: $FOLDER/.aliyun/config.json\n  sts_endpoint: $ENDPOINT",
        &[],
    ),
    (
        "credentials:\n  type: profile\n  profile: instance\n  metadata_endpoint: $ENDPOINT",
        &[("HOME", "$FOLDER")],
    ),
    (
        "credentials:\n  type: profile\n  profile: role\n  file: $FOLDER/sdk.ini\n  sts_endpoint: $ENDPOINT",
        &[],
    ),
    (
        "credentials:\n  type: profile\n  profile: cluster\n  file: $FOLDER/sdk.ini\n  sts_endpoint: $ENDPOINT",
        &[],
    ),
    (
        "credentials:\n  type: profile\n  profile: instance\n  file: $FOLDER/sdk.ini\n  metadata_endpoint: $ENDPOINT",
        &[],
    ),
    (
        "credentials:\n  type: ecs_ram_role\n  metadata_endpoint: $ENDPOINT",
        &[],
    ),
    (
        "credentials:\n  type: oidc\n  sts_endpoint: $ENDPOINT",
        &[
            ("ALIBABA_CLOUD_ROLE_ARN", "$READER"),
            ("ALIBABA_CLOUD_OIDC_PROVIDER_ARN", "$IDENTITY_PROVIDER"),
            ("ALIBABA_CLOUD_OIDC_TOKEN_FILE", "$FOLDER/token"),
        ],
    ),
    (
        "credentials:\n  type: assume_role\n  role_arn: $READER\n  sts_endpoint: $ENDPOINT",
        &[
            ("ALIBABA_CLOUD_ACCESS_KEY_ID", "$KEY_ID"),
            ("ALIBABA_CLOUD_ACCESS_KEY_SECRET", "$KEY_SECRET"),
        ],
    ),
    (
        "credentials:\n  type: assume_role\n  role_arn: $READER\n  sts_endpoint: $ENDPOINT\n  source: {type: assume_role, role_arn: '$HOP', sts_endpoint: '$ENDPOINT', source: {type: uri, uri: '$URI'}}",
        &[],
    ),
    ("credentials:\n  type: uri\n  uri: $URI", &[]),
    (
        "credentials:\n  type: uri",
        &[("ALIBABA_CLOUD_CREDENTIALS_URI", "$URI")],
    ),
    ("", &[("HOME", "$FOLDER")]),
    (
        "",
        &[
            ("ALIBABA_CLOUD_CREDENTIALS_URI", "$URI"),
            ("ALIBABA_CLOUD_ECS_METADATA_DISABLED", "true"),
        ],
    ),
];

fn place(rig: &Rig) -> Place {
    let place = Place::new(rig);
    place.file("secret", "$KEY_SECRET\n");
    place.file(".aliyun/config.json", CLI);
    place.file("sdk.ini", INI);
    place.file("token", &place.identity.oidc_token);
    place
}

#[tokio::test(start_paused = true)]
async fn every_type_works_from_five_lines() {
    let rig = rig(5, HOUR).await;
    let place = place(&rig);
    for (credentials, variables) in CASES {
        assert!(credentials.lines().count() <= 5, "{credentials}");
        let configuration = rig.configuration_with(&place.fill(credentials), "", "");
        let exporter = rig.start_in(place.env(variables), &configuration).await;
        sleep(Duration::from_secs(3)).await;
        let scrape = exporter.scrape().await;
        let told = format!("{credentials} in {variables:?}");
        assert_eq!(
            scrape.value("mqtt_presence_api_up", &[]),
            Some(1.0),
            "{told}"
        );
        assert_eq!(
            scrape.series("mqtt_presence_client_online").len(),
            5,
            "{told}"
        );
        assert!(
            scrape.sum("mqtt_presence_api_errors_total", &[]).abs() < 0.5,
            "{told}"
        );
        let fetched = scrape.value(
            "mqtt_presence_credential_refreshes_total",
            &[("result", "success")],
        );
        assert_eq!(fetched, Some(1.0), "{told}");
        exporter.stop().await;
    }
}

#[tokio::test(start_paused = true)]
async fn temporary_credentials_show_when_they_expire_and_others_do_not() {
    let rig = rig(1, HOUR).await;
    let place = place(&rig);
    for (credentials, expire) in [
        ("{type: uri, uri: '$URI'}", true),
        ("{type: profile, file: $FOLDER/.aliyun/config.json}", false),
    ] {
        let configuration =
            rig.configuration_with(&place.fill(&format!("credentials: {credentials}")), "", "");
        let exporter = rig.start(&configuration).await;
        sleep(Duration::from_secs(3)).await;
        let expiry = exporter
            .scrape()
            .await
            .value("mqtt_presence_credential_expiry_timestamp_seconds", &[]);
        let now = rig.clock.now().as_seconds();
        assert_eq!(
            expiry.map(|at| (3590.0..=3600.0).contains(&(at - now))),
            expire.then_some(true)
        );
        exporter.stop().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_role_is_asked_for_as_the_configuration_says() {
    let rig = rig(1, HOUR).await;
    let place = place(&rig);
    let provider = place.provider(
        &rig,
        r#"{type: assume_role, role_arn: "$READER", role_session_name: exporter, duration: 15m, external_id: "a b",
            policy: '{"Version": "1"}', sts_endpoint: "$ENDPOINT", source: {type: profile, file: $FOLDER/.aliyun/config.json}}"#,
        &place.env(&[]),
    );
    let got = provider.get().await.expect("credentials");
    assert!(got.id().starts_with("STS.presence-reader."));
    let request = rig.simulator.requests().pop().expect("a request");
    let query = request
        .target
        .split_once('?')
        .expect("a query")
        .1
        .to_owned();
    let params: std::collections::BTreeMap<_, _> = form_urlencoded::parse(query.as_bytes())
        .into_owned()
        .collect();
    let expected = [
        ("DurationSeconds", "900"),
        ("ExternalId", "a b"),
        ("Policy", r#"{"Version": "1"}"#),
        ("RoleArn", &place.identity.role_arns[0]),
        ("RoleSessionName", "exporter"),
    ];
    assert_eq!(
        params,
        expected
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into()
    );
}

#[tokio::test(start_paused = true)]
async fn the_token_of_a_cluster_stays_out_of_the_url() {
    let rig = rig(1, HOUR).await;
    let place = place(&rig);
    let provider = place.provider(
        &rig,
        "{type: oidc, role_arn: '$READER', oidc_provider_arn: '$IDENTITY_PROVIDER', oidc_token_file: $FOLDER/token, sts_endpoint: '$ENDPOINT'}",
        &place.env(&[]),
    );
    provider.get().await.expect("credentials");
    let request = rig.simulator.requests().pop().expect("a request");
    let token = &place.identity.oidc_token;
    assert!(request.body.contains(&**token), "{request:?}");
    assert!(
        !request.target.contains(&**token) && !format!("{:?}", request.headers).contains(&**token),
        "{request:?}"
    );
}

/// The outcome of asking a metadata service that makes this of tokens.
async fn from_metadata(
    tokens: MetadataTokens,
    variables: &[(&str, &str)],
) -> Result<usize, String> {
    let fleet = SimulatedFleet::generate(1, 1);
    let rig = Rig::with(SimulatorOptions {
        fleet,
        metadata_tokens: tokens,
        ..SimulatorOptions::default()
    })
    .await;
    let place = Place::new(&rig);
    let provider = place.provider(
        &rig,
        "{type: ecs_ram_role, metadata_endpoint: '$ENDPOINT'}",
        &place.env(variables),
    );
    provider.get().await.map_err(|error| error.to_string())?;
    let with_token = |name: &String| name == "x-aliyun-ecs-metadata-token";
    let requests = rig.simulator.requests();
    Ok(requests
        .iter()
        .filter(|request| request.headers.iter().any(|(name, _)| with_token(name)))
        .count())
}

#[tokio::test(start_paused = true)]
async fn the_metadata_service_is_asked_with_a_token_where_it_gives_one() {
    let disabled = [("ALIBABA_CLOUD_IMDSV1_DISABLED", "true")];
    for tokens in [MetadataTokens::Required, MetadataTokens::Optional] {
        assert_eq!(from_metadata(tokens, &[]).await, Ok(2));
        assert_eq!(from_metadata(tokens, &disabled).await, Ok(2));
    }
    assert_eq!(from_metadata(MetadataTokens::Unknown, &[]).await, Ok(0));
    let refused = from_metadata(MetadataTokens::Unknown, &disabled)
        .await
        .expect_err("no token");
    assert!(
        refused.ends_with("HTTP status 404 instead of a token"),
        "{refused}"
    );
    let disabled = from_metadata(
        MetadataTokens::Required,
        &[("ALIBABA_CLOUD_ECS_METADATA_DISABLED", "true")],
    )
    .await;
    assert_eq!(
        disabled,
        Err("ALIBABA_CLOUD_ECS_METADATA_DISABLED is true".to_owned())
    );
}

#[tokio::test(start_paused = true)]
async fn a_chain_takes_the_first_that_is_configured_and_lists_what_it_tried() {
    let rig = rig(1, HOUR).await;
    let place = place(&rig);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
        .await
        .expect("a free port");
    let nobody = format!("http://{}", listener.local_addr().expect("it listens"));
    drop(listener);
    // The last link is there, but the one before it may be the right one: it is not asked.
    let chain = |metadata: &str| {
        format!(
            "{{type: chain, providers: [{{type: env}}, {{type: oidc, sts_endpoint: '$ENDPOINT'}}, {{type: profile}}, {{type: ecs_ram_role{metadata}}}, {{type: uri}}]}}"
        )
    };
    let uri = place.env(&[("ALIBABA_CLOUD_CREDENTIALS_URI", "$URI")]);
    let provider = place.provider(&rig, &chain(", metadata_endpoint: '$ENDPOINT'"), &uri);
    assert!(
        provider
            .get()
            .await
            .expect("credentials")
            .id()
            .starts_with("STS.")
    );
    assert_eq!(
        (
            requests(&rig, "/latest/api/token"),
            requests(&rig, "/credentials")
        ),
        (1, 0)
    );

    let provider = place.provider(
        &rig,
        &chain(&format!(", metadata_endpoint: '{nobody}'")),
        &uri,
    );
    let error = provider
        .get()
        .await
        .expect_err("somebody named the metadata service")
        .to_string();
    for attempt in [
        "env: ALIBABA_CLOUD_ACCESS_KEY_ID and ALIBABA_CLOUD_ACCESS_KEY_SECRET are not set; ",
        "oidc: ALIBABA_CLOUD_ROLE_ARN and ALIBABA_CLOUD_OIDC_PROVIDER_ARN and ALIBABA_CLOUD_OIDC_TOKEN_FILE are not set; ",
        "profile: no file is named and HOME is not set; ",
        "ecs_ram_role: the metadata service at ",
    ] {
        assert!(error.contains(attempt), "{error}");
    }
    assert!(!error.contains("uri: "), "{error}");
}

#[test]
fn the_examples_of_the_documentation_are_valid() {
    let text = std::fs::read_to_string("docs/security.md").expect("the documentation");
    let blocks = text
        .split("```yaml\n")
        .skip(1)
        .filter_map(|rest| rest.split("```").next());
    let examples: Vec<_> = blocks
        .filter(|block| block.starts_with("credentials:"))
        .collect();
    assert!(examples.len() >= 3);
    for example in examples {
        let text = format!(
            "{example}\ninstances: [{{id: post-cn-1, region: cn-hangzhou, clients: [GID_test@@@a]}}]"
        );
        let loaded = Config::parse(&text, Path::new("c.yaml"), &RULES)
            .unwrap_or_else(|problems| panic!("{problems}: {text}"));
        assert_eq!(loaded.warnings, []);
    }
}
