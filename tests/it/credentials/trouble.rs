//! Services that fail, in every way: each error says who failed and how, and holds no secret.

use std::time::Duration;

use mqtt_presence_exporter::config::Env;
use mqtt_presence_exporter::simulator::Faults;
use tokio::time::sleep;

use super::setup::{Place, always, down, requests, rig};

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3600);

const STS: &str =
    "{type: assume_role, role_arn: '$READER', sts_endpoint: '$ENDPOINT', source: {type: env}}";
const OIDC: &str = "{type: oidc, role_arn: '$READER', oidc_provider_arn: '$IDENTITY_PROVIDER', oidc_token_file: $FOLDER/token, sts_endpoint: '$ENDPOINT'}";
const METADATA: &str = "{type: ecs_ram_role, metadata_endpoint: '$ENDPOINT'}";
const URI: &str = "{type: uri, uri: '$URI?token=hidden-token'}";

const KEY: [(&str, &str); 2] = [
    ("ALIBABA_CLOUD_ACCESS_KEY_ID", "$KEY_ID"),
    ("ALIBABA_CLOUD_ACCESS_KEY_SECRET", "$KEY_SECRET"),
];

/// What is said about `credentials` while these faults are in force.
async fn error_of(credentials: &str, faults: Faults, variables: &[(&str, &str)]) -> String {
    let rig = rig(1, HOUR).await;
    let place = Place::new(&rig);
    place.file("token", &place.identity.oidc_token);
    rig.simulator.set_credential_faults(faults);
    let provider = place.provider(&rig, credentials, &place.env(variables));
    let error = provider.get().await.expect_err("a failure").to_string();
    for secret in rig
        .simulator
        .secrets()
        .iter()
        .map(String::as_str)
        .chain(["hidden-token", "/credentials?"])
    {
        assert!(!error.contains(secret), "{error}");
    }
    error.replace(&rig.announcement.endpoint, "$ENDPOINT")
}

#[tokio::test(start_paused = true)]
async fn whatever_goes_wrong_is_told_with_the_service_that_it_happened_to() {
    let none = Faults::default;
    let all: [(Faults, [&str; 4]); 6] = [
        (
            down(),
            [
                "InternalError: The service failed; try again later. (request ID ",
                "InternalError: The service failed; try again later. (request ID ",
                "HTTP status 500 instead of the name of a role",
                "HTTP status 500",
            ],
        ),
        (
            Faults {
                bad_gateway: always(),
                ..none()
            },
            [
                "HTTP status 502 without an error of the service",
                "HTTP status 502 without an error of the service",
                "HTTP status 502 instead of the name of a role",
                "HTTP status 502",
            ],
        ),
        (
            Faults {
                undecodable: always(),
                ..none()
            },
            [
                "the answer is not the expected JSON (line 1, column 18)",
                "the answer is not the expected JSON (line 1, column 18)",
                "the answer is not the name of a role",
                "the answer is not the expected JSON (line 1, column 18)",
            ],
        ),
        (
            Faults {
                truncated: always(),
                ..none()
            },
            ["the answer ended early"; 4],
        ),
        (
            Faults {
                reset: always(),
                ..none()
            },
            ["the connection ended before the answer"; 4],
        ),
        (
            Faults {
                hang: always(),
                ..none()
            },
            [
                "no answer within 10s",
                "no answer within 10s",
                "no answer within 1s",
                "no answer within 10s",
            ],
        ),
    ];
    let services = [
        (STS, "the security token service at $ENDPOINT: "),
        (OIDC, "the security token service at $ENDPOINT: "),
        (METADATA, "the metadata service at $ENDPOINT: "),
        (URI, "the credentials URI at $ENDPOINT: "),
    ];
    for (faults, told) in all {
        for ((credentials, service), told) in services.iter().zip(told) {
            let error = error_of(credentials, faults.clone(), &KEY).await;
            assert!(error.contains(&format!("{service}{told}")), "{error}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_the_security_token_service_refuses_is_told_with_what_to_do() {
    let wrong = |name, value| {
        if name == KEY[0].0 {
            [(name, value), KEY[1]]
        } else {
            [KEY[0], (name, value)]
        }
    };
    let refused = error_of(STS, Faults::default(), &wrong(KEY[1].0, "wrong-secret")).await;
    assert!(
        refused.contains("SignatureDoesNotMatch: The signature is not the calculated one (request"),
        "{refused}"
    );
    assert!(
        refused.ends_with("; check the access key that assumes the role"),
        "{refused}"
    );
    let unknown = error_of(STS, Faults::default(), &wrong(KEY[0].0, "nobody")).await;
    assert!(unknown.contains("InvalidAccessKeyId.NotFound"), "{unknown}");
    let missing = error_of(
        &STS.replace("$READER", "acs:ram::1000000000000001:role/x"),
        Faults::default(),
        &KEY,
    )
    .await;
    assert!(
        missing.contains("EntityNotExist.Role") && missing.contains("check `role_arn`"),
        "{missing}"
    );
    let foreign = error_of(
        &STS.replace("$READER", "acs:ram::1:role/x"),
        Faults::default(),
        &KEY,
    )
    .await;
    assert!(
        foreign.contains("NoPermission") && foreign.contains("trust policy"),
        "{foreign}"
    );
    let source = error_of(STS, Faults::default(), &[]).await;
    assert!(
        source.starts_with("env: ALIBABA_CLOUD_ACCESS_KEY_ID and"),
        "{source}"
    );
    let token = error_of(
        &OIDC.replace("$FOLDER/token", "$FOLDER/nothing"),
        Faults::default(),
        &[],
    )
    .await;
    assert!(
        token.contains("cannot read the token in ") && token.contains("No such file"),
        "{token}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_service_that_is_down_is_not_asked_once_a_call() {
    let rig = rig(1, HOUR).await;
    let place = Place::new(&rig);
    rig.simulator.set_credential_faults(down());
    let provider = place.provider(&rig, URI, &Env::default());
    for _ in 0..100 {
        assert!(provider.get().await.is_err());
        assert!(!provider.refresh(None).await);
    }
    assert_eq!(requests(&rig, "/credentials"), 1);
    for _ in 0..90 {
        sleep(SECOND).await;
        let _ = provider.get().await;
    }
    let asked = requests(&rig, "/credentials");
    assert!(
        (5..15).contains(&asked),
        "{asked} times in a minute and a half"
    );
    rig.simulator.set_credential_faults(Faults::default());
    sleep(60 * SECOND).await;
    provider.get().await.expect("it is up again");
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_is_wrong_is_made_up_for() {
    for skew in [-7200, 7200] {
        let rig = rig(1, 100 * SECOND).await;
        let place = Place::new(&rig);
        rig.simulator.set_credential_faults(Faults {
            clock_skew: skew,
            ..Faults::default()
        });
        let provider = place.provider(&rig, STS, &place.env(&KEY));
        let first = provider
            .get()
            .await
            .expect("asked once more, by the server's clock");
        assert_eq!(requests(&rig, "AssumeRole"), 2);
        sleep(45 * SECOND).await;
        assert_eq!(provider.get().await, Ok(first), "a minute is a minute");
        assert_eq!(requests(&rig, "AssumeRole"), 2);
    }
}

#[tokio::test(start_paused = true)]
async fn credentials_that_come_expired_are_refused() {
    let rig = rig(1, Duration::ZERO).await;
    let place = Place::new(&rig);
    let error = place
        .provider(&rig, URI, &Env::default())
        .get()
        .await
        .expect_err("of no use")
        .to_string();
    assert!(
        error.starts_with("the new credentials expired at 2023-11-14T22:13:2"),
        "{error}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_link_that_has_worked_is_not_passed_over_when_it_falls_silent() {
    let rig = rig(1, 100 * SECOND).await;
    let other = super::setup::rig(1, HOUR).await;
    let place = Place::new(&rig);
    place.file(
        ".alibabacloud/credentials.ini",
        "[default]\ntype = access_key\naccess_key_id = $KEY_ID\naccess_key_secret = $KEY_SECRET\n",
    );
    let env = place.env(&[
        ("HOME", "$FOLDER"),
        (
            "ALIBABA_CLOUD_CREDENTIALS_URI",
            &other.simulator.identity().credentials_uri,
        ),
    ]);
    let provider = place.provider(
        &rig,
        "{type: chain, providers: [{type: profile}, {type: uri}]}",
        &env,
    );
    let first = provider.get().await.expect("of the profile");
    std::fs::remove_file(place.folder.path().join(".alibabacloud/credentials.ini"))
        .expect("a file");
    sleep(10 * SECOND).await;
    assert!(!provider.refresh(Some(&first)).await);
    assert_eq!(
        provider.get().await,
        Ok(first),
        "and not those of the next link, which may be another account's"
    );
}
