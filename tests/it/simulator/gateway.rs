//! Signatures, nonces, timestamps, parameters of the gateway.

use std::time::Duration;

use mqtt_presence_exporter::secret::Secret;
use mqtt_presence_exporter::simulator::SimulatorOptions;
use tokio::time::sleep;

use super::caller::{Request, Stage, Version};

async fn stage() -> Stage {
    Stage::new(SimulatorOptions::default()).await
}

async fn error(request: Request) -> (u16, String) {
    request.send().await.unwrap().error()
}

fn is(status: u16, code: &str) -> (u16, String) {
    (status, code.to_owned())
}

#[tokio::test(start_paused = true)]
async fn both_signatures_are_taken_by_get_and_post_from_query_and_form() {
    let stage = stage().await;
    for version in [Version::V3, Version::V2] {
        for (method, form) in [("GET", false), ("POST", false), ("POST", true)] {
            let request = Request {
                version,
                method,
                form,
                ..stage.single(&stage.clients()[0])
            };
            let answer = request.send().await.unwrap();
            assert_eq!(answer.status, 200, "{method} {form}: {}", answer.body);
            assert_eq!(answer.json().as_object().unwrap().len(), 2);
            assert_eq!(
                answer.headers["x-acs-request-id"],
                answer.json()["RequestId"].as_str().unwrap()
            );
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_wrong_secret_is_answered_with_the_servers_string_to_sign() {
    let stage = stage().await;
    for (version, string_to_sign) in [
        (Version::V3, "ACS3-HMAC-SHA256\n"),
        (Version::V2, "POST&%2F&AccessKeyId%3D"),
    ] {
        let request = Request {
            version,
            secret: "wrong".to_owned(),
            ..stage.single("GID_test@@@a b")
        };
        let answer = request.send().await.unwrap();
        assert_eq!(answer.error(), is(400, "SignatureDoesNotMatch"));
        let message = answer.json()["Message"].as_str().unwrap().to_owned();
        let (_, shown) = message.split_once("server string to sign is:").unwrap();
        assert!(shown.starts_with(string_to_sign), "{shown}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_request_that_is_changed_on_its_way_does_not_match() {
    let stage = stage().await;
    for version in [Version::V3, Version::V2] {
        for form in [false, true] {
            let request = Request {
                version,
                form,
                ..stage.single(&stage.clients()[0])
            };
            let text = request.text("close").replace("pump-0001", "pump-0002");
            let (head, body) = text.split_once("\r\n\r\n").unwrap();
            let path = head.split(' ').nth(1).unwrap();
            assert_eq!(
                (path.contains("pump-0002"), body.contains("pump-0002")),
                (!form, form)
            );
            let answer = send_text(&stage, &text).await;
            assert!(answer.contains("SignatureDoesNotMatch"), "{answer}");
        }
    }
    // A header of the vendor's that nobody signed.
    let text = stage
        .single(&stage.clients()[0])
        .text("close")
        .replace("\r\nx-acs-date", "\r\nx-acs-y: 1\r\nx-acs-date");
    assert!(
        send_text(&stage, &text)
            .await
            .contains("SignatureDoesNotMatch")
    );
}

async fn send_text(stage: &Stage, text: &str) -> String {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    let mut stream = tokio::net::TcpStream::connect(stage.address())
        .await
        .unwrap();
    stream.write_all(text.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

#[tokio::test(start_paused = true)]
async fn an_unknown_key_is_not_found() {
    let stage = stage().await;
    for version in [Version::V3, Version::V2] {
        let request = Request {
            version,
            ..stage.single("GID_test@@@a")
        }
        .common("AccessKeyId", "nobody");
        assert_eq!(error(request).await, is(404, "InvalidAccessKeyId.NotFound"));
    }
}

#[tokio::test(start_paused = true)]
async fn a_nonce_passes_once_until_its_timestamp_has_expired() {
    let stage = stage().await;
    let client = &stage.clients()[0];
    let request = || stage.single(client).common("SignatureNonce", "the same");
    let wrong = Request {
        secret: "wrong".to_owned(),
        ..request()
    };
    assert_eq!(error(wrong).await, is(400, "SignatureDoesNotMatch"));
    assert_eq!(
        request().send().await.unwrap().status,
        200,
        "a refused request used no nonce"
    );
    assert_eq!(error(request()).await, is(400, "SignatureNonceUsed"));
    assert_eq!(error(request().v2()).await, is(400, "SignatureNonceUsed"));
    tokio::time::advance(Duration::from_secs(15 * 60 + 2)).await;
    assert_eq!(request().send().await.unwrap().status, 200);
}

#[tokio::test(start_paused = true)]
async fn a_timestamp_may_be_fifteen_minutes_off_either_way() {
    let stage = stage().await;
    let client = &stage.clients()[0];
    let early = stage.single(client);
    let late = stage.single(client);
    let now = stage.clock.now();
    let ahead =
        mqtt_presence_exporter::aliyun::sign::format_date(now + Duration::from_secs(15 * 60 + 5));
    assert_eq!(
        error(stage.single(client).common("Timestamp", &ahead)).await,
        is(400, "InvalidTimeStamp.Expired")
    );
    sleep(Duration::from_secs(6)).await;
    assert_eq!(
        stage
            .single(client)
            .common("Timestamp", &ahead)
            .send()
            .await
            .unwrap()
            .status,
        200
    );
    tokio::time::advance(Duration::from_secs(14 * 60)).await;
    assert_eq!(early.send().await.unwrap().status, 200);
    tokio::time::advance(Duration::from_secs(60)).await;
    assert_eq!(
        error(late.clone()).await,
        is(400, "InvalidTimeStamp.Expired")
    );
    assert_eq!(error(late.v2()).await, is(400, "InvalidTimeStamp.Expired"));
    for malformed in ["yesterday", "2023-11-14 22:13:20", "1700000000"] {
        let request = stage.single(client).common("Timestamp", malformed);
        assert_eq!(error(request).await, is(400, "InvalidTimeStamp.Format"));
    }
}

#[tokio::test(start_paused = true)]
async fn a_missing_parameter_is_named() {
    let stage = stage().await;
    let client = stage.clients()[0].clone();
    for version in [Version::V3, Version::V2] {
        for name in [
            "Action",
            "Version",
            "Timestamp",
            "SignatureNonce",
            "InstanceId",
            "ClientId",
        ] {
            let request = Request {
                version,
                ..stage.single(&client)
            }
            .without(name);
            assert_eq!(error(request).await, is(400, &format!("Missing{name}")));
        }
        let request = Request {
            version,
            ..stage.batch([])
        };
        assert_eq!(error(request).await, is(400, "MissingClientIdList"));
        let request = Request {
            version,
            ..stage.single("")
        };
        assert_eq!(error(request).await, is(400, "MissingClientId"));
    }
    assert_eq!(
        error(stage.single(&client).v2().without("AccessKeyId")).await,
        is(400, "MissingAccessKeyId")
    );
    let unsigned = stage
        .plain("POST", "/?Action=QuerySessionByClientId", "")
        .await;
    assert_eq!(unsigned.error(), is(400, "MissingSignatureMethod"));
}

#[tokio::test(start_paused = true)]
async fn what_is_no_operation_is_not_found() {
    let stage = stage().await;
    let client = stage.clients()[0].clone();
    let not_found = is(404, "InvalidApi.NotFound");
    assert_eq!(error(stage.request("QueryWeather")).await, not_found);
    assert_eq!(error(stage.request("QueryWeather").v2()).await, not_found);
    assert_eq!(
        error(stage.single(&client).common("Version", "2019-01-01")).await,
        not_found
    );
    assert_eq!(
        error(Request {
            path: "/api",
            ..stage.single(&client)
        })
        .await,
        not_found
    );
    let method = Request {
        method: "DELETE",
        ..stage.single(&client)
    };
    assert_eq!(error(method).await, is(405, "UnsupportedHTTPMethod"));
}

#[tokio::test(start_paused = true)]
async fn temporary_credentials_need_their_token() {
    let token = "a-token";
    let stage = Stage::new(SimulatorOptions {
        security_token: Some(Secret::new(token)),
        ..SimulatorOptions::default()
    })
    .await;
    let client = stage.clients()[0].clone();
    for version in [Version::V3, Version::V2] {
        let request = || Request {
            version,
            ..stage.single(&client)
        };
        assert_eq!(
            request()
                .common("SecurityToken", token)
                .send()
                .await
                .unwrap()
                .status,
            200
        );
        assert_eq!(error(request()).await, is(400, "MissingSecurityToken"));
        let wrong = request().common("SecurityToken", "another");
        assert_eq!(
            error(wrong).await,
            is(400, "InvalidSecurityToken.MismatchWithAccessKey")
        );
    }
}
