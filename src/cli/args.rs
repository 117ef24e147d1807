//! Flags and subcommands, spelled as Prometheus spells its own.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};

use crate::app::{DemoArgs, Failure, ServeOptions, SimulateArgs};
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
    CheckConfig(ConfigArgs),
    /// Run the exporter against a simulated fleet; needs no account and no file.
    Demo(DemoArgs),
    /// Serve a stand-in of the vendor's API, for tests and for trying things out.
    Simulate(SimulateArgs),
}

/// Which configuration to use.
#[derive(Debug, Args)]
pub struct ConfigArgs {
    /// The configuration file.
    #[arg(long = "config.file", value_name = "FILE", default_value = "config.yaml")]
    pub config_file: PathBuf,
}

/// How to log.
#[derive(Clone, Copy, Debug, Args)]
pub struct LogArgs {
    /// Log messages of this severity and above.
    #[arg(long = "log.level", value_name = "LEVEL", default_value = "info", global = true)]
    pub level: LogLevel,
    /// Form of log messages.
    #[arg(long = "log.format", value_name = "FORMAT", default_value = "logfmt", global = true)]
    pub format: LogFormat,
}

/// The flags of `serve`.
#[derive(Debug, Args)]
pub struct ServeArgs {
    /// Which configuration to use.
    #[command(flatten)]
    pub config: ConfigArgs,
    /// Address to listen on; may be given several times.
    #[arg(long = "web.listen-address", value_name = "ADDRESS", default_value = ":10120")]
    pub listen_addresses: Vec<String>,
    /// Path under which metrics are served.
    #[arg(long = "web.telemetry-path", value_name = "PATH", default_value = "/metrics")]
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
    /// Seconds by which a scrape is answered before Prometheus would give it up.
    #[arg(long = "timeout-offset", value_name = "SECONDS", default_value_t = 0.5)]
    pub timeout_offset: f64,
    /// Flags of the contract that have no meaning yet.
    #[command(flatten)]
    pub later: LaterArgs,
}

/// Flags that are refused until what they ask for is there.
#[derive(Debug, Args)]
pub struct LaterArgs {
    #[arg(long = "web.config.file", value_name = "FILE", hide = true)]
    web_config_file: Option<String>,
    #[arg(long = "web.systemd-socket", hide = true)]
    systemd_socket: bool,
    #[arg(long = "web.enable-lifecycle", hide = true)]
    enable_lifecycle: bool,
    #[arg(long = "shard.index", value_name = "INDEX", hide = true)]
    shard_index: Option<String>,
    #[arg(long = "shard.total", value_name = "TOTAL", hide = true)]
    shard_total: Option<String>,
}

impl TryFrom<ServeArgs> for ServeOptions {
    type Error = Failure;

    fn try_from(args: ServeArgs) -> Result<Self, Failure> {
        let later = &args.later;
        let asked = [
            ("--web.config.file", later.web_config_file.is_some()),
            ("--web.systemd-socket", later.systemd_socket),
            ("--web.enable-lifecycle", later.enable_lifecycle),
            ("--shard.index", later.shard_index.is_some()),
            ("--shard.total", later.shard_total.is_some()),
        ];
        let refused: Vec<_> = asked
            .iter()
            .filter(|(_, given)| *given)
            .map(|(flag, _)| format!("{flag}: not supported yet; leave it out"))
            .collect();
        if !refused.is_empty() {
            return Err(Failure::Usage(refused.join("\n")));
        }
        // More than a day is a slip, and `Duration` takes no infinity.
        if !(0.0..86_400.0).contains(&args.timeout_offset) {
            return Err(Failure::Usage("--timeout-offset: not a number of seconds, 0 or more".to_owned()));
        }
        Ok(Self {
            config_file: args.config.config_file,
            listen_addresses: args.listen_addresses,
            web: web::Options {
                telemetry_path: args.telemetry_path,
                route_prefix: args.route_prefix,
                external_url: args.external_url,
                max_requests: args.max_requests,
                timeout_offset: Duration::from_secs_f64(args.timeout_offset),
                ..web::Options::default()
            },
        })
    }
}
