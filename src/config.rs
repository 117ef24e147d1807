//! Configuration: what the program may rely on, made from what a file says.
//!
//! [`Config`] and its parts are valid by construction and know nothing of YAML. How a file is
//! read, checked and complained about is in `file`, `cursor` and `check`, and nothing below this
//! module sees what the file looked like.

mod check;
mod client_url;
mod cursor;
pub mod duration;
mod env;
mod file;
mod hidden_url;
mod load;
mod problem;
mod quotas;
mod render;
mod report;
mod tree;
mod values;

pub use check::KNOWN_REGIONS;
pub(crate) use check::{UNUSUAL_ID_HINT, label_name_problem};
pub use client_url::{Authorization, ClientUrl, Identity, UrlTls};
pub(crate) use cursor::{MapEntry, NodeCursor};
pub use env::Env;
pub(crate) use file::{Document, DocumentError, decode};
pub use hidden_url::HiddenUrl;
pub use load::Loaded;
pub(crate) use load::read;
pub use problem::{Position, Problem, Problems};
pub use quotas::Quotas;
pub use render::render;
pub(crate) use report::{Report, WarningGroup, quote, truncate, unknown_key};
pub(crate) use tree::{Node, ScalarKind, Value};
pub use values::{
    Address, Api, Client, Collect, Config, Credentials, Endpoints, Exposition, Instance, Limits,
    Mode, Network, Probe, Provider, Query, SecretSource, Session, Signature, StaleAfter,
};
