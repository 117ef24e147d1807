//! Configuration: what the program may rely on, made from what a file says.
//!
//! [`Config`] and its parts are valid by construction and know nothing of YAML. How a file is
//! read, checked and complained about is in `file`, `at` and `check`, and nothing below this
//! module sees what the file looked like.

mod at;
mod check;
mod client_url;
pub mod duration;
mod env;
mod file;
mod hidden_url;
mod load;
mod problem;
mod quotas;
mod render;
mod report;
mod tally;
mod tree;
mod values;
mod words;

pub(crate) use at::{At, Entry};
pub use check::KNOWN_REGIONS;
pub(crate) use check::{UNUSUAL, label_name_problem};
pub use client_url::{Authorization, ClientUrl, Identity, UrlTls};
pub use env::Env;
pub(crate) use file::{Document, Unreadable, decode};
pub use hidden_url::HiddenUrl;
pub use load::Loaded;
pub(crate) use load::read;
pub use problem::{Place, Problem, Problems};
pub use quotas::Quotas;
pub use render::render;
pub(crate) use report::Report;
pub(crate) use tally::Tally;
pub(crate) use tree::{Kind, Node, Value};
pub use values::{
    Address, Api, Client, Collect, Config, Credentials, Endpoints, Exposition, Instance, Limits,
    Mode, Network, Probe, Provider, Query, SecretSource, Session, Signature, StaleAfter,
};
pub(crate) use words::{shown, unknown};
