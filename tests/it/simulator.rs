//! The stand-in of the vendor's API over its socket: what the vendor's SDKs do not show.

mod admin;
mod caller;
mod faults;
mod gateway;
mod operations;
mod quotas;
mod steered;
