//! Integration tests, one folder a subject: what a user sees, over real sockets. They are one
//! binary, so that it links once.
#![cfg(test)]

mod aliyun;
mod cli;
mod code;
mod config;
mod credentials;
mod discovery;
mod docs;
mod reload;
mod simulator;
mod support;
mod sweep;
mod web;
