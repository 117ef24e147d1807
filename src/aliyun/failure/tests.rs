//! Every documented code has its class, and no text of the server is shown raw.

use proptest::prelude::*;

use super::*;
use crate::presence::ThrottledLayer;
use crate::secret::Secret;

const ACCOUNT: ErrorClass = ErrorClass::Throttled {
    layer: ThrottledLayer::Account,
    retry_after: None,
};
const INSTANCE: ErrorClass = ErrorClass::Throttled {
    layer: ThrottledLayer::Instance,
    retry_after: None,
};

fn api_error(status: u16, code: &str, message: &str) -> CallFailure {
    let error = ErrorBody {
        code: code.into(),
        message: message.into(),
        request_id: Some("R-1".to_owned()),
    };
    CallFailure::of_api(status, error)
}

fn key() -> AccessKey {
    let (secret, token) = (Secret::new("secret-text"), Secret::new("token-text"));
    AccessKey::new("key-id-text", &secret, Some(&token)).expect("valid")
}

fn shown(failure: CallFailure, operation: Operation) -> CallError {
    let instance = InstanceId::new("post-cn-example").expect("not empty");
    failure.into_call_error(operation, &instance, Some(&key()))
}

#[test]
fn documented_codes_have_their_class_and_label() {
    for (status, code, class, label) in [
        (400, "Throttling", ACCOUNT, "Throttling"),
        (400, "Throttling.User", ACCOUNT, "Throttling.User"),
        (503, "Throttling.Api", ACCOUNT, "Throttling.Api"),
        (429, "Throttling.Resource", ACCOUNT, "Throttling"),
        (403, "SystemOverFlow", INSTANCE, "SystemOverFlow"),
        (500, "SystemOverFlow", INSTANCE, "SystemOverFlow"),
        (417, "InternalError", ErrorClass::Transient, "InternalError"),
        (500, "InternalError", ErrorClass::Transient, "InternalError"),
        (
            503,
            "ServiceUnavailable",
            ErrorClass::Transient,
            "ServiceUnavailable",
        ),
        (
            400,
            "InvalidTimeStamp.Expired",
            ErrorClass::ClockSkew,
            "InvalidTimeStamp.Expired",
        ),
        (
            400,
            "InvalidTimeStamp.Format",
            ErrorClass::ClockSkew,
            "InvalidTimeStamp.Format",
        ),
        (
            400,
            "SignatureNonceUsed",
            ErrorClass::Nonce,
            "SignatureNonceUsed",
        ),
        (
            404,
            "InvalidAccessKeyId.NotFound",
            ErrorClass::Credentials,
            "InvalidAccessKeyId",
        ),
        (
            403,
            "InvalidAccessKeyId.Inactive",
            ErrorClass::Credentials,
            "InvalidAccessKeyId",
        ),
        (
            400,
            "InvalidSecurityToken.Expired",
            ErrorClass::Credentials,
            "InvalidSecurityToken",
        ),
        (
            400,
            "SignatureDoesNotMatch",
            ErrorClass::Credentials,
            "SignatureDoesNotMatch",
        ),
        (
            400,
            "CheckAccountInfoFailed",
            ErrorClass::Credentials,
            "CheckAccountInfoFailed",
        ),
        (
            400,
            "InstancePermissionCheckFailed",
            ErrorClass::Terminal,
            "InstancePermissionCheckFailed",
        ),
        (
            400,
            "PermissionCheckFailed",
            ErrorClass::Terminal,
            "PermissionCheckFailed",
        ),
        (404, "ApiNotSupport", ErrorClass::Terminal, "ApiNotSupport"),
        (403, "NoPermission", ErrorClass::Terminal, "NoPermission"),
        (403, "Forbidden.RAM", ErrorClass::Terminal, "Forbidden"),
        (
            404,
            "InvalidApi.NotFound",
            ErrorClass::Terminal,
            "InvalidApi.NotFound",
        ),
        (
            400,
            "MissingSecurityToken",
            ErrorClass::Terminal,
            "MissingSecurityToken",
        ),
        (
            400,
            "MissingInstanceId",
            ErrorClass::Terminal,
            "MissingParameter",
        ),
        (
            400,
            "ParameterCheckFailed",
            ErrorClass::Client,
            "ParameterCheckFailed",
        ),
        (
            400,
            "InvalidParameter.ClientId",
            ErrorClass::Client,
            "InvalidParameter",
        ),
        (400, "InvalidParameterless", ErrorClass::Client, "other"),
        (404, "ClientIdNotExist", ErrorClass::Client, "other"),
        (429, "Unheard.Of", ACCOUNT, "other"),
        (500, "Unheard.Of", ErrorClass::Transient, "other"),
    ] {
        let failure = api_error(status, code, "m");
        assert_eq!(
            (failure.class, failure.label),
            (class, label),
            "{status} {code}"
        );
    }
}

#[test]
fn labels_are_a_closed_set_without_duplicates() {
    let mut labels = ERROR_LABELS.to_vec();
    labels.sort_unstable();
    labels.dedup();
    assert_eq!(labels.len(), ERROR_LABELS.len());
    for label in [
        "Throttling.User",
        "MissingParameter",
        "timeout",
        "dns",
        "connect",
        "tls",
        "http_status",
        "decode",
        "other",
    ] {
        assert!(labels.contains(&label), "{label}");
    }
}

#[test]
fn a_throttled_call_keeps_the_requested_pause() {
    let wait = Some(Duration::from_millis(700));
    let failure = api_error(400, "Throttling.User", "").with_retry_after(wait);
    assert_eq!(
        failure.class,
        ErrorClass::Throttled {
            layer: ThrottledLayer::Account,
            retry_after: wait
        }
    );
}

#[test]
fn an_error_has_operation_instance_and_advice() {
    let error = shown(
        api_error(403, "Forbidden.RAM", "User not authorized to operate."),
        Operation::Batch,
    );
    assert_eq!(
        error.to_string(),
        "BatchQuerySessionByClientIds on post-cn-example: Forbidden.RAM: User not authorized to operate. \
         (request ID R-1); grant the RAM action `mq:BatchQuerySessionByClientIds` on this instance to the owner of \
         the access key, and check `instances[].id`"
    );
    let single = shown(api_error(403, "NoPermission", ""), Operation::Single);
    assert!(
        single.advice.contains("mq:MqttInstanceAccess"),
        "{}",
        single.advice
    );
}

/// The messages have the form of those of Alibaba Cloud's gateways.
#[test]
fn the_string_to_sign_is_removed() {
    for (message, left) in [
        (
            "Specified signature is not matched with our calculation. server string to sign is:POST&%2F&AccessKeyId%3Dx",
            "Specified signature is not matched with our calculation",
        ),
        (
            "The signature is wrong: server StringToSign is [POST\n/\nhost:h]",
            "The signature is wrong",
        ),
        ("nothing more to say", "nothing more to say"),
    ] {
        assert_eq!(
            shown(
                api_error(400, "SignatureDoesNotMatch", message),
                Operation::Single
            )
            .message,
            left
        );
    }
    let other = api_error(
        400,
        "Unheard",
        "Bad request. String to sign is POST&%2F&SecurityToken%3Dabc",
    );
    assert_eq!(shown(other, Operation::Single).message, "Bad request");
}

#[test]
fn texts_are_short_and_contain_no_control_characters() {
    let long = format!(
        "\u{1b}[31mred\r\nforged line\u{202e}{}",
        "x".repeat(100_000)
    );
    let error = shown(api_error(500, &long, &long), Operation::Single);
    assert_eq!(error.message.chars().count(), 301);
    assert_eq!(error.code.chars().count(), 65);
    for c in ['\u{1b}', '\r', '\n', '\u{202e}'] {
        assert!(!error.to_string().contains(c));
    }
}

proptest! {
    #[test]
    fn no_text_of_a_failure_contains_a_secret(before in "\\PC{0,320}", after in "\\PC{0,20}", in_code: bool) {
        for held in ["secret-text", "token-text", "key-id-text"] {
            let text = format!("{before}{held}{after}");
            let (code, message) = if in_code { (text.as_str(), "") } else { ("Unheard", text.as_str()) };
            let failure = api_error(400, code, message);
            let printed = format!("{failure:?}");
            prop_assert!(!printed.contains(held));
            let error = shown(failure, Operation::Single);
            let printed = format!("{error} {error:?}");
            prop_assert!(!printed.contains(held));
            // Nor a part of one, where the text is truncated.
            prop_assert!(!error.message.ends_with("secret-…") && !error.message.ends_with("token-…"));
        }
    }
}
