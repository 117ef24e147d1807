//! The documented error codes (pages "Error codes" of ApsaraMQ for MQTT and "Common errors" of
//! the API gateway), and what follows from each.

use super::Advice;
use crate::presence::{ErrorClass, ThrottledLayer};

/// What follows from a code.
#[derive(Debug)]
pub(super) struct Rule {
    /// The code, or the family it begins with; also its label.
    pub(super) name: &'static str,
    pub(super) class: ErrorClass,
    pub(super) advice: Advice,
}

const fn rule(name: &'static str, class: ErrorClass, advice: &'static str) -> Rule {
    Rule {
        name,
        class,
        advice: Advice::Text(advice),
    }
}

const fn denied(name: &'static str) -> Rule {
    Rule {
        name,
        class: ErrorClass::Terminal,
        advice: Advice::Grant,
    }
}

/// The gateway counts the calls of an account, all its access keys together.
const ACCOUNT: ErrorClass = ErrorClass::Throttled {
    layer: ThrottledLayer::Account,
    retry_after: None,
};
/// The operation itself says that it has too much to do; that is not the account's doing, and the
/// instance is the smallest thing whose calls can be slowed down.
const INSTANCE: ErrorClass = ErrorClass::Throttled {
    layer: ThrottledLayer::Instance,
    retry_after: None,
};

const SHARE: &str = "lower `limits.single_per_second`, `limits.batch_per_second` or `limits.share` if this goes on: \
                     everything that uses this account shares its quota";
const WAIT: &str = "wait; name the request ID to the vendor's support if this goes on";
const TOKEN: &str = "renew the security token, and the access key that came with it";
const CLOCK: &str = "set this host's clock right (NTP)";
const THIS_CLIENT: &str =
    "check this client ID, and `instances[].id` if every client fails like this";

/// `MissingInstanceId`, `MissingTimestamp` and so on: a family without a dot, with a label of its own.
const MISSING: &str = "MissingParameter";

/// All rules. Where a code and its family both have one, the code's stands first.
pub(super) const RULES: [Rule; 25] = [
    rule("Throttling.User", ACCOUNT, SHARE),
    rule("Throttling.Api", ACCOUNT, SHARE),
    rule("Throttling", ACCOUNT, SHARE),
    rule(
        "SystemOverFlow",
        INSTANCE,
        "lower `instances[].calls_per_second` if this goes on",
    ),
    rule("InternalError", ErrorClass::Transient, WAIT),
    rule("ServiceUnavailable", ErrorClass::Transient, WAIT),
    rule("InvalidTimeStamp.Expired", ErrorClass::ClockSkew, CLOCK),
    rule("InvalidTimeStamp.Format", ErrorClass::ClockSkew, CLOCK),
    rule("InvalidTimeStamp", ErrorClass::ClockSkew, CLOCK),
    rule(
        "SignatureNonceUsed",
        ErrorClass::Nonce,
        "check that no proxy sends requests twice",
    ),
    rule(
        "InvalidAccessKeyId",
        ErrorClass::Credentials,
        "check the access key ID in `credentials`: there is no such key, or it is disabled",
    ),
    rule("InvalidSecurityToken", ErrorClass::Credentials, TOKEN),
    rule(
        "SignatureDoesNotMatch",
        ErrorClass::Credentials,
        "check the access key secret in `credentials`, and that no proxy changes requests",
    ),
    rule(
        "CheckAccountInfoFailed",
        ErrorClass::Credentials,
        "check that the access key in `credentials` is one of the account that owns the instance",
    ),
    denied("InstancePermissionCheckFailed"),
    denied("PermissionCheckFailed"),
    denied("NoPermission"),
    denied("Forbidden"),
    rule(
        "ApiNotSupport",
        ErrorClass::Terminal,
        "check whether this kind of instance offers the operation",
    ),
    rule(
        "InvalidApi.NotFound",
        ErrorClass::Terminal,
        "check `region` and `endpoint`: this endpoint is not one of ApsaraMQ for MQTT",
    ),
    rule(
        "MissingSecurityToken",
        ErrorClass::Terminal,
        "give the security token that belongs to this temporary access key",
    ),
    rule(
        MISSING,
        ErrorClass::Terminal,
        "check `api.signature`, and report this as a fault of the exporter",
    ),
    rule("ParameterCheckFailed", ErrorClass::Client, THIS_CLIENT),
    rule("InvalidParameter", ErrorClass::Client, THIS_CLIENT),
    rule(
        "IncompleteSignature",
        ErrorClass::Terminal,
        "check that no proxy changes requests",
    ),
];

impl Rule {
    /// The rule for `code`, if it is documented.
    pub(super) fn of(code: &str) -> Option<&'static Self> {
        let within = |name| {
            code.strip_prefix(name)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        };
        RULES
            .iter()
            .find(|rule| within(rule.name) || rule.name == MISSING && code.starts_with("Missing"))
    }
}
