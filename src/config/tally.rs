//! One warning for many findings of the same kind, instead of one each.

/// Counts findings and remembers the first, together with where it was, a `P`.
#[derive(Debug)]
pub(crate) struct Tally<P> {
    count: usize,
    first: Option<(P, String)>,
}

impl<P> Default for Tally<P> {
    fn default() -> Self {
        Self {
            count: 0,
            first: None,
        }
    }
}

impl<P> Tally<P> {
    /// Counts one more; only the first is asked where and what it is.
    pub(crate) fn add(&mut self, finding: impl FnOnce() -> (P, String)) {
        self.count += 1;
        self.first.get_or_insert_with(finding);
    }

    /// Where the first one was, and a message about all that ends with the `remedy`.
    pub(crate) fn warning(self, remedy: &str) -> Option<(P, String)> {
        let (place, first) = self.first?;
        let message = match self.count - 1 {
            0 => format!("{first}; {remedy}"),
            more => format!("{first}, and {more} more like it; {remedy}"),
        };
        Some((place, message))
    }
}
