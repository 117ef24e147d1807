//! Sources without a service: variables and files. Sources with a service are tested over HTTP
//! (`tests/it/credentials`).

use std::path::{Path, PathBuf};

use proptest::prelude::*;
use tempfile::TempDir;

use std::sync::Arc;

use super::*;
use crate::aliyun::access_key::AccessKey;
use crate::clock::Clock;
use crate::config::{Endpoints, Env, Provider as Config, SecretSource, Signature};
use crate::random::Random;
use crate::secret::Secret;
use crate::telemetry::Metrics;

const CLI: &str = r#"{
    "current": "ak",
    "profiles": [
        {"name": "ak", "mode": "AK", "access_key_id": "cli-id", "access_key_secret": "cli-secret", "region_id": "x"},
        {"name": "sts", "mode": "StsToken", "access_key_id": "s-id", "access_key_secret": "s-secret", "sts_token": "s-t"},
        {"name": "sso", "mode": "CloudSSO", "cloud_sso_account_id": "a"},
        {"name": "loop", "mode": "ChainableRamRoleArn", "source_profile": "pool", "ram_role_arn": "c"},
        {"name": "pool", "mode": "ChainableRamRoleArn", "source_profile": "loop", "ram_role_arn": "c"},
        {"name": "lost", "mode": "ChainableRamRoleArn", "source_profile": "nowhere", "ram_role_arn": "c"},
        {"name": "short", "mode": "OIDC", "ram_role_arn": "c", "expired_seconds": 60},
        {"name": "bare", "mode": "AK"},
        {"name": "tokenless", "mode": "StsToken", "access_key_id": "a", "access_key_secret": "b"}
    ]
}"#;

const INI: &str = "\
; comment
[default]
type = access_key            # the only type
access_key_id = ini-id
access_key_secret = ini-secret

[ prod ]
type: access_key
Access_Key_Id: prod-id
access_key_secret: prod=secret

[pair]
type = rsa_key_pair
public_key_id = x
";

/// A home directory with `files` in it.
fn home(files: &[(&str, &str)]) -> TempDir {
    let home = tempfile::tempdir().expect("a directory");
    for (name, text) in files {
        let path = home.path().join(name);
        std::fs::create_dir_all(path.parent().expect("in a directory")).expect("a directory");
        std::fs::write(path, text).expect("a file");
    }
    home
}

fn env(home: &TempDir, more: &[(&str, &str)]) -> Env {
    [("HOME", home.path().to_str().expect("UTF-8"))]
        .iter()
        .chain(more)
        .copied()
        .collect()
}

fn profile(name: Option<&str>, file: Option<PathBuf>) -> Config {
    Config::Profile {
        name: name.map(str::to_owned),
        file,
        endpoints: Endpoints::default(),
    }
}

fn chain() -> Config {
    Config::Chain {
        providers: vec![Config::Env, profile(None, None)],
    }
}

/// ID, secret and token.
type Key = (String, String, Option<String>);

fn deps(env: &Env) -> ProviderDeps {
    ProviderDeps {
        env: env.clone(),
        clock: Clock::system(),
        random: Random::new(|| 0),
        metrics: Arc::new(Metrics::new(std::time::Duration::from_secs(5))),
        signature: Signature::V3,
        ca_file: None,
        resolver: crate::net::Resolver::system(),
    }
}

async fn fetch(config: &Config, env: &Env) -> Result<Key, FetchError> {
    let got = CredentialProvider::new("test", config, &deps(env))
        .get()
        .await?;
    let token = got.security_token().map(|token| token.expose().to_owned());
    Ok((got.id().to_owned(), got.secret().expose().to_owned(), token))
}

fn key(id: &str, secret: &str) -> Key {
    (id.to_owned(), secret.to_owned(), None)
}

async fn failure(config: &Config, env: &Env) -> String {
    match fetch(config, env).await {
        Err(FetchError::Failed(why)) => why,
        other => panic!("not a failure: {other:?}"),
    }
}

async fn not_configured(config: &Config, env: &Env) -> String {
    match fetch(config, env).await {
        Err(FetchError::NotConfigured(why)) => why,
        other => panic!("configured: {other:?}"),
    }
}

#[tokio::test]
async fn an_access_key_has_its_secret_inline_or_in_a_file() {
    let home = home(&[("secret", "from-file\r\n"), ("empty", "\n")]);
    let config = |secret| Config::AccessKey {
        id: "id".to_owned(),
        secret,
        token: None,
    };
    let file = |name: &str| config(SecretSource::File(home.path().join(name)));
    let none = Env::default();
    assert_eq!(
        fetch(&config(SecretSource::Inline(Secret::new("s"))), &none).await,
        Ok(key("id", "s"))
    );
    assert_eq!(
        fetch(&file("secret"), &none).await,
        Ok(key("id", "from-file"))
    );
    assert!(
        failure(&file("empty"), &none)
            .await
            .ends_with("empty is empty")
    );
    assert!(
        failure(&file("absent"), &none)
            .await
            .contains("absent: No such file")
    );
}

#[tokio::test]
async fn the_environment_needs_both_variables() {
    let (id, secret, token) = (
        "ALIBABA_CLOUD_ACCESS_KEY_ID",
        "ALIBABA_CLOUD_ACCESS_KEY_SECRET",
        "ALIBABA_CLOUD_SECURITY_TOKEN",
    );
    let env = |set: &[(&str, &str)]| set.iter().copied().collect::<Env>();
    assert_eq!(
        fetch(&Config::Env, &env(&[(id, "i"), (secret, "s")])).await,
        Ok(key("i", "s"))
    );
    let temporary = fetch(
        &Config::Env,
        &env(&[(id, "i"), (secret, "s\n"), (token, "t")]),
    )
    .await;
    assert_eq!(
        temporary,
        Ok(("i".to_owned(), "s".to_owned(), Some("t".to_owned())))
    );
    assert_eq!(
        failure(&Config::Env, &env(&[(id, "i")])).await,
        format!("{id} is set, but {secret} is not")
    );
    assert_eq!(
        failure(&Config::Env, &env(&[(secret, "s")])).await,
        format!("{secret} is set, but {id} is not")
    );
    assert!(
        not_configured(&Config::Env, &env(&[(id, ""), (token, "t")]))
            .await
            .contains("not set")
    );
    assert!(
        failure(&Config::Env, &env(&[(id, "i"), (secret, "a b")]))
            .await
            .contains("access key secret")
    );
}

#[tokio::test]
async fn a_profile_is_found_in_the_files_of_the_sdks() {
    let both = home(&[
        (".aliyun/config.json", CLI),
        (".alibabacloud/credentials.ini", INI),
    ]);
    let plain = env(&both, &[]);
    assert_eq!(
        fetch(&profile(None, None), &plain).await,
        Ok(key("cli-id", "cli-secret")),
        "the current one"
    );
    let temporary = Ok((
        "s-id".to_owned(),
        "s-secret".to_owned(),
        Some("s-t".to_owned()),
    ));
    assert_eq!(fetch(&profile(Some("sts"), None), &plain).await, temporary);
    assert_eq!(
        fetch(
            &profile(None, None),
            &env(&both, &[("ALIBABA_CLOUD_PROFILE", "sts")])
        )
        .await,
        temporary
    );
    assert_eq!(
        fetch(&profile(Some("prod"), None), &plain).await,
        Ok(key("prod-id", "prod=secret")),
        "in the second file"
    );
    let no_cli = env(&both, &[("ALIBABA_CLOUD_CLI_PROFILE_DISABLED", "True")]);
    assert_eq!(
        fetch(&profile(None, None), &no_cli).await,
        Ok(key("ini-id", "ini-secret"))
    );

    let go = home(&[(".alibabacloud/credentials", INI)]);
    assert_eq!(
        fetch(&profile(None, None), &env(&go, &[])).await,
        Ok(key("ini-id", "ini-secret"))
    );

    let elsewhere = home(&[("my.ini", INI), ("my.json", CLI)]);
    let file = elsewhere.path().join("my.ini");
    let named = env(
        &elsewhere,
        &[(
            "ALIBABA_CLOUD_CREDENTIALS_FILE",
            file.to_str().expect("UTF-8"),
        )],
    );
    assert_eq!(
        fetch(&profile(None, None), &named).await,
        Ok(key("ini-id", "ini-secret"))
    );
    let json = Some(elsewhere.path().join("my.json"));
    assert_eq!(
        fetch(&profile(Some("ak"), json), &Env::default()).await,
        Ok(key("cli-id", "cli-secret"))
    );
}

#[tokio::test]
async fn an_unusable_profile_is_explained() {
    let both = home(&[
        (".aliyun/config.json", CLI),
        (".alibabacloud/credentials.ini", INI),
        ("bad.json", "{\"pro"),
    ]);
    let env = env(&both, &[]);
    let named = |name| profile(Some(name), None);
    let sso = failure(&named("sso"), &env).await;
    assert!(
        sso.contains(
            "profile `sso` has mode `CloudSSO`, which is not supported; use one with mode `AK`"
        ),
        "{sso}"
    );
    let pair = failure(
        &profile(
            Some("pair"),
            Some(both.path().join(".alibabacloud/credentials.ini")),
        ),
        &env,
    )
    .await;
    assert!(
        pair.contains(
            "profile `pair` has type `rsa_key_pair`, which is not supported; use one with type"
        ),
        "{pair}"
    );
    assert!(
        failure(&named("loop"), &env)
            .await
            .ends_with("profile `pool` has the `source_profile` `loop`, which leads back to it")
    );
    assert!(
        failure(&named("lost"), &env)
            .await
            .contains("`source_profile` `nowhere`, which does not exist")
    );
    assert!(
        failure(&named("short"), &env)
            .await
            .ends_with("profile `short` has `expired_seconds` below 900")
    );
    assert!(
        failure(&named("bare"), &env)
            .await
            .ends_with("profile `bare`: the access key ID is empty")
    );
    assert!(
        failure(&named("tokenless"), &env)
            .await
            .contains("no `sts_token`")
    );

    let absent = failure(&named("absent"), &env).await;
    assert!(
        absent.contains("config.json has no profile `absent`"),
        "{absent}"
    );
    assert!(
        absent.contains("credentials.ini has no profile `absent`"),
        "{absent}"
    );

    let bad = failure(&profile(None, Some(both.path().join("bad.json"))), &env).await;
    assert!(bad.ends_with("(line 1, column 5)"), "{bad}");
    let gone = failure(&profile(None, Some(both.path().join("gone"))), &env).await;
    assert!(gone.contains("gone: No such file"), "{gone}");

    let nothing = not_configured(&profile(None, None), &Env::default()).await;
    assert!(nothing.contains("HOME is not set"), "{nothing}");
}

#[tokio::test]
async fn a_chain_continues_only_after_unconfigured_sources() {
    let empty = home(&[]);
    let list = not_configured(&chain(), &env(&empty, &[])).await;
    for attempt in [
        "env: ALIBABA_CLOUD_ACCESS_KEY_ID",
        "profile: ",
        ".aliyun/config.json does not exist",
        ".alibabacloud/",
    ] {
        assert!(list.contains(attempt), "{list}");
    }

    let filled = home(&[(".aliyun/config.json", CLI)]);
    assert_eq!(
        fetch(&chain(), &env(&filled, &[])).await,
        Ok(key("cli-id", "cli-secret"))
    );
    let half = failure(
        &chain(),
        &env(&filled, &[("ALIBABA_CLOUD_ACCESS_KEY_ID", "i")]),
    )
    .await;
    assert!(
        half.starts_with("env: ALIBABA_CLOUD_ACCESS_KEY_ID is set"),
        "{half}"
    );
    let broken = home(&[
        (".aliyun/config.json", "{"),
        (".alibabacloud/credentials.ini", INI),
    ]);
    let stopped = failure(&chain(), &env(&broken, &[])).await;
    assert!(
        stopped.contains("env: ") && stopped.contains("profile: "),
        "every attempt is listed: {stopped}"
    );
}

/// A provider whose secret is in `file`.
fn in_file(file: &Path) -> CredentialProvider {
    let secret = SecretSource::File(file.to_owned());
    CredentialProvider::new(
        "test",
        &Config::AccessKey {
            id: "id".to_owned(),
            secret,
            token: None,
        },
        &deps(&Env::default()),
    )
}

#[tokio::test]
async fn credentials_are_kept_until_they_are_refreshed() {
    let home = home(&[("secret", "old")]);
    let file = home.path().join("secret");
    let provider = in_file(&file);
    let old = provider.get().await.expect("there");
    std::fs::write(&file, "new").expect("a file");
    assert_eq!(provider.get().await.expect("kept"), old);

    assert!(provider.refresh(Some(&old)).await, "other credentials");
    let new = provider.get().await.expect("there");
    assert_eq!(new.secret().expose(), "new");
    assert!(!provider.refresh(Some(&new)).await, "the same credentials");

    // A late answer refuses the old credentials, which are no longer in use.
    std::fs::write(&file, "newer").expect("a file");
    assert!(provider.refresh(Some(&old)).await);
    assert_eq!(
        provider.get().await.expect("there"),
        new,
        "nothing was fetched for it"
    );

    std::fs::remove_file(&file).expect("a file");
    assert!(!provider.refresh(Some(&new)).await);
    assert_eq!(
        provider.get().await.expect("kept"),
        new,
        "the refusal may be wrong"
    );
}

proptest! {
    #[test]
    fn an_access_key_does_not_print_its_content(id in "[a-z]{12}", secret in "[0-9]{12}", token in "[A-Z]{12}") {
        let made = AccessKey::new(&id, &Secret::new(secret.as_str()), Some(&Secret::new(token.as_str())));
        let printed = format!("{made:?}");
        prop_assert!(!printed.contains(&id) && !printed.contains(&secret) && !printed.contains(&token));
    }
}
