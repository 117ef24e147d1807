//! From a file to a [`Config`].

use std::io;
use std::path::Path;
use std::sync::Arc;

use super::check::{self, VendorRules};
use super::cursor::NodeCursor;
use super::file::{self, Document};
use super::problem::{Problem, Problems};
use super::report::Report;
use super::tree::Node;
use super::values::Config;

/// A configuration and its warnings.
#[derive(Clone, Debug, PartialEq)]
pub struct Loaded {
    /// The configuration.
    pub config: Config,
    /// Values that are valid but probably not intended.
    pub warnings: Vec<Problem>,
}

impl Config {
    /// Reads the configuration file at `path`. Relative paths in the file start at its folder.
    pub fn load(path: &Path, rules: &VendorRules) -> Result<Loaded, Problems> {
        let name: Arc<Path> = path.into();
        let bytes = read(path).map_err(|message| Problem::of_file(&name, message))?;
        let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        parse(&bytes, &name, folder_of(&absolute), rules)
    }

    /// Reads the configuration `text` without access to files. `origin` is its file name in messages;
    /// relative paths start at the folder of `origin`.
    pub fn parse(
        text: impl AsRef<[u8]>,
        origin: &Path,
        rules: &VendorRules,
    ) -> Result<Loaded, Problems> {
        parse(text.as_ref(), &origin.into(), folder_of(origin), rules)
    }
}

fn folder_of(file: &Path) -> &Path {
    file.parent().unwrap_or(Path::new(""))
}

/// The content of the file at `path`, or a message with the reason and the remedy.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>, String> {
    std::fs::read(path).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => "the file does not exist; check the path".to_owned(),
        io::ErrorKind::IsADirectory => "is a directory; write the path of a file in it".to_owned(),
        io::ErrorKind::PermissionDenied => {
            "no permission to read the file; allow this user to read it".to_owned()
        }
        _ => format!("cannot read the file: {error}"),
    })
}

fn parse(
    bytes: &[u8],
    name: &Arc<Path>,
    folder: &Path,
    rules: &VendorRules,
) -> Result<Loaded, Problems> {
    let check = |root: &mut Node<'_>, report: &Report| {
        let at = NodeCursor::root(root, report);
        if at.is_null() {
            // No node has this mark: the problem is that of the whole file and has no position.
            let message = "the file is empty; it needs at least `instances`";
            report.problem(usize::MAX, at, message);
            return None;
        }
        check::config(&at, folder, rules)
    };
    parse_document(bytes, name, check).map(|(config, warnings)| Loaded { config, warnings })
}

/// Reads the YAML document `bytes`, which is named `name` in messages, and checks its root: the
/// value of `check` and the warnings, or all problems.
pub(crate) fn parse_document<T>(
    bytes: &[u8],
    name: &Arc<Path>,
    check: impl FnOnce(&mut Node<'_>, &Report) -> Option<T>,
) -> Result<(T, Vec<Problem>), Problems> {
    let mut document = file::decode(bytes)
        .and_then(Document::read)
        .map_err(|problem| problem.in_file(name))?;
    let report = Report::default();
    let value = check(&mut document.root, &report);
    let (problems, warnings) = report.locate(name, |mark| document.position(mark));
    match value {
        Some(value) if problems.is_empty() => Ok((value, warnings)),
        _ => Err(problems),
    }
}
