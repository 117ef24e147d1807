//! What is found while one text is checked.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use super::problem::{LISTED, Place, Problem, Problems};

/// Gathers what is found while one text is checked. Where a finding stands is remembered as a
/// mark, whose place in the text is looked up only for what is shown.
#[derive(Debug, Default)]
pub(crate) struct Report {
    problems: Vec<Finding>,
    unlisted: usize,
    warnings: Vec<Finding>,
}

#[derive(Debug)]
struct Finding {
    mark: usize,
    path: String,
    message: String,
}

impl Report {
    /// What makes the text unusable.
    pub(crate) fn problem(
        &mut self,
        mark: usize,
        path: impl fmt::Display,
        message: impl Into<String>,
    ) {
        if self.problems.len() < LISTED {
            self.problems.push(Finding {
                mark,
                path: path.to_string(),
                message: message.into(),
            });
        } else {
            self.unlisted += 1;
        }
    }

    /// What is odd, but possible.
    pub(crate) fn warning(
        &mut self,
        mark: usize,
        path: impl fmt::Display,
        message: impl Into<String>,
    ) {
        if self.warnings.len() < LISTED {
            self.warnings.push(Finding {
                mark,
                path: path.to_string(),
                message: message.into(),
            });
        }
    }

    /// The problems and the warnings in the order of their places, which `place` finds by mark.
    pub(crate) fn locate(
        self,
        file: &Arc<Path>,
        place: impl Fn(usize) -> Option<Place>,
    ) -> (Problems, Vec<Problem>) {
        let locate = |findings: Vec<Finding>| {
            let mut located: Vec<_> = findings
                .into_iter()
                .map(
                    |Finding {
                         mark,
                         path,
                         message,
                     }| Problem {
                        file: Some(Arc::clone(file)),
                        place: place(mark),
                        path,
                        message,
                    },
                )
                .collect();
            located.sort_by_key(Problem::place);
            located
        };
        (
            Problems {
                list: locate(self.problems),
                unlisted: self.unlisted,
            },
            locate(self.warnings),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn past_fifty_problems_are_only_counted() {
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
}
