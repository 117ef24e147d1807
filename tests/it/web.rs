//! The HTTP edge: routes, page, TLS, authentication, exposition.

mod clients;
mod config;
mod edge;
mod exposition;
mod page;
mod probe;
mod refusals;
mod routes;
mod sd;
mod serve;
