//! Credentials that expire, are revoked, or change on disk: no answer is lost.

use std::time::Duration;

use mqtt_presence_exporter::config::Env;
use mqtt_presence_exporter::simulator::Faults;
use tokio::time::{Instant, sleep};

use super::setup::{Place, down, requests, rig};
use crate::support::SINGLE;

const SECOND: Duration = Duration::from_secs(1);

#[tokio::test(start_paused = true)]
async fn an_expiry_in_the_middle_of_a_sweep_loses_no_answer() {
    let rig = rig(1000, 4 * SECOND).await;
    let place = Place::new(&rig);
    let credentials = place.fill("credentials: {type: uri, uri: '$URI'}");
    // Ten seconds of calls.
    let exporter = rig
        .start(&rig.configuration_with(&credentials, "", ""))
        .await;
    sleep(13 * SECOND).await;
    let scrape = exporter.scrape_within(15 * SECOND).await;
    assert_eq!(
        scrape.value("mqtt_presence_sweep_coverage_ratio", &[]),
        Some(1.0)
    );
    assert!(
        scrape.sum("mqtt_presence_api_errors_total", &[]).abs() < 0.5,
        "nothing was refused"
    );
    assert!(scrape.sum("mqtt_presence_api_requests_total", &[]) >= 1000.0);
    let renewed = scrape.value(
        "mqtt_presence_credential_refreshes_total",
        &[("result", "success")],
    );
    assert!(
        renewed.is_some_and(|times| (3.0..12.0).contains(&times)),
        "{renewed:?}"
    );
    exporter.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_revocation_in_the_middle_of_a_sweep_loses_no_answer() {
    let rig = rig(1000, 3600 * SECOND).await;
    let place = Place::new(&rig);
    let credentials = place.fill("credentials: {type: uri, uri: '$URI'}");
    let exporter = rig
        .start(&rig.configuration_with(&credentials, "", ""))
        .await;
    sleep(5 * SECOND).await;
    rig.simulator.revoke_credentials();
    sleep(8 * SECOND).await;
    let scrape = exporter.scrape_within(15 * SECOND).await;
    assert_eq!(
        scrape.value("mqtt_presence_sweep_coverage_ratio", &[]),
        Some(1.0)
    );
    assert!(
        scrape.sum(
            "mqtt_presence_api_errors_total",
            &[("code", "InvalidSecurityToken")]
        ) >= 1.0
    );
    let fetched = scrape.value(
        "mqtt_presence_credential_refreshes_total",
        &[("result", "success")],
    );
    assert_eq!(
        fetched,
        Some(2.0),
        "once at the start, and once for all that were refused"
    );
    exporter.stop().await;
}

#[tokio::test(start_paused = true)]
async fn all_who_wait_share_one_fetch_and_a_renewal_holds_up_nobody() {
    let rig = rig(1, 100 * SECOND).await;
    let place = Place::new(&rig);
    rig.simulator.set_credential_faults(Faults {
        latency: (2 * SECOND).into(),
        ..Faults::default()
    });
    let provider = place.provider(&rig, "{type: uri, uri: '$URI'}", &Env::default());
    let all = futures_util::future::join_all((0..100).map(|_| provider.get())).await;
    let first = all[0].clone().expect("credentials");
    assert!(all.iter().all(|one| one.as_ref() == Ok(&first)));
    assert_eq!(requests(&rig, "/credentials"), 1);

    // Half of their time is over: the next ones are fetched while these are used.
    sleep(51 * SECOND).await;
    let before = Instant::now();
    assert_eq!(provider.get().await, Ok(first.clone()));
    assert!(before.elapsed() < SECOND);
    sleep(4 * SECOND).await;
    assert_ne!(provider.get().await, Ok(first));
    assert_eq!(requests(&rig, "/credentials"), 2);
}

#[tokio::test(start_paused = true)]
async fn one_who_loses_patience_does_not_end_the_fetch() {
    let rig = rig(3, 3600 * SECOND).await;
    let place = Place::new(&rig);
    rig.simulator.set_credential_faults(Faults {
        latency: (3 * SECOND).into(),
        ..Faults::default()
    });
    let credentials = place.fill("credentials: {type: uri, uri: '$URI'}");
    let exporter = rig
        .start(&rig.configuration_with(&credentials, "collect: {call_timeout: 2s}", ""))
        .await;
    sleep(10 * SECOND).await;
    let scrape = exporter.scrape().await;
    assert_eq!(scrape.series("mqtt_presence_client_online").len(), 3);
    assert!(
        scrape.sum("mqtt_presence_api_errors_total", &[("code", "credentials")]) >= 1.0,
        "a call gave up"
    );
    assert_eq!(requests(&rig, "/credentials"), 1);
    exporter.stop().await;
}

#[tokio::test(start_paused = true)]
async fn while_a_refresh_fails_valid_credentials_are_used_and_expired_ones_stop_calls() {
    let rig = rig(5, 120 * SECOND).await;
    let place = Place::new(&rig);
    let credentials = place.fill("credentials: {type: uri, uri: '$URI'}");
    let exporter = rig
        .start(&rig.configuration_with(&credentials, "", ""))
        .await;
    sleep(3 * SECOND).await;
    rig.simulator.set_credential_faults(down());
    let up = "mqtt_presence_api_up";
    for _ in 0..7 {
        sleep(15 * SECOND).await;
        assert_eq!(exporter.scrape().await.value(up, &[]), Some(1.0));
    }
    let failed = |scrape: &crate::support::exposition::Scrape| {
        scrape
            .value(
                "mqtt_presence_credential_refreshes_total",
                &[("result", "failure")],
            )
            .unwrap_or_default()
    };
    let scrape = exporter.scrape().await;
    assert!(
        (1.0..10.0).contains(&failed(&scrape)),
        "{}",
        failed(&scrape)
    );

    sleep(30 * SECOND).await;
    exporter.scrape().await;
    sleep(15 * SECOND).await;
    let scrape = exporter.scrape().await;
    assert_eq!(scrape.value(up, &[]), Some(0.0));
    assert!(scrape.sum("mqtt_presence_api_errors_total", &[("code", "credentials")]) >= 1.0);
    let expiry = scrape.value("mqtt_presence_credential_expiry_timestamp_seconds", &[]);
    assert!(expiry.is_some_and(|at| at < rig.clock.now().as_seconds()));
    assert_eq!(
        scrape.series("mqtt_presence_client_online").len(),
        5,
        "what was known stays known"
    );

    rig.simulator.set_credential_faults(Faults::default());
    for _ in 0..5 {
        sleep(15 * SECOND).await;
        exporter.scrape().await;
    }
    assert_eq!(exporter.scrape().await.value(up, &[]), Some(1.0));
    exporter.stop().await;
}

#[tokio::test(start_paused = true)]
async fn the_token_of_a_cluster_is_read_anew_each_time() {
    let rig = rig(1, 100 * SECOND).await;
    let place = Place::new(&rig);
    place.file("token", &place.identity.oidc_token);
    let provider = place.provider(
        &rig,
        "{type: oidc, role_arn: '$READER', oidc_provider_arn: '$IDENTITY_PROVIDER', oidc_token_file: $FOLDER/token, sts_endpoint: '$ENDPOINT'}",
        &Env::default(),
    );
    let first = provider.get().await.expect("credentials");
    rig.simulator.rotate_oidc_token();
    place.file("token", &rig.simulator.identity().oidc_token);
    sleep(60 * SECOND).await;
    provider.get().await.expect("still valid");
    sleep(SECOND).await;
    assert_ne!(
        provider.get().await,
        Ok(first),
        "renewed with the new token"
    );
}

#[tokio::test(start_paused = true)]
async fn a_secret_that_is_put_right_ends_the_wait_of_the_breaker() {
    let rig = rig(5, 3600 * SECOND).await;
    let place = Place::new(&rig);
    place.file("secret", "wrong");
    let credentials =
        place.fill("credentials: {type: access_key, access_key_id: $KEY_ID, access_key_secret_file: $FOLDER/secret}");
    let exporter = rig
        .start(&rig.configuration_with(&credentials, "", ""))
        .await;
    // By now the breaker waits for more than a minute.
    for _ in 0..10 {
        sleep(15 * SECOND).await;
        exporter.scrape().await;
    }
    let calls = rig.simulator.stats().arrivals[SINGLE];
    assert_eq!(
        exporter.scrape().await.value("mqtt_presence_api_up", &[]),
        Some(0.0)
    );
    assert!(calls < 20, "{calls}");

    place.file("secret", "$KEY_SECRET");
    sleep(15 * SECOND).await;
    let scrape = exporter.scrape().await;
    assert_eq!(scrape.value("mqtt_presence_api_up", &[]), Some(1.0));
    assert_eq!(scrape.series("mqtt_presence_client_online").len(), 5);
    exporter.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_secret_that_is_rotated_is_used_without_a_refusal() {
    let rig = rig(1, 3600 * SECOND).await;
    let place = Place::new(&rig);
    place.file("secret", "old");
    let text = "{type: access_key, access_key_id: $KEY_ID, access_key_secret_file: $FOLDER/secret}";
    let provider = place.provider(&rig, text, &Env::default());
    let secret = async || {
        provider
            .get()
            .await
            .expect("there")
            .secret()
            .expose()
            .to_owned()
    };
    assert_eq!(secret().await, "old");
    sleep(SECOND).await;
    place.file("secret", "");
    sleep(10 * SECOND).await;
    assert_eq!(secret().await, "old", "half of a rotation changes nothing");
    place.file("secret", "new");
    sleep(10 * SECOND).await;
    assert_eq!(secret().await, "new");
    assert_eq!(provider.replaced(), 1);
}
