//! The client against answers of every kind, right and wrong: each call is one request, and ends
//! in a result of the right class.

mod dns;
mod server;

use std::sync::Arc;
use std::time::Duration;

use mqtt_presence_exporter::aliyun::credentials::CredentialProvider;
use mqtt_presence_exporter::aliyun::sign::{format_date, parse_date, v3};
use mqtt_presence_exporter::aliyun::{ApiClient, ApiClientOptions, ERROR_LABELS};
use mqtt_presence_exporter::clock::{Clock, Timestamp};
use mqtt_presence_exporter::config::{Env, Provider as ProviderConfig, SecretSource, Signature};
use mqtt_presence_exporter::net::{self, Resolver};
use mqtt_presence_exporter::presence::{
    BatchEntry, CallError, ErrorClass, InstanceId, PresenceSource as _, ThrottledLayer,
};
use mqtt_presence_exporter::secret::Secret;
use server::{Server, Step};

use crate::support::tools::tools;

const ID: &str = "test-key-id";
const SECRET: &str = "test-key-secret";
const NOW: Timestamp = Timestamp::from_millis(1_709_251_199_000); // 2024-02-29T23:59:59Z
const TIMEOUT: Duration = Duration::from_secs(60);

fn inline() -> SecretSource {
    SecretSource::Inline(Secret::new(SECRET))
}

fn client_with(
    endpoint: &str,
    signature: Signature,
    secret: SecretSource,
    resolver: &Resolver,
) -> ApiClient {
    let endpoint = endpoint.parse().expect("a URL");
    let http =
        net::client::client(&endpoint, None, TIMEOUT, resolver).expect("plain HTTP needs nothing");
    let provider = ProviderConfig::AccessKey {
        id: ID.to_owned(),
        secret,
        token: None,
    };
    let instance = InstanceId::new("post-cn-example").expect("not empty");
    let options = ApiClientOptions {
        instance,
        endpoint,
        signature,
        call_timeout: TIMEOUT,
    };
    let clock = Clock::manual(NOW);
    let provider = Arc::new(CredentialProvider::new(
        "test",
        &provider,
        &tools(clock.clone(), &Env::default()),
    ));
    ApiClient::new(http, provider, clock, options)
}

fn client(server: &Server) -> ApiClient {
    client_with(
        &format!("http://{}", server.address),
        Signature::V3,
        inline(),
        &Resolver::system(),
    )
}

/// An answer with the headers that `headers` adds.
fn answer(status: u16, headers: &str, body: &str) -> String {
    format!(
        "HTTP/1.1 {status} X\r\n{headers}Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

fn ok(body: &str) -> Step {
    Step::Say(answer(200, "", body))
}

fn error(status: u16, code: &str) -> Step {
    let body = format!(
        r#"{{"Recommend":"r","Message":"m","RequestId":"R-1","HostId":"h","Code":"{code}"}}"#
    );
    Step::Say(answer(status, "Content-Type: application/json\r\n", &body))
}

/// The error that a call ends with when the server takes `step`; exactly one request was sent.
async fn failed(step: Step) -> CallError {
    let server = Server::start([step, ok(r#"{"OnlineStatus":true}"#)]).await;
    let error = client(&server)
        .query("GID_test@@@a")
        .await
        .expect_err("a failure");
    assert_eq!(
        server.requests().len(),
        1,
        "one call is one request: {error}"
    );
    assert_eq!(
        (error.operation, error.instance.as_str()),
        ("QuerySessionByClientId", "post-cn-example")
    );
    assert!(ERROR_LABELS.contains(&error.label), "{error}");
    assert!(
        !error.to_string().contains(SECRET) && !error.to_string().contains(ID),
        "{error}"
    );
    assert!(
        !error.to_string().contains("http://"),
        "the URL is nobody's business: {error}"
    );
    error
}

#[tokio::test]
async fn a_single_call_is_sent_as_the_vendors_sdk_sends_it() {
    let server = Server::start([ok(r#"{"RequestId":"R-1","OnlineStatus":true}"#)]).await;
    let answer = client(&server)
        .query("GID_test@@@a b")
        .await
        .expect("an answer");
    assert_eq!(
        (answer.value, answer.request_id.as_deref()),
        (true, Some("R-1"))
    );

    let [request] = &server.requests()[..] else {
        panic!("one call is one request")
    };
    let query = "ClientId=GID_test%40%40%40a%20b&InstanceId=post-cn-example";
    assert_eq!(
        request.head.lines().next(),
        Some(&*format!("POST /?{query} HTTP/1.1"))
    );
    let host = server.address.to_string();
    for (name, value) in [
        ("host", host.as_str()),
        ("content-length", "0"),
        ("accept", "application/json"),
        (
            "user-agent",
            concat!("mqtt-presence-exporter/", env!("CARGO_PKG_VERSION")),
        ),
        ("x-acs-action", "QuerySessionByClientId"),
        ("x-acs-version", "2020-04-20"),
        ("x-acs-content-sha256", v3::EMPTY_BODY_HASH),
    ] {
        assert_eq!(request.header(name), Some(value), "{name}");
    }
    let date = request
        .header("x-acs-date")
        .and_then(parse_date)
        .expect("a date");
    assert!(date >= NOW && date.since(NOW) < TIMEOUT);
    let authorization = request
        .header("authorization")
        .and_then(v3::AuthorizationHeader::parse)
        .expect("its form");
    assert_eq!(authorization.access_key_id, ID);
    let signed =
        "host;x-acs-action;x-acs-content-sha256;x-acs-date;x-acs-signature-nonce;x-acs-version";
    assert_eq!(authorization.signed_headers, signed);
}

#[tokio::test]
async fn a_v2_call_has_everything_in_its_query() {
    let server = Server::start([ok(r#"{"OnlineStatus":false}"#)]).await;
    let client = client_with(
        &format!("http://{}", server.address),
        Signature::V2,
        inline(),
        &Resolver::system(),
    );
    assert!(!client.query("a").await.expect("an answer").value);
    let [request] = &server.requests()[..] else {
        panic!("one call is one request")
    };
    for part in [
        "AccessKeyId=test-key-id",
        "Action=QuerySessionByClientId",
        "Format=JSON",
        "Signature=",
    ] {
        assert!(request.head.contains(part), "{}", request.head);
    }
    assert!(
        !request.head.contains("x-acs-") && !request.head.contains("authorization"),
        "{}",
        request.head
    );
}

#[tokio::test]
async fn a_batch_brings_what_was_asked_for() {
    let body = r#"{"OnlineStatusList":[{"ClientId":"b","OnlineStatus":false},{"ClientId":"x","OnlineStatus":true}]}"#;
    let server = Server::start([ok(body)]).await;
    let answer = client(&server)
        .query_batch(&["a", "b"])
        .await
        .expect("an answer");
    assert_eq!(
        answer.value,
        [BatchEntry {
            client: "b".to_owned(),
            online: false
        }]
    );
    let [request] = &server.requests()[..] else {
        panic!("one call is one request")
    };
    assert!(request.head.starts_with(
        "POST /?ClientIdList.1=a&ClientIdList.2=b&InstanceId=post-cn-example HTTP/1.1\r\n"
    ));
    assert_eq!(
        request.header("x-acs-action"),
        Some("BatchQuerySessionByClientIds")
    );
}

#[tokio::test]
async fn connections_and_nonces_are_used_as_they_should_be() {
    let online = ok(r#"{"OnlineStatus":true}"#);
    let server = Server::start([online.clone(), online]).await;
    let client = client(&server);
    for _ in 0..2 {
        client.query("a").await.expect("an answer");
    }
    let requests = server.requests();
    assert_eq!(
        requests
            .iter()
            .map(|request| request.connection)
            .collect::<Vec<_>>(),
        [0, 0],
        "kept alive"
    );
    let nonces: Vec<_> = requests
        .iter()
        .filter_map(|request| request.header("x-acs-signature-nonce"))
        .collect();
    assert!(
        nonces.iter().all(|nonce| nonce.len() == 32) && nonces.len() == 2 && nonces[0] != nonces[1],
        "{nonces:?}"
    );
}

#[tokio::test]
async fn errors_of_the_api_have_the_class_of_their_code() {
    let throttled = |layer| ErrorClass::Throttled {
        layer,
        retry_after: None,
    };
    for (status, code, class) in [
        (400, "Throttling.User", throttled(ThrottledLayer::Account)),
        (403, "SystemOverFlow", throttled(ThrottledLayer::Instance)),
        (417, "InternalError", ErrorClass::Transient),
        (503, "ServiceUnavailable", ErrorClass::Transient),
        (400, "SignatureNonceUsed", ErrorClass::Nonce),
        (404, "InvalidAccessKeyId.NotFound", ErrorClass::Credentials),
        (400, "InstancePermissionCheckFailed", ErrorClass::Terminal),
        (400, "ParameterCheckFailed", ErrorClass::Client),
    ] {
        let failure = failed(error(status, code)).await;
        assert_eq!(failure.class, class, "{code}");
        assert_eq!(
            (failure.code.as_str(), failure.request_id.as_deref()),
            (code, Some("R-1"))
        );
        assert!(!failure.advice.is_empty());
    }
}

#[tokio::test]
async fn a_throttle_says_how_long_to_wait() {
    let body = r#"{"Code":"Throttling.Api"}"#;
    let failure = failed(Step::Say(answer(400, "x-acs-retry-after: 1500\r\n", body))).await;
    let retry_after = Some(Duration::from_millis(1500));
    assert_eq!(
        failure.class,
        ErrorClass::Throttled {
            layer: ThrottledLayer::Account,
            retry_after
        }
    );
}

#[tokio::test]
async fn the_servers_string_to_sign_is_not_repeated() {
    let body = format!(
        r#"{{"Code":"SignatureDoesNotMatch","Message":"Specified signature is not matched. server string to sign is:POST&%2F&AccessKeyId%3D{ID}","RequestId":"R"}}"#
    );
    let failure = failed(Step::Say(answer(400, "", &body))).await;
    assert_eq!(failure.class, ErrorClass::Credentials);
    assert_eq!(failure.message, "Specified signature is not matched");
    let body = format!(r#"{{"Code":"Unheard","Message":"{ID} may not use {SECRET}"}}"#);
    assert_eq!(
        failed(Step::Say(answer(400, "", &body))).await.message,
        "<access key ID> may not use <secret>"
    );
}

#[tokio::test]
async fn answers_that_are_none_are_transient() {
    let huge = format!(
        r#"{{"OnlineStatus":false,"Pad":"{}"}}"#,
        "x".repeat(1 << 20)
    );
    let endless = format!(
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n110000\r\n{}",
        "x".repeat(0x0011_0000)
    );
    let html = "<html>down</html>";
    for (step, label) in [
        (
            Step::SayAndClose(
                "HTTP/1.1 200 OK\r\nContent-Length: 22\r\n\r\n{\"OnlineStatus\":false".to_owned(),
            ),
            "decode",
        ),
        (
            Step::SayAndReset(
                "HTTP/1.1 200 OK\r\nContent-Length: 22\r\n\r\n{\"OnlineStatus\":false".to_owned(),
            ),
            "reset",
        ),
        (
            Step::SayAndClose(
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{\"Onl".to_owned(),
            ),
            "decode",
        ),
        (
            Step::SayAndClose("SSH-2.0-OpenSSH\r\n\r\n".to_owned()),
            "decode",
        ),
        (ok(html), "decode"),
        (ok(""), "decode"),
        (ok(r#"{"RequestId":"R-1"}"#), "decode"),
        (ok(r#"{"OnlineStatus":"false"}"#), "decode"),
        (ok(&huge), "decode"),
        (Step::Say(endless), "decode"),
        (
            Step::Say(answer(502, "Content-Type: text/html\r\n", html)),
            "http_status",
        ),
        (Step::Say(answer(500, "", "")), "http_status"),
    ] {
        let failure = failed(step.clone()).await;
        assert_eq!(
            (failure.class, failure.label),
            (ErrorClass::Transient, label),
            "{step:.200?}: {failure}"
        );
    }
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let failure = failed(Step::Say(answer(302, "Location: /elsewhere\r\n", ""))).await;
    assert_eq!(
        (failure.class, failure.label),
        (ErrorClass::Transient, "http_status")
    );
}

#[tokio::test]
async fn a_connection_that_ends_before_the_answer_is_told_apart() {
    for end in [
        Step::SayAndClose(String::new()),
        Step::SayAndReset(String::new()),
    ] {
        let fresh = failed(end.clone()).await;
        assert_eq!(
            (fresh.class, fresh.label),
            (ErrorClass::Closed, "reset"),
            "{end:?}"
        );

        let online = ok(r#"{"OnlineStatus":true}"#);
        let server = Server::start([online.clone(), end.clone(), online]).await;
        let client = client(&server);
        client.query("a").await.expect("an answer");
        let reused = client.query("a").await.expect_err("the connection ended");
        assert_eq!(
            (reused.class, reused.label),
            (ErrorClass::Closed, "reset"),
            "{end:?}"
        );
        client.query("a").await.expect("a fresh connection");
        let connections: Vec<_> = server
            .requests()
            .iter()
            .map(|request| request.connection)
            .collect();
        assert_eq!(connections, [0, 0, 1], "one request per call");
    }
}

#[tokio::test]
async fn an_idle_connection_that_was_closed_costs_nothing() {
    let body = r#"{"OnlineStatus":true}"#;
    let server = Server::start([Step::SayAndClose(answer(200, "", body)), ok(body)]).await;
    let client = client(&server);
    client.query("a").await.expect("an answer");
    tokio::task::yield_now().await;
    // Whether the close was seen in time or not, there is one request for each call.
    let second = client.query("a").await;
    let requests = server.requests().len();
    assert!(
        matches!((&second, requests), (Ok(_), 2))
            || second.is_err_and(|e| e.class == ErrorClass::Closed)
    );
}

#[tokio::test]
async fn a_hanging_call_ends_with_its_connection() {
    let server = Server::start([Step::Hang]).await;
    let client = client(&server);
    let call = tokio::spawn(async move { client.query("a").await });
    server.requests_came(1).await;
    tokio::time::pause();
    tokio::time::advance(TIMEOUT).await;
    let failure = call.await.expect("no panic").expect_err("a timeout");
    assert_eq!(
        (failure.class, failure.label),
        (ErrorClass::Transient, "timeout")
    );
    server.client_hung_up().await;
    assert_eq!(server.requests().len(), 1);
}

#[tokio::test]
async fn a_refused_connection_is_told_apart() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
        .await
        .expect("a port");
    let address = listener.local_addr().expect("an address");
    drop(listener);
    let client = client_with(
        &format!("http://{address}"),
        Signature::V3,
        inline(),
        &Resolver::system(),
    );
    let failure = client.query("a").await.expect_err("nobody listens");
    assert_eq!(
        (failure.class, failure.label),
        (ErrorClass::Connect, "connect")
    );
    assert!(failure.message.contains("refused"), "{failure}");
}

#[tokio::test]
async fn the_servers_clock_is_taken_over_when_it_complains() {
    let body = r#"{"Code":"InvalidTimeStamp.Expired","Message":"m"}"#;
    let (ahead, behind) = (
        NOW + Duration::from_secs(7200),
        Timestamp::from_millis(NOW.as_millis() - 86_400_000),
    );
    let complaint = |at: Timestamp| {
        let date = httpdate::fmt_http_date(at.to_system_time());
        Step::Say(answer(400, &format!("Date: {date}\r\n"), body))
    };
    let online = Step::Say(answer(
        200,
        "Date: Mon, 01 Jan 2001 00:00:00 GMT\r\n",
        r#"{"OnlineStatus":true}"#,
    ));
    let server = Server::start([complaint(ahead), online.clone(), complaint(behind), online]).await;
    let client = client(&server);
    for (call, expected) in [ahead, behind].into_iter().enumerate() {
        let failure = client.query("a").await.expect_err("a complaint");
        assert_eq!(failure.class, ErrorClass::ClockSkew);
        client.query("a").await.expect("an answer");
        let stamped = server.requests()[2 * call + 1]
            .header("x-acs-date")
            .and_then(parse_date)
            .expect("a date");
        let (expected, stamped) = (expected.as_millis(), stamped.as_millis());
        assert!(
            (expected - 1000..expected + 60_000).contains(&stamped),
            "the second request is stamped anew"
        );
    }
    let offset = client.clock_offset_millis();
    assert!(
        (-86_460_000..=-86_400_000 + 1000).contains(&offset),
        "a complaint counts, a success does not: {offset}"
    );
}

#[tokio::test]
async fn a_complaint_about_the_clock_without_a_date_teaches_nothing() {
    let failure = failed(error(400, "InvalidTimeStamp.Expired")).await;
    assert_eq!(
        (failure.class, failure.label),
        (ErrorClass::Terminal, "InvalidTimeStamp.Expired")
    );
}

#[tokio::test]
async fn refused_credentials_are_read_again() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("secret");
    std::fs::write(&file, "old").expect("a file");
    let online = ok(r#"{"OnlineStatus":true}"#);
    let server = Server::start([online.clone(), error(400, "SignatureDoesNotMatch"), online]).await;
    let endpoint = format!("http://{}", server.address);
    let client = client_with(
        &endpoint,
        Signature::V3,
        SecretSource::File(file.clone()),
        &Resolver::system(),
    );
    client.query("a").await.expect("an answer");
    std::fs::write(&file, "new").expect("a file");
    let failure = client.query("a").await.expect_err("refused");
    assert_eq!(failure.class, ErrorClass::Credentials);
    assert!(client.refresh_credentials().await, "there is a new secret");
    client.query("a").await.expect("an answer");
    assert!(
        client.refresh_credentials().await,
        "other ones than those that were refused are in use"
    );

    std::fs::remove_file(&file).expect("a file");
    let without = client_with(
        &endpoint,
        Signature::V3,
        SecretSource::File(file),
        &Resolver::system(),
    );
    let failure = without.query("a").await.expect_err("no credentials");
    assert_eq!(
        (failure.class, failure.label),
        (ErrorClass::Credentials, "credentials")
    );
    assert_eq!(
        server.requests().len(),
        3,
        "nothing is sent without credentials"
    );
}

#[test]
fn dates_and_names_are_the_vendors() {
    assert_eq!(format_date(NOW), "2024-02-29T23:59:59Z");
    let client = client_with(
        "http://127.0.0.1:9",
        Signature::V3,
        inline(),
        &Resolver::system(),
    );
    assert!(!format!("{client:?}").contains(SECRET));
}
