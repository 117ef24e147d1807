//! An access key, checked to be one that can be sent.

use std::fmt;

use super::FetchError;
use crate::secret::Secret;

/// An access key, checked to be one that can be sent.
#[derive(Clone, PartialEq, Eq)]
pub struct AccessKey {
    id: String,
    secret: Secret,
    security_token: Option<Secret>,
}

impl AccessKey {
    /// Takes the three texts without the white space around them, which no key has and every
    /// editor adds. An empty token counts as none.
    pub fn new(id: &str, secret: &Secret, token: Option<&Secret>) -> Result<Self, FetchError> {
        let checked = |what: &str, text: &str| match text.trim() {
            "" => Err(FetchError::Failed(format!("the {what} is empty"))),
            text if text.bytes().all(|byte| byte.is_ascii_graphic()) => Ok(text.to_owned()),
            _ => Err(FetchError::Failed(format!(
                "the {what} has a character that no access key has"
            ))),
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

    /// The name of the access key.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The secret that requests are signed with.
    #[must_use]
    pub const fn secret(&self) -> &Secret {
        &self.secret
    }

    /// What a temporary access key needs beside it.
    #[must_use]
    pub const fn security_token(&self) -> Option<&Secret> {
        self.security_token.as_ref()
    }
}

impl fmt::Debug for AccessKey {
    /// Says only whether they are temporary.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AccessKey")
            .field("temporary", &self.security_token.is_some())
            .finish_non_exhaustive()
    }
}
