//! What several subjects need.

pub(crate) mod exposition;
