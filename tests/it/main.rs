//! Integration tests, one module a subject: what a user sees, over real sockets. They are one
//! binary, so that it links once.

// By `cfg(test)` Clippy knows that helpers of tests are tests, too.
#[cfg(test)]
mod aliyun_client;
#[cfg(test)]
mod binary;
#[cfg(test)]
mod check_config;
#[cfg(test)]
mod client_urls;
#[cfg(test)]
mod clients_api;
#[cfg(test)]
mod completions;
#[cfg(test)]
mod config;
#[cfg(test)]
mod config_doc;
#[cfg(test)]
mod credentials;
#[cfg(test)]
mod discovery;
#[cfg(test)]
mod discovery_doc;
#[cfg(test)]
mod docs;
#[cfg(test)]
mod edge;
#[cfg(test)]
mod exposition;
#[cfg(test)]
mod leaks;
#[cfg(test)]
mod metrics_doc;
#[cfg(test)]
mod monitoring;
#[cfg(test)]
mod net_client;
#[cfg(test)]
mod page;
#[cfg(test)]
mod probe;
#[cfg(test)]
mod query;
#[cfg(test)]
mod reload;
#[cfg(test)]
mod rows;
#[cfg(test)]
mod scaling_doc;
#[cfg(test)]
mod scenario;
#[cfg(test)]
mod sd;
#[cfg(test)]
mod seeds;
#[cfg(test)]
mod serve;
#[cfg(test)]
mod simulator;
#[cfg(test)]
mod support;
#[cfg(test)]
mod web;
#[cfg(test)]
mod web_config;
