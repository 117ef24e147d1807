//! An access key that is valid as part of a request.

use std::fmt;

use crate::secret::{REDACTED, Secret};

/// An access key that is valid as part of a request.
#[derive(Clone, PartialEq, Eq)]
pub struct AccessKey {
    id: String,
    secret: Secret,
    security_token: Option<Secret>,
}

impl AccessKey {
    /// Trims white space, which no access key has and editors add. An empty token counts as none.
    /// The error names the part that is invalid, without its content.
    pub(super) fn new(id: &str, secret: &Secret, token: Option<&Secret>) -> Result<Self, String> {
        let checked = |what: &str, text: &str| match text.trim() {
            "" => Err(format!("the {what} is empty")),
            text if text.bytes().all(|byte| byte.is_ascii_graphic()) => Ok(text.to_owned()),
            _ => Err(format!(
                "the {what} contains a character that is invalid in an access key"
            )),
        };
        let token = token.filter(|token| !token.expose().trim().is_empty());
        Ok(Self {
            id: checked("access key ID", id)?,
            secret: Secret::new(checked("access key secret", secret.expose())?),
            security_token: token
                .map(|token| checked("security token", token.expose()).map(Secret::new))
                .transpose()?,
        })
    }

    /// The access key ID.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The access key secret, which signs requests.
    #[must_use]
    pub const fn secret(&self) -> &Secret {
        &self.secret
    }

    /// The security token of a temporary access key.
    #[must_use]
    pub const fn security_token(&self) -> Option<&Secret> {
        self.security_token.as_ref()
    }

    /// `text` without any part of this access key.
    pub(super) fn redact(&self, text: &str) -> String {
        let mut shown = text.to_owned();
        for secret in self.security_token.iter().chain([&self.secret]) {
            shown = shown.replace(secret.expose(), REDACTED);
        }
        shown.replace(&self.id, "<access key ID>")
    }
}

impl fmt::Debug for AccessKey {
    /// Shows only whether it is temporary.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AccessKey")
            .field("temporary", &self.security_token.is_some())
            .finish_non_exhaustive()
    }
}
