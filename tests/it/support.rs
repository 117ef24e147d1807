//! What several subjects need.

pub(crate) mod exposition;
pub(crate) mod http;
