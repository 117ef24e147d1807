//! Problems and warnings found while a text is checked, and the building blocks of their messages.

use std::fmt::Display;
use std::path::Path;
use std::sync::Arc;

use super::problem::{Position, Problem, Problems};

/// Collects problems and warnings. Each has the mark of a node; the position of a mark is looked up
/// only for those that are listed.
#[derive(Debug, Default)]
pub(crate) struct Report {
    problems: Problems,
    warnings: Problems,
}

impl Report {
    /// Adds a problem, which makes the text invalid.
    pub(crate) fn problem(&mut self, mark: usize, path: impl Display, message: impl Into<String>) {
        self.problems.push(Problem::of_node(mark, path, message));
    }

    /// Adds a warning; the text stays valid.
    pub(crate) fn warning(&mut self, mark: usize, path: impl Display, message: impl Into<String>) {
        self.warnings.push(Problem::of_node(mark, path, message));
    }

    /// The problems and the warnings, sorted by their position, which `position` finds by mark.
    pub(crate) fn locate(
        self,
        file: &Arc<Path>,
        position: impl Fn(usize) -> Option<Position>,
    ) -> (Problems, Vec<Problem>) {
        let [problems, warnings] = [self.problems, self.warnings].map(|mut problems| {
            for problem in &mut problems.list {
                problem.file = Some(Arc::clone(file));
                problem.position = position(problem.mark);
            }
            problems.list.sort_by_key(Problem::position);
            problems
        });
        (problems, warnings.list)
    }
}

/// Counts findings of one kind for a single warning; keeps the first and its location, a `P`.
#[derive(Debug)]
pub(crate) struct WarningGroup<P> {
    count: usize,
    first: Option<(P, String)>,
}

impl<P> Default for WarningGroup<P> {
    fn default() -> Self {
        Self {
            count: 0,
            first: None,
        }
    }
}

impl<P> WarningGroup<P> {
    /// Counts a finding; evaluates only the first.
    pub(crate) fn add(&mut self, finding: impl FnOnce() -> (P, String)) {
        self.count += 1;
        self.first.get_or_insert_with(finding);
    }

    /// The location of the first finding, and a message about all that ends with the `remedy`.
    pub(crate) fn warning(self, remedy: &str) -> Option<(P, String)> {
        let (location, first) = self.first?;
        let message = match self.count - 1 {
            0 => format!("{first}; {remedy}"),
            more => format!("{first}, and {more} more like it; {remedy}"),
        };
        Some((location, message))
    }
}

/// `text` in backticks, on one line, truncated if long.
pub(crate) fn quote(text: &str) -> String {
    format!("`{}`", truncate(text))
}

/// `text` on one line, truncated if long.
pub(crate) fn truncate(text: &str) -> String {
    const MOST: usize = 80;
    let mut line: String = text
        .chars()
        .take(MOST)
        .map(|c| if c.is_control() { '\u{FFFD}' } else { c })
        .collect();
    if text.chars().nth(MOST).is_some() {
        line.push('…');
    }
    line
}

/// The message about the key `name` where only the keys `known` are valid.
pub(crate) fn unknown_key(name: &str, known: &[&str]) -> String {
    if name == "<<" {
        return "merge keys (`<<`) are not supported; write the keys out".into();
    }
    format!("unknown key; {}", suggest(name, known))
}

/// The word of `words` that is similar to `word`, or all of them.
pub(crate) fn suggest(word: &str, words: &[&str]) -> String {
    let word = truncate(word);
    let nearest = words
        .iter()
        .map(|known| (strsim::levenshtein(&word, known), *known))
        .min();
    match nearest {
        Some((distance, known)) if distance * 3 <= known.len() => {
            format!("did you mean `{known}`?")
        }
        _ => format!("expected one of `{}`", words.join("`, `")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn at_most_fifty_problems_are_listed() {
        let mut report = Report::default();
        for n in 0..53 {
            report.problem(n, format_args!("key{n}"), "is wrong");
        }
        let (problems, warnings) = report.locate(&Path::new("c.yaml").into(), |_| None);
        let text = problems.to_string();
        assert_eq!(text.lines().count(), 51);
        assert!(text.starts_with("c.yaml: key0: is wrong\n"), "{text}");
        assert!(text.ends_with("\nand 3 more"), "{text}");
        assert_eq!(warnings, []);
    }

    #[test]
    fn a_similar_word_is_suggested_otherwise_all_are_listed() {
        assert_eq!(
            suggest("max_agee", &["max_age", "mode"]),
            "did you mean `max_age`?"
        );
        assert_eq!(suggest("poll", &["v3", "v2"]), "expected one of `v3`, `v2`");
        assert!(suggest(&"x".repeat(100), &["v3"]).starts_with("expected one of"));
    }
}
