//! The command line: one call into [`crate::app`], and an exit code. The flags of the commands are
//! there, too.

use std::ffi::OsString;
use std::io::{self, Write};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context as _;
use clap::error::ErrorKind;
use clap::{CommandFactory as _, Parser, Subcommand};
use clap_complete::Shell;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use crate::app::{self, CheckArgs, CommandError, DemoArgs, Environment, QueryArgs};
use crate::app::{ServeArgs, SimulateArgs};
use crate::clock::Clock;
use crate::config::Env;
use crate::presence::Status;
use crate::telemetry::{self, LogFormat, LogLevel};

/// The command failed at run time.
const FAILED: u8 = 1;

/// `query`: some clients are offline, and the status of all is known.
const OFFLINE: u8 = 2;

/// `query`: the status of some clients is unknown.
const UNKNOWN: u8 = 3;

/// The command line or the configuration is invalid (`EX_USAGE` of sysexits.h).
const USAGE: u8 = 64;

/// Prometheus exporter for device presence on ApsaraMQ for MQTT (Alibaba Cloud).
#[derive(Debug, Parser)]
#[command(version, args_conflicts_with_subcommands = true)]
pub struct Cli {
    /// The command; `serve` is the default.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// The flags of `serve`.
    #[command(flatten)]
    pub serve: ServeArgs,
    /// Minimum severity of log messages.
    #[arg(
        long = "log.level",
        value_name = "LEVEL",
        default_value = "info",
        global = true
    )]
    pub log_level: LogLevel,
    /// Format of log messages.
    #[arg(
        long = "log.format",
        value_name = "FORMAT",
        default_value = "logfmt",
        global = true
    )]
    pub log_format: LogFormat,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the exporter (the default).
    Serve(ServeArgs),
    /// Validate configuration files, and calculate API calls and detection times.
    CheckConfig(CheckArgs),
    /// Query the status of clients once. Exits with 0 if all are online, 2 if some are offline, 3
    /// if some are unknown.
    Query(QueryArgs),
    /// Run the exporter with simulated devices; requires no account and no configuration.
    Demo(DemoArgs),
    /// Run a simulator of the API, for tests and evaluation.
    Simulate(SimulateArgs),
    /// Print a shell completion script.
    Completions {
        /// Shell.
        #[arg(value_name = "SHELL")]
        shell: Shell,
    },
}

/// Runs the command in `args`, until it ends or a signal stops it.
pub fn run(args: impl IntoIterator<Item = OsString>, env: &Env) -> ExitCode {
    let cli = match Cli::try_parse_from(args) {
        Ok(cli) => cli,
        Err(error) => {
            // If the terminal is gone, the error cannot be reported.
            let _ = error.print();
            return match error.kind() {
                ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => ExitCode::SUCCESS,
                _ => ExitCode::from(USAGE),
            };
        }
    };
    telemetry::init_logging(cli.log_level, cli.log_format);
    dispatch(cli, env).unwrap_or_else(|failure| {
        let _ = writeln!(io::stderr(), "{failure}");
        ExitCode::from(match failure {
            CommandError::Usage(_) => USAGE,
            CommandError::Runtime(_) => FAILED,
        })
    })
}

fn dispatch(cli: Cli, env: &Env) -> Result<ExitCode, CommandError> {
    let (out, err) = (&mut io::stdout(), &mut io::stderr());
    let environment = Environment::real(env.clone());
    match cli.command.unwrap_or(Command::Serve(cli.serve)) {
        Command::CheckConfig(args) => app::check_files(&args, env, out)?,
        Command::Query(args) => {
            // Before signals are caught, so that Ctrl-C ends the input.
            let args = app::read_ids(args, &mut io::stdin().lock())?;
            let status = run_until_signal(|stop| app::query(args, environment, stop, out, err))?;
            return Ok(ExitCode::from(match status {
                Status::Online => 0,
                Status::Offline => OFFLINE,
                Status::Unknown => UNKNOWN,
            }));
        }
        Command::Serve(args) => {
            run_until_signal(async |stop| app::serve(args, environment, on_hangup()?, stop).await)?;
        }
        Command::Demo(args) => run_until_signal(|stop| app::demo(args, environment, stop, out))?,
        Command::Simulate(args) => {
            run_until_signal(|stop| app::simulate(args, Clock::system(), stop, out))?;
        }
        Command::Completions { shell } => {
            // In memory first: the generator panics when a pipe is closed.
            let mut script = Vec::new();
            let name = env!("CARGO_PKG_NAME");
            clap_complete::generate(shell, &mut Cli::command(), name, &mut script);
            out.write_all(&script)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Runs `command`; SIGTERM or SIGINT cancels its token.
fn run_until_signal<F, T>(command: impl FnOnce(CancellationToken) -> F) -> Result<T, CommandError>
where
    F: Future<Output = Result<T, CommandError>>,
{
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("cannot start the runtime")?;
    let result = runtime.block_on(async {
        let mut terminate = signal(SignalKind::terminate()).context("cannot listen for SIGTERM")?;
        let mut interrupt = signal(SignalKind::interrupt()).context("cannot listen for SIGINT")?;
        let stop = CancellationToken::new();
        let on_signal = stop.clone();
        let _signals = AbortOnDropHandle::new(tokio::spawn(async move {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            on_signal.cancel();
        }));
        command(stop).await
    });
    // A password check in progress has no client any more, and can take long.
    runtime.shutdown_background();
    result
}

/// Notified of SIGHUP; signals that arrive while no task waits count as one.
fn on_hangup() -> Result<Arc<Notify>, CommandError> {
    let mut hangup = signal(SignalKind::hangup()).context("cannot listen for SIGHUP")?;
    let notify = Arc::new(Notify::new());
    let notified = Arc::clone(&notify);
    tokio::spawn(async move {
        while hangup.recv().await.is_some() {
            notified.notify_one();
        }
    });
    Ok(notify)
}
