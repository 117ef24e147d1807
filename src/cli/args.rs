//! Flags and subcommands, spelled as Prometheus spells its own.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use clap_complete::Shell;

use super::shard::ShardArgs;
use crate::app::{CommandError, DemoArgs, QueryArgs, ServeConfig, SimulateArgs};
use crate::telemetry::{LogFormat, LogLevel};
use crate::web;

/// Prometheus exporter for device presence on ApsaraMQ for MQTT (Alibaba Cloud).
#[derive(Debug, Parser)]
#[command(version, args_conflicts_with_subcommands = true)]
pub struct Cli {
    /// What to do; `serve` where nothing is said.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// The flags of `serve`.
    #[command(flatten)]
    pub serve: ServeArgs,
    /// How to log.
    #[command(flatten)]
    pub log: LogArgs,
}

/// What the exporter can do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Serve /metrics (the default).
    Serve(ServeArgs),
    /// Check a configuration file, and say what it would cost.
    CheckConfig(CheckArgs),
    /// Query the status of clients once. Exits with 0 if all are online, 2 if some are offline, 3
    /// if some are unknown.
    Query(QueryArgs),
    /// Run the exporter against a simulated fleet; needs no account and no file.
    Demo(DemoArgs),
    /// Serve a stand-in of the vendor's API, for tests and for trying things out.
    Simulate(SimulateArgs),
    /// Print a script by which a shell completes flags and commands.
    Completions(CompletionsArgs),
}

/// Which shell to complete for.
#[derive(Debug, Args)]
pub struct CompletionsArgs {
    /// The shell.
    #[arg(value_name = "SHELL")]
    pub shell: Shell,
}

/// Which configuration to use.
#[derive(Debug, Args)]
pub struct ConfigArgs {
    /// The configuration file.
    #[arg(
        long = "config.file",
        value_name = "FILE",
        default_value = "config.yaml"
    )]
    pub config_file: PathBuf,
}

/// The flags of `check-config`.
#[derive(Debug, Args)]
pub struct CheckArgs {
    /// Which configuration to check.
    #[command(flatten)]
    pub config: ConfigArgs,
    /// For which process.
    #[command(flatten)]
    pub shard: ShardArgs,
    /// A file for --web.config.file to check as well.
    #[arg(long = "web.config.file", value_name = "FILE")]
    pub web_config_file: Option<PathBuf>,
}

/// How to log.
#[derive(Clone, Copy, Debug, Args)]
pub struct LogArgs {
    /// Log messages of this severity and above.
    #[arg(
        long = "log.level",
        value_name = "LEVEL",
        default_value = "info",
        global = true
    )]
    pub level: LogLevel,
    /// Form of log messages.
    #[arg(
        long = "log.format",
        value_name = "FORMAT",
        default_value = "logfmt",
        global = true
    )]
    pub format: LogFormat,
}

/// The flags of `serve`.
#[derive(Debug, Args)]
pub struct ServeArgs {
    /// Which configuration to use.
    #[command(flatten)]
    pub config: ConfigArgs,
    /// Address to listen on; may be given several times.
    #[arg(
        long = "web.listen-address",
        value_name = "ADDRESS",
        default_value = ":10120"
    )]
    pub listen_addresses: Vec<String>,
    /// Listen on the sockets that systemd hands over instead of addresses (socket activation).
    #[arg(long = "web.systemd-socket")]
    pub systemd_socket: bool,
    /// File that turns on TLS and authentication, in the format of Prometheus's exporter-toolkit.
    #[arg(long = "web.config.file", value_name = "FILE")]
    pub web_config_file: Option<OsString>,
    /// Path under which metrics are served.
    #[arg(
        long = "web.telemetry-path",
        value_name = "PATH",
        default_value = "/metrics"
    )]
    pub telemetry_path: String,
    /// Prefix of all paths; the path of --web.external-url where it is not given.
    #[arg(long = "web.route-prefix", value_name = "PREFIX")]
    pub route_prefix: Option<String>,
    /// The URL under which others reach the exporter, for example through a reverse proxy.
    #[arg(long = "web.external-url", value_name = "URL")]
    pub external_url: Option<String>,
    /// Scrapes that are answered at the same time, more are refused with 503; 0 for any number.
    #[arg(long = "web.max-requests", value_name = "N", default_value_t = 40)]
    pub max_requests: usize,
    /// Reload the configuration on POST /-/reload, which is open to every client that reaches the port.
    #[arg(long = "web.enable-lifecycle")]
    pub enable_lifecycle: bool,
    /// Seconds by which a scrape is answered before Prometheus would give it up.
    #[arg(long = "timeout-offset", value_name = "SECONDS", default_value_t = 0.5)]
    pub timeout_offset: f64,
    /// Which part of the clients to ask for.
    #[command(flatten)]
    pub shard: ShardArgs,
}

impl TryFrom<ServeArgs> for ServeConfig {
    type Error = CommandError;

    fn try_from(args: ServeArgs) -> Result<Self, CommandError> {
        // More than a day is a slip, and `Duration` takes no infinity.
        if !(0.0..86_400.0).contains(&args.timeout_offset) {
            return Err(CommandError::Usage(
                "--timeout-offset: not a number of seconds, 0 or more".to_owned(),
            ));
        }
        Ok(Self {
            config_file: args.config.config_file,
            listen_addresses: args.listen_addresses,
            systemd_socket: args.systemd_socket,
            web_config_file: args
                .web_config_file
                .filter(|file| !file.is_empty())
                .map(PathBuf::from),
            web: web::WebOptions {
                telemetry_path: args.telemetry_path,
                route_prefix: args.route_prefix,
                external_url: args.external_url,
                max_requests: args.max_requests,
                timeout_offset: Duration::from_secs_f64(args.timeout_offset),
                enable_lifecycle: args.enable_lifecycle,
            },
        })
    }
}
