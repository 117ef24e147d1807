//! Configuration: what the program may rely on, made from what a file says.
//!
//! [`Config`] and its parts are valid by construction and know nothing of YAML. How a file is
//! read, checked and complained about is in `file` and `check`, and nothing below this module
//! sees what the file looked like.

mod env;
mod values;

pub use env::Env;
pub use values::{
    Api, Client, Collect, Config, Credentials, Exposition, Instance, Limits, Mode, Network, Probe, Provider, Query,
    SecretSource, Signature, StaleAfter,
};
