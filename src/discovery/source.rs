//! The places that list clients.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::config::HiddenUrl;
use crate::presence::InstanceId;

/// The name of the configuration among the sources.
pub(super) const CONFIG: &str = "config";

/// Where a list of clients is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum SourceLocation {
    /// In the configuration itself.
    Config,
    /// In a client file.
    File(PathBuf),
    /// At a client URL.
    Url(HiddenUrl),
}

impl SourceLocation {
    /// What messages call the text that is there.
    pub(super) fn as_file(&self) -> Arc<Path> {
        match self {
            Self::Config => Path::new(CONFIG).into(),
            Self::File(path) => path.as_path().into(),
            Self::Url(url) => Path::new(&url.to_string()).into(),
        }
    }
}

impl fmt::Display for SourceLocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Config => f.write_str("the configuration"),
            place => place.as_file().display().fmt(f),
        }
    }
}

/// One place as a source of one instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// The instance whose clients it lists, where it does not name another one itself.
    pub instance: InstanceId,
    /// What metrics call it: `config`, the pattern that led to the file, or the URL.
    pub name: Arc<str>,
    /// Where it is.
    pub place: SourceLocation,
    /// How many clients it lists, those that are listed elsewhere too included; `None` for a URL
    /// that has not answered yet.
    pub clients: Option<usize>,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.clients {
            Some(clients) => write!(f, "{clients} from {}", self.place),
            None => write!(
                f,
                "those that {} lists, which is asked while the exporter serves",
                self.place
            ),
        }
    }
}
