//! Answers of the API, and answers from other servers.

use proptest::prelude::*;

use std::time::Duration;

use tokio::time::Instant;

use super::*;
use crate::aliyun::ERROR_LABELS;
use crate::presence::{ErrorClass, ThrottledLayer};

fn reply(status: u16, body: impl AsRef<[u8]>) -> HttpResponse {
    HttpResponse {
        status,
        sent: Instant::now(),
        retry_after: None,
        clocks: None,
        body: body.as_ref().to_vec().into(),
    }
}

fn single(status: u16, body: &str) -> Result<bool, (ErrorClass, &'static str)> {
    decode_single(&reply(status, body))
        .map(|answer| answer.value)
        .map_err(|failure| (failure.class, failure.label))
}

fn batch(body: &str, queried: &[&str]) -> Vec<(String, bool)> {
    let answer = decode_batch(&reply(200, body), queried).expect("an answer");
    answer
        .value
        .into_iter()
        .map(|entry| (entry.client, entry.online))
        .collect()
}

#[test]
fn only_a_boolean_is_a_status() {
    let answer = decode_single(&reply(200, r#"{"RequestId":"R-1","OnlineStatus":true}"#))
        .expect("an answer");
    assert_eq!(
        (answer.value, answer.request_id.as_deref()),
        (true, Some("R-1"))
    );
    assert_eq!(single(200, r#"{"OnlineStatus":false}"#), Ok(false));
    assert_eq!(
        single(
            200,
            r#"{"OnlineStatus":false,"RequestId":null,"New":{"key":[1]}}"#
        ),
        Ok(false)
    );

    for body in [
        r"{}",
        r#"{"RequestId":"R-1"}"#,
        r#"{"OnlineStatus":null}"#,
        r#"{"OnlineStatus":"false"}"#,
        r#"{"OnlineStatus":0}"#,
        r#"{"OnlineStatus":false,"OnlineStatus":true}"#,
        r#"{"onlineStatus":false}"#,
        r#"{"OnlineStatus":false"#,
        r#"{"OnlineStatus":false} trailing"#,
        r#"[{"OnlineStatus":false}]"#,
        "false",
        "\u{feff}{\"OnlineStatus\":false}",
    ] {
        let Err((class, _)) = single(200, body) else {
            panic!("{body} counts as a status")
        };
        assert_eq!(class, ErrorClass::Transient, "{body}");
    }
    assert_eq!(
        single(200, r#"{"OnlineStatus":fal"#),
        Err((ErrorClass::Transient, "decode"))
    );
}

#[test]
fn a_success_with_an_error_code_is_that_error() {
    let throttled = ErrorClass::Throttled {
        layer: ThrottledLayer::Account,
        retry_after: None,
    };
    assert_eq!(
        single(200, r#"{"OnlineStatus":false,"Code":"Throttling.User"}"#),
        Err((throttled, "Throttling.User"))
    );
    assert_eq!(
        single(200, r#"{"OnlineStatus":false,"Code":"Unheard"}"#),
        Err((ErrorClass::Transient, "other"))
    );
    assert_eq!(single(200, r#"{"OnlineStatus":true,"Code":200}"#), Ok(true));
    assert_eq!(
        single(200, r#"{"OnlineStatus":true,"Code":"OK"}"#),
        Ok(true)
    );
}

#[test]
fn a_batch_contains_only_queried_clients() {
    let body = r#"{"OnlineStatusList":[
        {"ClientId":"b","OnlineStatus":false},
        {"ClientId":"stranger","OnlineStatus":true},
        {"ClientId":"a","OnlineStatus":true},
        {"ClientId":"a","OnlineStatus":true},
        {"ClientId":"torn","OnlineStatus":true},
        {"ClientId":"torn","OnlineStatus":false},
        {"ClientId":"half","OnlineStatus":null},
        {"ClientId":"late","OnlineStatus":false},
        {"ClientId":"late"}
    ],"RequestId":"R-1"}"#;
    let got = batch(body, &["a", "b", "torn", "half", "late", "absent", "a"]);
    assert_eq!(got, [("a".to_owned(), true), ("b".to_owned(), false)]);
    assert_eq!(batch(r#"{"OnlineStatusList":[]}"#, &["a"]), []);
}

#[test]
fn a_batch_without_a_list_is_undecodable() {
    for body in [
        r"{}",
        r#"{"OnlineStatusList":null}"#,
        r#"{"OnlineStatusList":{}}"#,
        r#"{"OnlineStatusList":[{}]}"#,
    ] {
        let failure = decode_batch(&reply(200, body), &["a"]).expect_err(body);
        assert_eq!(
            (failure.class, failure.label),
            (ErrorClass::Transient, "decode"),
            "{body}"
        );
    }
}

#[test]
fn errors_are_read_in_all_forms() {
    let denied = Err((ErrorClass::Terminal, "NoPermission"));
    for body in [
        r#"{"RequestId":"R","HostId":"h","Code":"NoPermission","Message":"m","Recommend":"r"}"#,
        r#"{"Message":"m","Code":"NoPermission"}"#,
        r#"{"code":"NoPermission","message":"m","requestId":"R"}"#,
        r#"  {"Code":"NoPermission","Message":{"odd":1}}"#,
        "<?xml version='1.0'?><Error><RequestId>R</RequestId><Code>NoPermission</Code><Message>m</Message></Error>",
        "<Error><Code>NoPermission</Code></Error>",
    ] {
        assert_eq!(single(403, body), denied, "{body}");
    }
}

#[test]
fn other_errors_are_classified_by_status() {
    let page = "<html><body>Bad gateway</body></html>";
    assert_eq!(
        single(502, page),
        Err((ErrorClass::Transient, "http_status"))
    );
    assert_eq!(single(500, ""), Err((ErrorClass::Transient, "http_status")));
    // The page of a proxy proves nothing about this exporter or its clients.
    for foreign in [302, 401, 403, 404, 407] {
        let failure = Err((ErrorClass::Transient, "http_status"));
        assert_eq!(single(foreign, page), failure, "{foreign}");
    }
    // A client ID can be the reason for these.
    for of_client in [400, 413, 414, 431] {
        let failure = Err((ErrorClass::Client, "http_status"));
        assert_eq!(single(of_client, page), failure, "{of_client}");
    }
    assert_eq!(single(200, page), Err((ErrorClass::Transient, "decode")));
    assert_eq!(single(200, ""), Err((ErrorClass::Transient, "decode")));
    assert_eq!(single(204, ""), Err((ErrorClass::Transient, "decode")));
    // A truncated error of the API: its code is not known.
    assert_eq!(
        single(403, r#"{"Code":"NoPerm"#),
        Err((ErrorClass::Transient, "decode"))
    );

    let wait = Some(Duration::from_millis(1500));
    let failure = decode_single(&HttpResponse {
        retry_after: wait,
        ..reply(429, "")
    })
    .expect_err("429");
    let class = ErrorClass::Throttled {
        layer: ThrottledLayer::Account,
        retry_after: wait,
    };
    assert_eq!((failure.class, failure.label), (class, "http_status"));
}

proptest! {
    #[test]
    fn no_body_panics_and_every_label_is_known(
        status in 100..=999_u16,
        body in prop_oneof![
            proptest::collection::vec(any::<u8>(), 0..200),
            "[{<]\\PC{0,80}[}>\\]]".prop_map(String::into_bytes),
            "\\{\"(Code|OnlineStatus|OnlineStatusList)\":(true|false|null|\\[\\]|\"[A-Za-z.]{0,20}\")\\}"
                .prop_map(String::into_bytes),
        ],
    ) {
        let reply = reply(status, &body);
        let single = decode_single(&reply).map(|_| ());
        let batch = decode_batch(&reply, &["a"]).map(|_| ());
        for failure in [single, batch].into_iter().filter_map(Result::err) {
            prop_assert!(ERROR_LABELS.contains(&failure.label));
        }
    }

    /// Promise one: a truncated answer is no status.
    #[test]
    fn a_truncated_answer_is_no_answer(online: bool, cut in 1..40_usize, extra in "[ -~]{0,10}") {
        let body = format!(r#"{{"RequestId":"{extra:?}","OnlineStatus":{online}}}"#);
        let left = &body[..body.len() - cut.min(body.len())];
        prop_assert!(single(200, left).is_err());
    }
}
