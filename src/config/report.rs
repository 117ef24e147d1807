//! Problems and warnings found while a text is checked, and the building blocks of their messages.

use std::cell::RefCell;
use std::fmt::Display;
use std::path::Path;
use std::sync::Arc;

use super::problem::{Position, Problem, Problems};

/// Collects problems and warnings. Each has the mark of a node; the position of a mark is looked up
/// only for those that are listed.
#[derive(Debug, Default)]
pub(crate) struct Report {
    problems: RefCell<Problems>,
    warnings: RefCell<Problems>,
}

impl Report {
    /// Adds a problem, which makes the text invalid.
    pub(crate) fn problem(&self, mark: usize, path: impl Display, message: impl Into<String>) {
        let problem = Problem::of_node(mark, path, message);
        self.problems.borrow_mut().push(problem);
    }

    /// Adds a warning; the text stays valid.
    pub(super) fn warn(&self, warning: Problem) {
        self.warnings.borrow_mut().push(warning);
    }

    /// The problems and the warnings, sorted by their position, which `position` finds by mark.
    pub(crate) fn locate(
        self,
        file: &Arc<Path>,
        position: impl Fn(usize) -> Option<Position>,
    ) -> (Problems, Vec<Problem>) {
        let [problems, warnings] = [self.problems, self.warnings].map(|problems| {
            let mut problems = problems.into_inner();
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

/// Counts findings of one kind for a single warning; keeps the first.
#[derive(Debug, Default)]
pub(crate) struct WarningGroup {
    count: usize,
    first: Option<Problem>,
}

impl WarningGroup {
    /// Counts a finding; evaluates only the first.
    pub(crate) fn add(&mut self, finding: impl FnOnce() -> Problem) {
        self.count += 1;
        self.first.get_or_insert_with(finding);
    }

    /// The first finding, with a message about all that ends with the `remedy`.
    pub(crate) fn warning(self, remedy: &str) -> Option<Problem> {
        let mut warning = self.first?;
        if self.count > 1 {
            let more = format!(", and {} more like it", self.count - 1);
            warning.message.push_str(&more);
        }
        warning.message.push_str("; ");
        warning.message.push_str(remedy);
        Some(warning)
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
        let report = Report::default();
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
