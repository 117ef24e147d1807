//! Configuration: what the program may rely on, made from what a file says.
//!
//! [`Config`] and its parts are valid by construction and know nothing of YAML. How a file is
//! read, checked and complained about is in `file`, `at` and `check`, and nothing below this
//! module sees what the file looked like.

mod at;
mod check;
pub mod duration;
mod env;
mod file;
mod load;
mod problem;
mod render;
mod report;
mod tally;
mod tree;
mod values;
mod words;

pub(crate) use at::{At, Entry};
pub use check::KNOWN_REGIONS;
pub(crate) use check::{UNUSUAL, label_name_problem};
pub use env::Env;
pub(crate) use file::{Document, Unreadable, decode};
pub use load::Loaded;
pub(crate) use load::read;
pub use problem::{Place, Problem, Problems};
pub use render::render;
pub(crate) use report::Report;
pub(crate) use tally::Tally;
pub use values::{
    Address, Api, Client, Collect, Config, Credentials, Exposition, Instance, Limits, Mode, Network, Probe, Provider,
    Query, SecretSource, Signature, StaleAfter,
};
pub(crate) use words::{shown, unknown};
