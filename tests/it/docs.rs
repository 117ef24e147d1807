//! The manual: its links lead somewhere, and what it names is there.

mod chinese;
mod command_line;
mod names;
mod page;
