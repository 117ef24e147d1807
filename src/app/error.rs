//! The error of a command.

use std::io;

use crate::config::Problems;
use crate::net::ListenError;

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// The command line or the configuration is invalid; the text contains the position and a fix.
    #[error("{0}")]
    Usage(String),
    /// The command failed at run time.
    #[error("{0:#}")]
    Runtime(#[from] anyhow::Error),
}

impl From<Problems> for CommandError {
    fn from(problems: Problems) -> Self {
        Self::Usage(problems.to_string())
    }
}

impl From<ListenError> for CommandError {
    fn from(error: ListenError) -> Self {
        match error {
            ListenError::Address(_) => Self::Usage(format!("--web.listen-address: {error}")),
            ListenError::Failed(_) => Self::Runtime(error.into()),
        }
    }
}

impl From<io::Error> for CommandError {
    /// Only the output of a command fails with an I/O error that is not in another error.
    fn from(error: io::Error) -> Self {
        Self::Runtime(anyhow::Error::new(error).context("cannot write the output"))
    }
}
