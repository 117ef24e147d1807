//! A failed call: its class, which decides what follows, its label for the metrics, and advice.
//!
//! An error is classified by the code of the API, then by its HTTP status, then by the error of
//! the transport ([`transport`](super::transport)).

mod codes;

use std::sync::LazyLock;
use std::time::Duration;

use codes::{ACCOUNT, RULES, Rule};

use super::access_key::AccessKey;
use super::body::ErrorBody;
use crate::presence::{CallError, Delivery, ErrorClass, InstanceId, Operation};

/// Labels of failures without a code of the API: the call exceeded its time limit; the host name
/// could not be resolved; the connection could not be made; the TLS handshake failed; the connection ended too early; the answer could
/// not be decoded; the answer is an HTTP error that is not from the API; there were no credentials
/// to sign with; everything else, such as codes that are not documented.
const OWN_LABELS: [&str; 9] = [
    "timeout",
    "dns",
    "connect",
    "tls",
    "reset",
    "decode",
    "http_status",
    "credentials",
    "other",
];

/// All values of the label `code`: the documented codes, where a code that names a parameter or a
/// reason (`InvalidParameter.ClientId`) counts as its family (`InvalidParameter`), and the labels
/// of failures without a code of the API.
pub static ERROR_LABELS: LazyLock<Vec<&'static str>> = LazyLock::new(|| {
    let documented = RULES.iter().map(|rule| rule.name);
    documented.chain(OWN_LABELS).collect()
});

/// A failed call, without its operation and instance.
///
/// The texts are raw; `into_call_error` makes them presentable.
#[derive(Clone, PartialEq, Eq)]
pub struct CallFailure {
    /// What follows.
    pub class: ErrorClass,
    /// One of [`ERROR_LABELS`].
    pub label: &'static str,
    pub(super) delivery: Delivery,
    pub(super) error: ErrorBody,
    /// What to do; `None`: grant the RAM action of the operation.
    pub(super) advice: Option<&'static str>,
}

impl CallFailure {
    /// A failure without a code of the API; `label`, one of [`OWN_LABELS`], is its code.
    pub(super) fn new(
        class: ErrorClass,
        label: &'static str,
        message: impl Into<String>,
        advice: &'static str,
    ) -> Self {
        debug_assert!(OWN_LABELS.contains(&label), "{label} is not a known label");
        let error = ErrorBody {
            code: label.into(),
            message: message.into().into(),
            request_id: None,
        };
        Self {
            class,
            label,
            delivery: Delivery::Answered,
            error,
            advice: Some(advice),
        }
    }

    /// An answer that could not be decoded: nothing is known of its clients.
    pub(super) fn undecodable(message: impl Into<String>) -> Self {
        let advice = "if this continues, check that nothing between this host and the API changes or truncates answers";
        Self::new(ErrorClass::Transient, "decode", message, advice)
    }

    /// There are no credentials to sign with.
    pub(super) fn no_credentials(why: String) -> Self {
        let advice = "no API calls are made until `credentials` works";
        Self {
            delivery: Delivery::NotSent,
            ..Self::new(ErrorClass::Credentials, "credentials", why, advice)
        }
    }

    /// There are no credentials yet; the fetch continues.
    pub(super) fn late_credentials(limit: Duration) -> Self {
        Self {
            class: ErrorClass::Transient,
            ..Self::no_credentials(format!("no credentials within {limit:?}"))
        }
    }

    /// The host has no known address: nothing was sent.
    pub(super) fn unresolved(why: &impl ToString) -> Self {
        let advice = "check the host name, and the nameservers of this host (`/etc/resolv.conf`)";
        Self {
            delivery: Delivery::NotSent,
            ..Self::new(ErrorClass::Connect, "dns", why.to_string(), advice)
        }
    }

    /// The call took longer than `limit`.
    pub(super) fn timeout(limit: Duration) -> Self {
        let advice = "check the network, or raise `collect.call_timeout` if the API is far away";
        let message = format!("no answer within {limit:?}");
        Self {
            delivery: Delivery::Unanswered,
            ..Self::new(ErrorClass::Transient, "timeout", message, advice)
        }
    }

    /// An error of the API, classified by its code, or by its status if the code is not
    /// documented.
    pub(super) fn of_api(status: u16, error: ErrorBody) -> Self {
        let unknown = "look the code up in the documentation of ApsaraMQ for MQTT";
        let (class, label, advice) = Rule::of(&error.code).map_or_else(
            || (class_of_unknown_code(status), "other", Some(unknown)),
            |rule| (rule.class, rule.name, rule.advice),
        );
        Self {
            class,
            label,
            delivery: Delivery::Answered,
            error,
            advice,
        }
    }

    /// An answer without an error of the API: the page of a proxy, or an empty body.
    pub(super) fn of_status(status: u16) -> Self {
        let advice = match status {
            407 => "add the user and password of the proxy to its URL, or the host to `NO_PROXY`",
            300..=399 => "check `region`, `endpoint` and the proxy: unexpected redirect",
            _ => "check `region`, `endpoint` and the proxy: the answer is not from the API",
        };
        let message = "the answer contains no error of the API";
        Self::new(class_of_status(status), "http_status", message, advice)
            .with_code(format!("HTTP {status}"))
    }

    /// The same failure with a code other than its label.
    pub(super) fn with_code(mut self, code: impl Into<Box<str>>) -> Self {
        self.error.code = code.into();
        self
    }

    /// The same failure; if it is a throttled call, with the pause that the API requested.
    pub(super) fn with_retry_after(mut self, pause: Option<Duration>) -> Self {
        if let ErrorClass::Throttled { retry_after, .. } = &mut self.class {
            *retry_after = pause;
        }
        self
    }

    /// The failure for the rest of the program, with presentable texts that contain nothing of
    /// `key`.
    pub(super) fn into_call_error(
        self,
        operation: Operation,
        instance: &InstanceId,
        key: Option<&AccessKey>,
    ) -> CallError {
        let redact = |text: &str| key.map_or_else(|| text.to_owned(), |key| key.redact(text));
        let ErrorBody {
            code,
            message,
            request_id,
        } = self.error.presentable(redact);
        CallError {
            class: self.class,
            delivery: self.delivery,
            label: self.label,
            operation: operation.name(),
            instance: instance.as_str().to_owned(),
            code: code.into(),
            message: message.into(),
            request_id,
            advice: self.advice.unwrap_or_else(|| grant(operation)),
        }
    }
}

impl std::fmt::Debug for CallFailure {
    /// Without the texts: they are raw.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CallFailure")
            .field("class", &self.class)
            .field("label", &self.label)
            .finish_non_exhaustive()
    }
}

const fn grant(operation: Operation) -> &'static str {
    match operation {
        Operation::Single => {
            "grant the RAM action `mq:MqttInstanceAccess` on this instance to the owner of the access key, \
             and check `instances[].id`"
        }
        Operation::Batch => {
            "grant the RAM action `mq:BatchQuerySessionByClientIds` on this instance to the owner of the access \
             key, and check `instances[].id`"
        }
    }
}

/// The class of an error with a code of the API that is not documented: about the client that was
/// queried, unless the status means something else.
const fn class_of_unknown_code(status: u16) -> ErrorClass {
    match status {
        408 | 417 | 425 | 429 => class_of_status(status),
        400..=499 => ErrorClass::Client,
        _ => class_of_status(status),
    }
}

/// The class of a status alone: the answer is of a gateway or a proxy. Those statuses of which a
/// request can be the reason are about the client that was queried. The API sends `InternalError` with 417. A success that carries an
/// error may be temporary.
const fn class_of_status(status: u16) -> ErrorClass {
    match status {
        429 => ACCOUNT,
        400 | 413 | 414 | 431 => ErrorClass::Client,
        _ => ErrorClass::Transient,
    }
}

#[cfg(test)]
mod tests;
