//! Configuration: from the content of a file to values that the program may rely on.
//!
//! [`Config`] and its parts are valid by construction and independent of YAML. `file`, `cursor` and
//! `check` read and check a file; nothing outside this module sees the content of the file.

mod check;
mod client_url;
mod credentials;
mod cursor;
pub mod duration;
mod env;
mod file;
mod keys;
mod load;
mod problem;
mod quotas;
mod report;
mod secret_files;
mod serialize;
mod tree;
mod values;

pub use check::VendorRules;
pub(crate) use check::{UNUSUAL_ID_HINT, label_name_problem};
pub use client_url::{Authorization, ClientUrl, HiddenUrl, Identity, UrlTls};
pub use credentials::{Credentials, Endpoints, Provider, SecretSource, Session};
pub(crate) use cursor::{MapEntry, NodeCursor};
pub use env::Env;
pub use file::render;
pub(crate) use file::{Document, decode};
pub(crate) use keys::{Keys, unknown_key};
pub use load::Loaded;
pub(crate) use load::{parse_document, read};
pub use problem::{Position, Problem, Problems};
pub use quotas::Quotas;
pub(crate) use report::{Report, WarningGroup, quote};
pub(crate) use tree::{Node, ScalarKind, Value};
pub use values::{
    Address, Api, Client, Collect, Config, Exposition, Instance, Limits, Mode, Network, Probe,
    Query, Signature, StaleAfter,
};
