//! Who may overtake.

use std::ops::{Index, IndexMut};

/// Whether a ticket may overtake.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Priority {
    /// Goes before every ordinary ticket, as long as such overtaking takes no more than a tenth
    /// of the rate of any layer. Beyond that tenth it takes its lane's ordinary turns, where no
    /// ordinary ticket of the lane wants them.
    Urgent,
    /// Waits for its lane's turn.
    Ordinary,
}

impl Priority {
    /// Both, in the order in which they are served.
    pub(super) const ALL: [Self; 2] = [Self::Urgent, Self::Ordinary];
}

/// One of `T` for each priority.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct ByPriority<T> {
    pub(super) urgent: T,
    pub(super) ordinary: T,
}

impl<T> Index<Priority> for ByPriority<T> {
    type Output = T;

    fn index(&self, priority: Priority) -> &T {
        match priority {
            Priority::Urgent => &self.urgent,
            Priority::Ordinary => &self.ordinary,
        }
    }
}

impl<T> IndexMut<Priority> for ByPriority<T> {
    fn index_mut(&mut self, priority: Priority) -> &mut T {
        match priority {
            Priority::Urgent => &mut self.urgent,
            Priority::Ordinary => &mut self.ordinary,
        }
    }
}
