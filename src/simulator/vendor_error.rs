//! The errors that the stand-in answers with: the vendor's codes and HTTP statuses.
//!
//! The codes are documented on the vendor's records of the operations and, for those of the
//! gateway, on its page "Public error codes"; the messages are our own, but for the form of
//! [`VendorError::signature`], which the vendor's SDK takes apart.

use std::borrow::Cow;

/// One error answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct VendorError {
    /// The HTTP status.
    pub(super) status: u16,
    /// The vendor's error code.
    pub(super) code: Cow<'static, str>,
    /// What a person reads.
    pub(super) message: Cow<'static, str>,
}

impl VendorError {
    fn new(
        status: u16,
        code: impl Into<Cow<'static, str>>,
        message: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self {
            status,
            code: code.into(),
            message: message.into(),
        }
    }

    /// A parameter (or the header that stands for it) is not there.
    pub(super) fn missing(parameter: &str) -> Self {
        Self::new(
            400,
            format!("Missing{parameter}"),
            format!("{parameter} is mandatory for this action."),
        )
    }

    /// A parameter has a value that it cannot have.
    pub(super) fn invalid(parameter: &str) -> Self {
        Self::new(
            400,
            format!("InvalidParameter.{parameter}"),
            format!("The value of {parameter} is not valid."),
        )
    }

    /// Neither GET nor POST.
    pub(super) fn method() -> Self {
        Self::new(
            405,
            "UnsupportedHTTPMethod",
            "This HTTP method is not supported.",
        )
    }

    /// There is no such operation.
    pub(super) fn no_such_api() -> Self {
        Self::new(
            404,
            "InvalidApi.NotFound",
            "There is no such API; check path, action and version.",
        )
    }

    /// Nobody knows the access key.
    pub(super) fn no_such_key() -> Self {
        Self::new(
            404,
            "InvalidAccessKeyId.NotFound",
            "The access key ID does not exist.",
        )
    }

    /// The signature is not the one that the server computes.
    ///
    /// The vendor's older SDK takes the text behind the message's first colon for the server's
    /// string to sign and compares it with its own.
    pub(super) fn signature(string_to_sign: &str) -> Self {
        let message = format!(
            "The signature is not the calculated one. server string to sign is:{string_to_sign}"
        );
        Self::new(400, "SignatureDoesNotMatch", message)
    }

    /// The nonce came before.
    pub(super) fn nonce_used() -> Self {
        Self::new(
            400,
            "SignatureNonceUsed",
            "The signature nonce was used before.",
        )
    }

    /// The timestamp is no timestamp.
    pub(super) fn timestamp_format() -> Self {
        Self::new(
            400,
            "InvalidTimeStamp.Format",
            "The timestamp is not of the form YYYY-MM-DDThh:mm:ssZ.",
        )
    }

    /// The timestamp is too far from the server's time.
    pub(super) fn timestamp_expired() -> Self {
        Self::new(
            400,
            "InvalidTimeStamp.Expired",
            "The timestamp is not within 15 minutes of the server's time.",
        )
    }

    /// The security token is not the one that belongs to the access key.
    pub(super) fn security_token() -> Self {
        let message = "The security token does not belong to the access key.";
        Self::new(400, "InvalidSecurityToken.MismatchWithAccessKey", message)
    }

    /// The security token has expired, or what it stands for was revoked.
    pub(super) fn expired_token() -> Self {
        Self::new(
            400,
            "InvalidSecurityToken.Expired",
            "The security token has expired.",
        )
    }

    /// The identity provider or its token is not one that the role trusts.
    pub(super) fn oidc_token() -> Self {
        Self::new(
            400,
            "AuthenticationFail.OIDCToken.Invalid",
            "The OIDC token is not valid.",
        )
    }

    /// There is no such role.
    pub(super) fn no_such_role() -> Self {
        Self::new(404, "EntityNotExist.Role", "The role does not exist.")
    }

    /// The role does not trust the caller.
    pub(super) fn role_denied() -> Self {
        Self::new(
            403,
            "NoPermission",
            "The caller is not allowed to assume the role.",
        )
    }

    /// The instance is not the account's.
    pub(super) fn foreign_instance() -> Self {
        let message = "The instance does not exist or belongs to another account.";
        Self::new(400, "InstancePermissionCheckFailed", message)
    }

    /// The operation does not accept a parameter.
    pub(super) fn parameter_check(what: &'static str) -> Self {
        Self::new(400, "ParameterCheckFailed", what)
    }

    /// The account made more calls than it may.
    pub(super) fn throttled() -> Self {
        Self::new(
            400,
            "Throttling.User",
            "The account calls this operation too often.",
        )
    }

    /// The service is overloaded.
    pub(super) fn system_overflow() -> Self {
        Self::new(
            403,
            "SystemOverFlow",
            "The system is busy; try again later.",
        )
    }

    /// The service failed; `status` is 417, or 500 as older gateways have it.
    pub(super) fn internal_error(status: u16) -> Self {
        Self::new(
            status,
            "InternalError",
            "The service failed; try again later.",
        )
    }

    /// The gateway has nobody to ask.
    pub(super) fn service_unavailable() -> Self {
        Self::new(
            503,
            "ServiceUnavailable",
            "The service is not available now; try again later.",
        )
    }

    /// Whether this answer asks its caller to slow down.
    pub(super) fn is_throttle(&self) -> bool {
        matches!(&*self.code, "Throttling.User" | "SystemOverFlow")
    }
}
