//! Which certificates a client has to show: what the toolkit's documentation says of each policy.

use rustls::version::{TLS12, TLS13};

use super::{Guarded, PAIR};
use crate::support::pki::{
    Authority, Identity, TlsClient, expired, for_servers, of_authority, request, self_signed,
};

/// Whether a client with this certificate is let in, which is the same in each version of TLS.
async fn lets_in(guarded: &Guarded, identity: Option<&Identity>) -> bool {
    let mut outcomes = Vec::new();
    for version in [&TLS12, &TLS13] {
        let client = TlsClient {
            version: Some(version),
            identity: identity.cloned(),
            ..guarded.client()
        };
        outcomes.push(guarded.lets_in(&client).await);
    }
    assert_eq!(outcomes[0], outcomes[1]);
    outcomes[0]
}

#[tokio::test]
async fn each_policy_lets_in_whom_its_name_says() {
    for (policy, nobody, unknown, known) in [
        ("NoClientCert", true, true, true),
        ("RequestClientCert", true, true, true),
        ("RequireAnyClientCert", false, true, true),
        ("RequireClientCert", false, true, true),
        ("VerifyClientCertIfGiven", true, false, true),
        ("RequireAndVerifyClientCert", false, false, true),
    ] {
        let ca = if policy == "NoClientCert" {
            ""
        } else {
            "  client_ca_file: ca.pem\n"
        };
        let guarded = Guarded::start(&format!("{PAIR}  client_auth_type: {policy}\n{ca}")).await;
        let issued = guarded.authority.issue(&request(&["prometheus.example"]));
        let foreign = Authority::new().issue(&request(&["prometheus.example"]));
        assert_eq!(
            lets_in(&guarded, None).await,
            nobody,
            "{policy}, no certificate"
        );
        assert_eq!(
            lets_in(&guarded, Some(&foreign)).await,
            unknown,
            "{policy}, another's"
        );
        assert_eq!(
            lets_in(&guarded, Some(&issued)).await,
            known,
            "{policy}, ours"
        );
    }
}

#[tokio::test]
async fn what_has_expired_or_is_for_something_else_is_no_good() {
    let guarded = Guarded::start(&format!(
        "{PAIR}  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: ca.pem\n"
    ))
    .await;
    for request in [expired(request(&["x"])), for_servers(request(&["x"]))] {
        assert!(!lets_in(&guarded, Some(&guarded.authority.issue(&request))).await);
    }
}

#[tokio::test]
async fn a_certificate_that_is_trusted_itself_is_let_in() {
    let guarded = Guarded::start(PAIR).await;
    for (request, good) in [
        (request(&["x"]), true),
        (of_authority(request(&["x"])), true),
        (of_authority(expired(request(&["x"]))), false),
        (of_authority(for_servers(request(&["x"]))), false),
    ] {
        let own = self_signed(&request);
        let text = own.certificate.replace('\n', "\n    ");
        let config = format!(
            "{PAIR}  client_auth_type: RequireAndVerifyClientCert\n  client_ca: |\n    {text}\n"
        );
        let guarded = Guarded::start(&config).await;
        assert_eq!(lets_in(&guarded, Some(&own)).await, good);
        assert!(
            !lets_in(&guarded, Some(&self_signed(&request))).await,
            "the same names, another key"
        );
    }
    drop(guarded);
}

#[tokio::test]
async fn of_its_names_one_has_to_be_allowed() {
    let allowed = "[prometheus.example, ops@example.com, 'spiffe://example/scraper', 10.0.0.1, '2001:db8::1']";
    let config = format!(
        "{PAIR}  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: ca.pem\n  client_allowed_sans: {allowed}\n"
    );
    let guarded = Guarded::start(&config).await;
    for (names, good) in [
        (&["prometheus.example"][..], true),
        (&["ops@example.com"], true),
        (&["spiffe://example/scraper"], true),
        (&["10.0.0.1"], true),
        (&["2001:0db8:0:0::1"], true),
        (&["other.example", "10.0.0.2", "10.0.0.1"], true),
        (&["a.prometheus.example"], false),
        (&["PROMETHEUS.example"], false),
        (&["10.0.0.2"], false),
        (&[], false),
    ] {
        assert_eq!(
            lets_in(&guarded, Some(&guarded.authority.issue(&request(names)))).await,
            good,
            "{names:?}"
        );
    }
    let foreign = Authority::new().issue(&request(&["prometheus.example"]));
    assert!(
        !lets_in(&guarded, Some(&foreign)).await,
        "a name that anybody may claim"
    );
}
