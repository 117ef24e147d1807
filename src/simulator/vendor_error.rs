//! The errors of the API: codes and HTTP statuses.
//!
//! The codes are documented on the pages of the operations and, for those of the gateway, on the
//! page "Public error codes". The messages are our own, except for the form of
//! [`VendorError::signature`], which the SDK of Alibaba Cloud parses.

use std::borrow::Cow;

/// One error of the API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct VendorError {
    /// The HTTP status.
    pub(super) status: u16,
    /// The error code.
    pub(super) code: Cow<'static, str>,
    /// The text for people.
    pub(super) message: Cow<'static, str>,
}

impl VendorError {
    const fn new(status: u16, code: &'static str, message: &'static str) -> Self {
        let (code, message) = (Cow::Borrowed(code), Cow::Borrowed(message));
        Self {
            status,
            code,
            message,
        }
    }

    pub(super) const METHOD: Self = Self::new(
        405,
        "UnsupportedHTTPMethod",
        "This HTTP method is not supported.",
    );

    pub(super) const NO_SUCH_API: Self = Self::new(
        404,
        "InvalidApi.NotFound",
        "There is no such API; check path, action and version.",
    );

    pub(super) const NO_SUCH_KEY: Self = Self::new(
        404,
        "InvalidAccessKeyId.NotFound",
        "The access key ID does not exist.",
    );

    pub(super) const NONCE_USED: Self = Self::new(
        400,
        "SignatureNonceUsed",
        "The signature nonce was used before.",
    );

    pub(super) const TIMESTAMP_FORMAT: Self = Self::new(
        400,
        "InvalidTimeStamp.Format",
        "The timestamp is not of the form YYYY-MM-DDThh:mm:ssZ.",
    );

    pub(super) const TIMESTAMP_EXPIRED: Self = Self::new(
        400,
        "InvalidTimeStamp.Expired",
        "The timestamp is not within 15 minutes of the server's time.",
    );

    pub(super) const SECURITY_TOKEN: Self = Self::new(
        400,
        "InvalidSecurityToken.MismatchWithAccessKey",
        "The security token does not belong to the access key.",
    );

    pub(super) const EXPIRED_TOKEN: Self = Self::new(
        400,
        "InvalidSecurityToken.Expired",
        "The security token has expired.",
    );

    pub(super) const OIDC_TOKEN: Self = Self::new(
        400,
        "AuthenticationFail.OIDCToken.Invalid",
        "The OIDC token is not valid.",
    );

    pub(super) const NO_SUCH_ROLE: Self =
        Self::new(404, "EntityNotExist.Role", "The role does not exist.");

    pub(super) const ROLE_DENIED: Self = Self::new(
        403,
        "NoPermission",
        "The caller is not allowed to assume the role.",
    );

    pub(super) const FOREIGN_INSTANCE: Self = Self::new(
        400,
        "InstancePermissionCheckFailed",
        "The instance does not exist or belongs to another account.",
    );

    pub(super) const CLIENT_ID: Self =
        Self::new(400, "ParameterCheckFailed", "The client ID is not valid.");

    pub(super) const BATCH_TOO_LONG: Self = Self::new(
        400,
        "ParameterCheckFailed",
        "A batch has at most 10 client IDs.",
    );

    pub(super) const THROTTLED: Self = Self::new(
        400,
        "Throttling.User",
        "The account calls this operation too often.",
    );

    pub(super) const SYSTEM_OVERFLOW: Self = Self::new(
        403,
        "SystemOverFlow",
        "The system is busy; try again later.",
    );

    /// With the HTTP status of older gateways.
    pub(super) const INTERNAL_ERROR: Self =
        Self::new(500, "InternalError", "The service failed; try again later.");

    /// With the documented HTTP status.
    pub(super) const INTERNAL_ERROR_417: Self =
        Self::new(417, "InternalError", "The service failed; try again later.");

    pub(super) const SERVICE_UNAVAILABLE: Self = Self::new(
        503,
        "ServiceUnavailable",
        "The service is not available now; try again later.",
    );

    fn bad_request(code: impl Into<Cow<'static, str>>, message: String) -> Self {
        Self {
            status: 400,
            code: code.into(),
            message: message.into(),
        }
    }

    /// A parameter, or the header in its place, is missing.
    pub(super) fn missing(parameter: &str) -> Self {
        let message = format!("{parameter} is mandatory for this action.");
        Self::bad_request(format!("Missing{parameter}"), message)
    }

    /// The value of a parameter is not possible.
    pub(super) fn invalid(parameter: &str) -> Self {
        let message = format!("The value of {parameter} is not valid.");
        Self::bad_request(format!("InvalidParameter.{parameter}"), message)
    }

    /// The signature is wrong. The older SDK of Alibaba Cloud compares the text after the first
    /// colon of the message with its own string to sign.
    pub(super) fn signature(string_to_sign: &str) -> Self {
        let message = format!(
            "The signature is not the calculated one. server string to sign is:{string_to_sign}"
        );
        Self::bad_request("SignatureDoesNotMatch", message)
    }

    /// Whether this error asks the caller to slow down.
    pub(super) fn is_throttling(&self) -> bool {
        matches!(&*self.code, "Throttling.User" | "SystemOverFlow")
    }
}
