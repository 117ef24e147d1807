//! A file to a [`Config`].

use std::io;
use std::path::Path;
use std::sync::Arc;

use super::cursor::NodeCursor;
use super::file::{self, Document};
use super::tree::Value;
use super::{Config, Problem, Problems, Report, check};

/// A configuration, and what is odd about it.
#[derive(Clone, Debug, PartialEq)]
pub struct Loaded {
    /// The configuration.
    pub config: Config,
    /// What is odd, but possible.
    pub warnings: Vec<Problem>,
}

impl Config {
    /// Reads the configuration file at `path`. Relative paths in it start at its own folder.
    pub fn load(path: &Path) -> Result<Loaded, Problems> {
        let name: Arc<Path> = path.into();
        let bytes = read(path).map_err(|message| Problem::of_file(&name, message))?;
        let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        parse(&bytes, &name, folder_of(&absolute))
    }

    /// Reads the configuration `text`, which is named `origin` in messages and whose relative
    /// paths start at the folder of `origin`. Touches no file.
    pub fn parse(text: impl AsRef<[u8]>, origin: &Path) -> Result<Loaded, Problems> {
        parse(text.as_ref(), &origin.into(), folder_of(origin))
    }
}

fn folder_of(file: &Path) -> &Path {
    file.parent().unwrap_or(Path::new(""))
}

/// The bytes of the file at `path`, or why there are none and what to do.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>, String> {
    std::fs::read(path).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => "the file does not exist; check the path".to_owned(),
        io::ErrorKind::IsADirectory => "this is a directory; name the file in it".to_owned(),
        io::ErrorKind::PermissionDenied => {
            "no permission to read the file; let this user read it".to_owned()
        }
        _ => format!("the file cannot be read: {error}"),
    })
}

fn parse(bytes: &[u8], name: &Arc<Path>, folder: &Path) -> Result<Loaded, Problems> {
    let document = file::decode(bytes)
        .and_then(Document::read)
        .map_err(|unreadable| {
            Problem::of_file(name, unreadable.message).at(unreadable.position, "")
        })?;
    if matches!(document.root.value, Value::Null) {
        return Err(
            Problem::of_file(name, "the file is empty; it needs `instances` at least").into(),
        );
    }
    let mut report = Report::default();
    let config = check::config(NodeCursor::root(&document.root), folder, &mut report);
    let (problems, warnings) = report.locate(name, |mark| document.position(mark));
    match config {
        Some(config) if problems.is_empty() => Ok(Loaded { config, warnings }),
        _ => Err(problems),
    }
}
