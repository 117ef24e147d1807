//! Credentials of every type, through HTTP: from the simulator's services to its API.

mod renewal;
mod setup;
mod trouble;
mod types;
