//! Pages of the manual, and what stands on them; and that their links lead somewhere.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// A page of the manual.
pub(super) struct Page {
    /// Where it is, from the root of the repository.
    pub(super) path: PathBuf,
    pub(super) text: String,
}

/// The root of the repository.
pub(super) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

impl Page {
    pub(super) fn read(path: impl Into<PathBuf>) -> Self {
        let path = path.into();
        let text = std::fs::read_to_string(root().join(&path))
            .unwrap_or_else(|error| panic!("{path:?}: {error}"));
        Self { path, text }
    }

    /// All pages: those of `docs`, and those at the root.
    pub(super) fn all() -> Vec<Self> {
        let in_folder = |folder: &str| {
            let entries = std::fs::read_dir(root().join(folder)).expect("a folder");
            let names =
                entries.map(|entry| Path::new(folder).join(entry.expect("an entry").file_name()));
            names
                .filter(|path| path.extension().is_some_and(|extension| extension == "md"))
                .collect::<Vec<_>>()
        };
        let pages: Vec<_> = [in_folder(""), in_folder("docs")]
            .concat()
            .into_iter()
            .map(Self::read)
            .collect();
        assert!(pages.len() > 10, "the pages are found");
        pages
    }

    /// Its lines outside of code blocks.
    pub(super) fn prose(&self) -> impl Iterator<Item = &str> {
        let mut in_code = false;
        self.text.lines().filter(move |line| {
            let fence = line.trim_start().starts_with("```");
            in_code ^= fence;
            !in_code && !fence
        })
    }

    /// Its code blocks: what they are said to be, and their text.
    pub(super) fn blocks(&self) -> Vec<(&str, String)> {
        let mut blocks = Vec::new();
        let mut lines = self.text.lines();
        while let Some(line) = lines.next() {
            if let Some(kind) = line.trim_start().strip_prefix("```") {
                let block = lines
                    .by_ref()
                    .take_while(|line| !line.trim_start().starts_with("```"));
                blocks.push((kind, block.collect::<Vec<_>>().join("\n")));
            }
        }
        blocks
    }

    /// Where its links lead.
    pub(super) fn links(&self) -> Vec<&str> {
        let starts = self
            .prose()
            .flat_map(|line| line.match_indices("](").map(|(at, _)| &line[at + 2..]));
        starts
            .filter_map(|rest| rest.split_once(')'))
            .map(|(link, _)| link)
            .collect()
    }

    /// The rows of its tables, as cells, heads included.
    pub(super) fn rows(&self) -> impl Iterator<Item = Vec<&str>> {
        let rows = self
            .prose()
            .filter_map(|line| line.trim().strip_prefix('|')?.strip_suffix('|'));
        let rows = rows.map(|row| row.split('|').map(str::trim).collect::<Vec<_>>());
        rows.filter(|row| !row.iter().all(|cell| cell.starts_with("---")))
    }

    /// The addresses of its headings, as they are made on a page of the forge.
    fn anchors(&self) -> BTreeSet<String> {
        let headings = self.prose().filter(|line| line.starts_with('#'));
        let anchor = |line: &str| {
            let title = line.trim_start_matches('#').trim().to_lowercase();
            let kept = title
                .chars()
                .filter(|&c| c.is_alphanumeric() || c == ' ' || c == '-' || c == '_');
            kept.map(|c| if c == ' ' { '-' } else { c }).collect()
        };
        headings.map(anchor).collect()
    }

    /// What stands between backticks in its prose.
    pub(super) fn code(&self) -> impl Iterator<Item = &str> {
        self.prose()
            .flat_map(|line| line.split('`').skip(1).step_by(2))
    }
}

#[test]
fn every_link_leads_somewhere() {
    let mut broken = Vec::new();
    for page in Page::all() {
        for link in page
            .links()
            .into_iter()
            .filter(|link| !link.contains("://"))
        {
            let (path, anchor) = link
                .split_once('#')
                .map_or((link, None), |(path, anchor)| (path, Some(anchor)));
            let folder = page.path.parent().expect("a folder");
            let target = if path.is_empty() {
                page.path.clone()
            } else {
                folder.join(path)
            };
            let found = match anchor {
                _ if !root().join(&target).exists() => false,
                Some(anchor) => Page::read(target).anchors().contains(anchor),
                None => true,
            };
            if !found {
                broken.push(format!("{}: {link}", page.path.display()));
            }
        }
    }
    assert!(broken.is_empty(), "{broken:#?}");
}
