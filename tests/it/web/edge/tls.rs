//! What is agreed upon in a handshake.

use rustls::crypto::aws_lc_rs::{cipher_suite as suite, default_provider, kx_group};
use rustls::version::{TLS12, TLS13};
use rustls::{ProtocolVersion, SupportedCipherSuite};

use super::{Guarded, PAIR};
use crate::support::http::{Client, secured};
use crate::support::pki::TlsClient;

async fn agreed(
    guarded: &Guarded,
    client: &TlsClient,
) -> Option<(ProtocolVersion, SupportedCipherSuite)> {
    let stream = secured(guarded.server.address, client).await.ok()?;
    let connection = stream.get_ref().1;
    Some((
        connection.protocol_version()?,
        connection.negotiated_cipher_suite()?,
    ))
}

#[tokio::test]
async fn both_versions_are_spoken_and_either_can_be_left_out() {
    for (config, with_12, with_13) in [
        ("", true, true),
        ("  min_version: TLS13\n", false, true),
        ("  max_version: TLS12\n", true, false),
    ] {
        let guarded = Guarded::start(&format!("{PAIR}{config}")).await;
        for (version, spoken) in [(&TLS12, with_12), (&TLS13, with_13)] {
            let client = TlsClient {
                version: Some(version),
                ..guarded.client()
            };
            assert_eq!(
                guarded.lets_in(&client).await,
                spoken,
                "{config:?}, {version:?}"
            );
        }
    }
}

#[tokio::test]
async fn a_certificate_may_stand_in_the_file_itself() {
    let other = Guarded::start(PAIR).await;
    let identity = other.authority.server();
    let text = |pem: &str| pem.replace('\n', "\n    ");
    let config = format!(
        "tls_server_config:\n  cert: |\n    {}\n  key: |\n    {}\n",
        text(&identity.certificate),
        text(&identity.key)
    );
    let guarded = Guarded::start(&config).await;
    assert!(guarded.lets_in(&other.client()).await);
    assert!(
        !guarded.lets_in(&guarded.client()).await,
        "another authority"
    );
}

#[tokio::test]
async fn the_order_of_the_suites_is_the_servers_if_it_is_to_be() {
    let [ours, theirs] = [
        suite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
        suite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
    ];
    let suites = "  cipher_suites: [TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256]\n";
    for (config, chosen) in [
        ("", ours),
        ("  prefer_server_cipher_suites: false\n", theirs),
    ] {
        let guarded = Guarded::start(&format!("{PAIR}{suites}{config}")).await;
        let of = |suites: &[SupportedCipherSuite]| {
            let mut provider = default_provider();
            provider.cipher_suites = suites.to_vec();
            TlsClient {
                version: Some(&TLS12),
                provider: Some(provider),
                ..guarded.client()
            }
        };
        assert_eq!(
            agreed(&guarded, &of(&[theirs, ours])).await,
            Some((ProtocolVersion::TLSv1_2, chosen))
        );
        let none_in_common = of(&[suite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384]);
        assert_eq!(agreed(&guarded, &none_in_common).await, None);
        // The suites of TLS 1.3 are not for choosing.
        let (version, _) = agreed(&guarded, &guarded.client()).await.expect("TLS 1.3");
        assert_eq!(version, ProtocolVersion::TLSv1_3);
    }
}

#[tokio::test]
async fn only_the_curves_of_the_list_are_used() {
    let guarded = Guarded::start(&format!(
        "{PAIR}  curve_preferences: [CurveP384, CurveP256]\n"
    ))
    .await;
    for (group, agrees) in [
        (kx_group::X25519, false),
        (kx_group::SECP256R1, true),
        (kx_group::SECP384R1, true),
    ] {
        let mut provider = default_provider();
        provider.kx_groups = vec![group];
        let client = TlsClient {
            provider: Some(provider),
            ..guarded.client()
        };
        assert_eq!(guarded.lets_in(&client).await, agrees, "{group:?}");
    }
}

#[tokio::test]
async fn whoever_speaks_http_is_told_to_speak_https() {
    let guarded = Guarded::start(PAIR).await;
    let answer = guarded.server.get("/").await;
    assert_eq!(answer.status, 400);
    assert_eq!(
        answer.text(),
        "this server speaks HTTPS; use https:// in the URL\n"
    );
}

#[tokio::test]
async fn what_is_no_handshake_ends_its_connection_and_no_other() {
    let guarded = Guarded::start(PAIR).await;
    let mut bystander = Client::secured(guarded.server.address, &guarded.client())
        .await
        .expect("let in");
    for bytes in [
        "\0\0\0\0\0\0\0\0",
        "\x16\x03\x01\x7f\x7f\x01",
        "\x15\x03\x01\0\x02\x02\x28",
        "hello\r\n\r\n",
    ] {
        let mut client = guarded.server.client().await;
        client.send(bytes).await;
        client.finished().await;
    }
    bystander
        .send(&crate::support::http::request("GET", "/", &[]))
        .await;
    assert_eq!(
        bystander.answer("GET").await.expect("an answer").text(),
        "hello"
    );
}
