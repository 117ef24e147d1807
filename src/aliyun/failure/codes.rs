//! The documented error codes (pages "Error codes" of ApsaraMQ for MQTT and "Common errors" of
//! the API gateway) and their meaning.

use crate::presence::{ErrorClass, ThrottledLayer};

/// The meaning of a code.
#[derive(Debug)]
pub(super) struct Rule {
    /// The code or its family; also the label.
    pub(super) name: &'static str,
    pub(super) class: ErrorClass,
    /// What to do; `None`: grant the RAM action of the operation.
    pub(super) advice: Option<&'static str>,
}

const fn rule(name: &'static str, class: ErrorClass, advice: &'static str) -> Rule {
    Rule {
        name,
        class,
        advice: Some(advice),
    }
}

const fn denied(name: &'static str) -> Rule {
    Rule {
        name,
        class: ErrorClass::Terminal,
        advice: None,
    }
}

/// The gateway counts the calls of all access keys of an account together.
pub(super) const ACCOUNT: ErrorClass = ErrorClass::Throttled {
    layer: ThrottledLayer::Account,
    retry_after: None,
};
/// The operation itself is overloaded, whatever the account; the instance is the smallest layer
/// that can be slowed down.
const INSTANCE: ErrorClass = ErrorClass::Throttled {
    layer: ThrottledLayer::Instance,
    retry_after: None,
};

const SHARE: &str = "if this continues, lower `limits.single_per_second`, `limits.batch_per_second` or `limits.share`: \
                     all users of this account share its quota";
const WAIT: &str = "wait; if this continues, report the request ID to the support of Alibaba Cloud";
const TOKEN: &str = "renew the security token and its access key";
const CLOCK: &str = "correct the clock of this host (NTP)";
const THIS_CLIENT: &str =
    "check this client ID, and `instances[].id` if every client fails like this";

/// `MissingInstanceId`, `MissingTimestamp` and so on: a family without a dot, with its own label.
const MISSING: &str = "MissingParameter";

/// All rules. If a code and its family both have one, the rule of the code comes first.
pub(super) const RULES: [Rule; 25] = [
    rule("Throttling.User", ACCOUNT, SHARE),
    rule("Throttling.Api", ACCOUNT, SHARE),
    rule("Throttling", ACCOUNT, SHARE),
    rule(
        "SystemOverFlow",
        INSTANCE,
        "if this continues, lower `instances[].calls_per_second`",
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
        "check the access key ID in `credentials`: the key does not exist or is disabled",
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
        "check that the access key in `credentials` belongs to the account of the instance",
    ),
    denied("InstancePermissionCheckFailed"),
    denied("PermissionCheckFailed"),
    denied("NoPermission"),
    denied("Forbidden"),
    rule(
        "ApiNotSupport",
        ErrorClass::Terminal,
        "check whether this instance type supports the operation",
    ),
    rule(
        "InvalidApi.NotFound",
        ErrorClass::Terminal,
        "check `region` and `endpoint`: the endpoint does not belong to ApsaraMQ for MQTT",
    ),
    rule(
        "MissingSecurityToken",
        ErrorClass::Terminal,
        "configure the security token of this temporary access key",
    ),
    rule(
        MISSING,
        ErrorClass::Terminal,
        "check `api.signature`, and report this as a bug of the exporter",
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
