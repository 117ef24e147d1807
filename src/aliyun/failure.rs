//! What went wrong with a call, as a class that says what follows, a label for the metrics, and
//! a sentence that says what to do.
//!
//! An error is judged by the vendor's code, then by its HTTP status, then by what the transport
//! says ([`transport`](super::transport)).

mod codes;
pub(super) mod text;

use std::time::Duration;

use codes::{RULES, Rule};

use crate::aliyun::credentials::AccessKey;
use crate::presence::{CallError, ErrorClass, InstanceId, Operation, ThrottledLayer};

/// Labels for what is no code of the vendor's.
pub(super) mod label {
    /// The call took longer than it may.
    pub(crate) const TIMEOUT: &str = "timeout";
    /// No connection could be made.
    pub(crate) const CONNECT: &str = "connect";
    /// The connection could not be secured.
    pub(crate) const TLS: &str = "tls";
    /// The connection ended too early.
    pub(crate) const RESET: &str = "reset";
    /// The answer could not be understood.
    pub(crate) const DECODE: &str = "decode";
    /// The answer was an HTTP error, but not one of the API.
    pub(crate) const HTTP_STATUS: &str = "http_status";
    /// There were no credentials to sign with: no request was sent.
    pub(crate) const CREDENTIALS: &str = "credentials";
    /// Everything else: codes that are not documented.
    pub(crate) const OTHER: &str = "other";

    pub(super) const ALL: [&str; 8] = [
        TIMEOUT,
        CONNECT,
        TLS,
        RESET,
        DECODE,
        HTTP_STATUS,
        CREDENTIALS,
        OTHER,
    ];
}

/// All values that the label `code` can have: the documented codes, where a code that names a
/// parameter or a reason (`InvalidParameter.ClientId`) stands under its family
/// (`InvalidParameter`), and the few words for what is not the API's own error.
pub const ERROR_LABELS: &[&str] = &{
    let mut labels = [""; RULES.len() + label::ALL.len()];
    let mut at = 0;
    while at < labels.len() {
        labels[at] = if at < RULES.len() {
            RULES[at].name
        } else {
            label::ALL[at - RULES.len()]
        };
        at += 1;
    }
    labels
};

/// A failed call, before it is known of which operation and instance.
///
/// The texts are as they came; they are made fit to be seen on the way into a [`CallError`].
#[derive(Clone, PartialEq, Eq)]
pub struct CallFailure {
    /// What follows.
    pub class: ErrorClass,
    /// One of [`ERROR_LABELS`].
    pub label: &'static str,
    /// The vendor's code, or a word or two of ours.
    code: Box<str>,
    message: String,
    request_id: Option<String>,
    advice: Advice,
}

/// An error as the API describes it.
#[derive(Debug)]
pub(super) struct ApiError {
    pub(super) status: u16,
    pub(super) code: String,
    pub(super) message: String,
    pub(super) request_id: Option<String>,
    pub(super) retry_after: Option<Duration>,
}

/// What a person can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Advice {
    Text(&'static str),
    /// Grant the RAM action that the operation needs.
    Grant,
}

impl Advice {
    const fn text(self, operation: Operation) -> &'static str {
        match (self, operation) {
            (Self::Text(text), _) => text,
            (Self::Grant, Operation::Single) => {
                "grant the RAM action `mq:MqttInstanceAccess` on this instance to the owner of the access key, \
                 and check `instances[].id`"
            }
            (Self::Grant, Operation::Batch) => {
                "grant the RAM action `mq:BatchQuerySessionByClientIds` on this instance to the owner of the access \
                 key, and check `instances[].id`"
            }
        }
    }
}

impl CallFailure {
    pub(super) fn new(
        class: ErrorClass,
        label: &'static str,
        code: impl Into<Box<str>>,
        message: impl Into<String>,
        advice: &'static str,
    ) -> Self {
        Self {
            class,
            label,
            code: code.into(),
            message: message.into(),
            request_id: None,
            advice: Advice::Text(advice),
        }
    }

    /// An answer that could not be understood: nothing is known of its clients.
    pub(super) fn undecodable(message: impl Into<String>) -> Self {
        let advice =
            "check that nothing between here and the API changes or cuts answers, if this goes on";
        Self::new(
            ErrorClass::Transient,
            label::DECODE,
            "decode",
            message,
            advice,
        )
    }

    /// There is nothing to sign with.
    pub(super) fn no_credentials(why: String) -> Self {
        let advice = "check `credentials`: without them nothing is asked";
        Self::new(
            ErrorClass::Credentials,
            label::CREDENTIALS,
            "credentials",
            why,
            advice,
        )
    }

    /// There is nothing to sign with yet, but it is on its way.
    pub(super) fn late_credentials(limit: Duration) -> Self {
        let message = format!("not there within {limit:?}");
        Self {
            class: ErrorClass::Transient,
            ..Self::no_credentials(message)
        }
    }

    /// The call took longer than `limit`.
    pub(super) fn timeout(limit: Duration) -> Self {
        let advice =
            "check the network, or raise `collect.call_timeout` if the API is that far away";
        let message = format!("no answer within {limit:?}");
        Self::new(
            ErrorClass::Transient,
            label::TIMEOUT,
            "timeout",
            message,
            advice,
        )
    }

    /// What happened, as it came.
    pub(super) fn message(&self) -> &str {
        &self.message
    }

    /// Judges an error of the API by its code, or by its status where the code is not documented.
    pub(super) fn of_api(error: ApiError) -> Self {
        let (mut class, label, advice) = match Rule::of(&error.code) {
            Some(rule) => (rule.class, rule.name, rule.advice),
            None => (
                class_of_status(error.status),
                label::OTHER,
                Advice::Text("look the code up in the documentation of ApsaraMQ for MQTT"),
            ),
        };
        if let ErrorClass::Throttled { retry_after, .. } = &mut class {
            *retry_after = error.retry_after;
        }
        let message = text::without_string_to_sign(error.message, &error.code);
        Self {
            class,
            label,
            code: error.code.into(),
            message,
            request_id: error.request_id,
            advice,
        }
    }

    /// Judges an answer that is an error, but none of the API's: a proxy's page, or nothing at all.
    pub(super) fn of_status(status: u16, retry_after: Option<Duration>) -> Self {
        let mut class = class_of_status(status);
        if let ErrorClass::Throttled {
            retry_after: wait, ..
        } = &mut class
        {
            *wait = retry_after;
        }
        let advice = match status {
            407 => {
                "give the proxy's user and password in the proxy's URL, or name the host in `NO_PROXY`"
            }
            300..=399 => "check `region`, `endpoint` and the proxy: the API redirects nobody",
            _ => "check `region`, `endpoint` and the proxy: the answer is not one of the API's",
        };
        Self::new(
            class,
            label::HTTP_STATUS,
            format!("HTTP {status}"),
            "no error of the API's in the answer",
            advice,
        )
    }

    /// The failure as the rest of the program knows it. What `credentials` hold is taken out of
    /// its texts, control characters too, and their length is bounded.
    pub(super) fn into_call_error(
        self,
        operation: Operation,
        instance: &InstanceId,
        credentials: Option<&AccessKey>,
    ) -> CallError {
        let presentable =
            |raw: &str, longest| text::presentable(&text::redacted(raw, credentials), longest);
        CallError {
            class: self.class,
            label: self.label,
            operation: operation.name(),
            instance: instance.as_str().to_owned(),
            code: presentable(&self.code, text::LONGEST_CODE),
            message: presentable(&self.message, text::LONGEST_MESSAGE),
            request_id: self
                .request_id
                .map(|id| presentable(&id, text::LONGEST_CODE)),
            advice: self.advice.text(operation),
        }
    }
}

impl std::fmt::Debug for CallFailure {
    /// Without the texts: they are as they came.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CallFailure")
            .field("class", &self.class)
            .field("label", &self.label)
            .finish_non_exhaustive()
    }
}

/// What follows from a status alone. 417 is how the API says `InternalError`; a success that says
/// it failed may pass.
const fn class_of_status(status: u16) -> ErrorClass {
    match status {
        429 => ErrorClass::Throttled {
            layer: ThrottledLayer::Account,
            retry_after: None,
        },
        408 | 417 | 425 | 500..=599 | 200..=299 => ErrorClass::Transient,
        _ => ErrorClass::Terminal,
    }
}

#[cfg(test)]
mod tests;
