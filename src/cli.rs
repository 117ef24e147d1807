//! The command line: flags and subcommands in, one call into [`crate::app`], an exit code out.

mod args;
mod shard;

use std::ffi::OsString;
use std::io::{self, Write};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context as _;
use clap::error::ErrorKind;
use clap::{CommandFactory as _, Parser};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

pub use args::{CheckArgs, Cli, Command};
pub use shard::ShardArgs;

use crate::app::{self, CommandError, Environment};
use crate::clock::Clock;
use crate::config::Env;
use crate::presence::{Shard, Status};
use crate::telemetry;

/// The process failed while it ran.
const FAILED: u8 = 1;

/// `query` found clients that are offline, and none of which nothing is known.
const OFFLINE: u8 = 2;

/// `query` could not find out about some clients.
const UNKNOWN: u8 = 3;

/// The command line or the configuration is wrong (`EX_USAGE` of sysexits.h).
const USAGE: u8 = 64;

/// Does what `args` say; returns when that is done, or a signal has ended it.
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
    telemetry::init_logging(cli.log.level, cli.log.format);
    match dispatch(cli, env) {
        Ok(code) => code,
        Err(failure) => {
            let _ = writeln!(io::stderr(), "{failure}");
            ExitCode::from(match failure {
                CommandError::Usage(_) => USAGE,
                CommandError::Runtime(_) => FAILED,
            })
        }
    }
}

fn dispatch(cli: Cli, env: &Env) -> Result<ExitCode, CommandError> {
    let out = &mut io::stdout();
    let environment = || Environment::real(env.clone());
    match cli.command.unwrap_or(Command::Serve(cli.serve)) {
        Command::CheckConfig(args) => match check(&args, args.shard.shard(env)?, out) {
            Ok(true) => Ok(()),
            Ok(false) => Err(CommandError::Usage(
                "the configuration has problems".to_owned(),
            )),
            Err(error) => Err(CommandError::Runtime(error.into())),
        },
        Command::Query(args) => {
            // Before signals are caught, so that Ctrl-C still ends the typing.
            let args = app::read_ids(args, &mut io::stdin().lock())?;
            let err = &mut io::stderr();
            let status = run_until_signal(|stop| app::query(args, environment(), stop, out, err))?;
            return Ok(ExitCode::from(match status {
                Status::Online => 0,
                Status::Offline => OFFLINE,
                Status::Unknown => UNKNOWN,
            }));
        }
        Command::Serve(args) => {
            let environment = Environment {
                shard: args.shard.shard(env)?,
                ..environment()
            };
            let options = args.try_into()?;
            run_until_signal(async |stop| {
                app::serve(options, environment, on_hangup()?, stop).await
            })
        }
        Command::Demo(args) => run_until_signal(|stop| app::demo(args, environment(), stop, out)),
        Command::Completions(args) => {
            // In memory first: the generator panics when a pipe is closed.
            let mut script = Vec::new();
            clap_complete::generate(
                args.shell,
                &mut Cli::command(),
                env!("CARGO_PKG_NAME"),
                &mut script,
            );
            out.write_all(&script)
                .context("cannot write the script")
                .map_err(CommandError::from)
        }
        Command::Simulate(args) => {
            run_until_signal(
                async |stop| Ok(app::simulate(args, Clock::system(), stop, out).await?),
            )
        }
    }
    .map(|()| ExitCode::SUCCESS)
}

/// Checks all files, whether or not something is wrong with one of them.
fn check(args: &CheckArgs, shard: Shard, out: &mut dyn Write) -> io::Result<bool> {
    let config = app::check_config(&args.config.config_file, shard, out)?;
    let Some(web_config) = &args.web_config_file else {
        return Ok(config);
    };
    writeln!(out)?;
    Ok(app::check_web_config(web_config, out)? && config)
}

/// Runs `command`, which ends when SIGTERM or SIGINT cancels its token.
fn run_until_signal<F, T>(command: impl FnOnce(CancellationToken) -> F) -> Result<T, CommandError>
where
    F: Future<Output = Result<T, CommandError>>,
{
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("cannot start the runtime")?;
    let result = runtime.block_on(async {
        let stop = CancellationToken::new();
        let mut terminate = signal(SignalKind::terminate()).context("cannot listen for SIGTERM")?;
        let mut interrupt = signal(SignalKind::interrupt()).context("cannot listen for SIGINT")?;
        let on_signal = stop.clone();
        let signals = tokio::spawn(async move {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            on_signal.cancel();
        });
        let result = command(stop).await;
        signals.abort();
        result
    });
    // A password check that still runs has no client any more, and may take long.
    runtime.shutdown_background();
    result
}

/// Notified of each SIGHUP; of several while no task listened, once.
fn on_hangup() -> Result<Arc<Notify>, CommandError> {
    let mut hangup = signal(SignalKind::hangup()).context("cannot listen for SIGHUP")?;
    let notify = Arc::new(Notify::new());
    let told = Arc::clone(&notify);
    tokio::spawn(async move {
        while hangup.recv().await.is_some() {
            told.notify_one();
        }
    });
    Ok(notify)
}
