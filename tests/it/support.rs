//! What several subjects need.

pub(crate) mod exposition;
pub(crate) mod http;
pub(crate) mod pump;
pub(crate) mod rig;
pub(crate) mod source;
