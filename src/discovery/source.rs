//! The sources of clients.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::config::{HiddenUrl, Instance, Problems};
use crate::presence::InstanceId;

/// The name of the configuration among the sources.
pub(super) const CONFIG: &str = "config";

/// Where a list of clients is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum SourceLocation {
    /// The configuration.
    Config,
    /// A client file.
    File(PathBuf),
    /// A client URL.
    Url(HiddenUrl),
}

impl SourceLocation {
    /// The name of the content in messages.
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
            location => location.as_file().display().fmt(f),
        }
    }
}

/// A source of clients of one instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// The instance of the listed clients, unless their group names another one.
    pub instance: InstanceId,
    /// The value of the label `source`: `config`, the pattern that matched the file, or the URL.
    pub name: Arc<str>,
    /// Where it is.
    pub location: SourceLocation,
    /// How many clients it lists, including those that are listed elsewhere as well; `None` for a
    /// URL without a response so far.
    pub clients: Option<usize>,
}

impl Source {
    /// A source of `instance` that is not read yet.
    pub(super) fn new(instance: &Instance, name: &Arc<str>, location: SourceLocation) -> Self {
        Self {
            instance: instance.id.clone(),
            name: Arc::clone(name),
            location,
            clients: None,
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.clients {
            Some(clients) => write!(f, "{clients} from {}", self.location),
            None => write!(
                f,
                "those that {} lists, which is requested while the exporter serves",
                self.location
            ),
        }
    }
}

/// A source that could not be read or is invalid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceFailure {
    /// The name of the source, as in [`Source::name`].
    pub name: Arc<str>,
    /// What is wrong with it.
    pub problems: Problems,
}
