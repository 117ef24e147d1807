//! `query`: the status of a few clients, for a person with a problem at hand.

mod errors;
mod rows;

use std::io::{self, Read, Write};
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::CommandError;
use super::api_clients::Transports;
use super::runtime::{Environment, PreparedConfig, Runtime};
use crate::clock::Clock;
use crate::config::{Config, Loaded, Quotas, duration};
use crate::discovery::Discovered;
use crate::presence::{ClientId, FleetBuilder, Status};
use crate::sweep::{ProbeError, Prober, QueryResult};
use errors::Errors;
use rows::Rows;

pub use rows::Output;

/// Clocks that are further apart than this are worth a word.
const CLOCKS_APART: u64 = 1000;

/// The flags of `query`.
#[derive(Clone, Debug, clap::Args)]
pub struct QueryArgs {
    /// The clients to ask for; `-` reads them from standard input, one a line.
    #[arg(value_name = "CLIENT_ID", required = true)]
    pub clients: Vec<String>,
    /// The configuration file.
    #[arg(
        long = "config.file",
        value_name = "FILE",
        default_value = "config.yaml"
    )]
    pub config_file: PathBuf,
    /// The instance of the clients, where several are configured.
    #[arg(long, value_name = "INSTANCE_ID")]
    pub instance: Option<String>,
    /// Form of the answers.
    #[arg(long, value_name = "FORM", default_value = "table")]
    pub output: Output,
    /// Ask again and again, this far apart, and show what changes.
    #[arg(
        long,
        value_name = "INTERVAL",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "5s",
        value_parser = interval
    )]
    pub watch: Option<Duration>,
}

/// What was found out about all clients together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// All are online.
    Online,
    /// Some are offline.
    Offline,
    /// Of some nothing is known.
    Unknown,
}

fn interval(text: &str) -> Result<Duration, String> {
    match duration::parse(text) {
        Ok(interval) if interval >= Duration::from_secs(1) => Ok(interval),
        Ok(_) => Err("ask once a second at most: every call is billed".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

/// Puts what `stdin` lists in the place of `-`, and every client only once.
pub fn read_ids(args: QueryArgs, stdin: &mut dyn Read) -> Result<QueryArgs, CommandError> {
    let mut listed = String::new();
    if args.clients.iter().any(|client| client == "-") {
        stdin
            .read_to_string(&mut listed)
            .context("cannot read client IDs from standard input")?;
    }
    let mut clients: Vec<String> = Vec::new();
    for client in &args.clients {
        match client.as_str() {
            "-" => clients.extend(
                listed
                    .lines()
                    .map(str::trim)
                    .filter(|line| !line.is_empty())
                    .map(str::to_owned),
            ),
            "" => return Err(CommandError::Usage("a client ID is empty".to_owned())),
            client => clients.push(client.to_owned()),
        }
    }
    let mut seen = std::collections::HashSet::new();
    clients.retain(|client| seen.insert(client.clone()));
    if clients.is_empty() {
        return Err(CommandError::Usage(
            "standard input lists no client IDs".to_owned(),
        ));
    }
    Ok(QueryArgs { clients, ..args })
}

/// Asks, and writes the answers to `out` and what a person should know to `err`. Once `shutdown`
/// is cancelled, what is not known by then is unknown.
pub async fn query(
    args: QueryArgs,
    environment: Environment,
    shutdown: CancellationToken,
    out: &mut (dyn Write + Send),
    err: &mut (dyn Write + Send),
) -> Result<Verdict, CommandError> {
    let loaded = Config::load(&args.config_file)
        .map_err(|problems| CommandError::Usage(problems.to_string()))?;
    let config = select_instance(loaded.config, args.instance.as_deref())?;
    let (id, clock) = (config.instances[0].id.clone(), environment.clock);
    // The command line lists the clients to query, whatever the fleet contains.
    let discovered = Discovered {
        fleets: vec![FleetBuilder::new(id.clone()).build()],
        ..Discovered::default()
    };
    let loaded = Loaded {
        config,
        warnings: Vec::new(),
    };
    let mut prepared =
        PreparedConfig::new(loaded, discovered, &Transports::default(), &environment)?;
    prepared.plan.quotas = Quotas::query();
    let runtime = Runtime::start(prepared, environment).await;
    let prober = runtime.sweeps.prober(None).context("an instance")?;

    let mut rows = Rows::new(id, args.clients, args.output, args.watch.is_some(), out);
    let mut errors = Errors::default();
    loop {
        let begun = Instant::now();
        let asked = shutdown
            .run_until_cancelled(ask(&prober, &mut rows, &mut errors, clock))
            .await;
        let interrupted = asked.is_none();
        if asked
            .unwrap_or(Ok(true))
            .context("cannot write the answers")?
        {
            rows.end_round(interrupted, clock.now())
                .context("cannot write the answers")?;
            let not_asked = if interrupted { 0 } else { rows.not_asked() };
            errors
                .tell(not_asked, err)
                .context("cannot write to the terminal")?;
        }
        let Some(interval) = args.watch else { break };
        if shutdown
            .run_until_cancelled(tokio::time::sleep_until(begun + interval))
            .await
            .is_none()
        {
            break;
        }
    }
    print_notes(&rows, prober.state().stats().clock_offset_millis, err)
        .context("cannot write to the terminal")?;
    Ok(rows.verdict())
}

/// Asks for every client once. Whether any call was made: while they have no prospect, what was
/// said about them still holds.
async fn ask(
    prober: &Prober,
    rows: &mut Rows<'_>,
    errors: &mut Errors,
    clock: Clock,
) -> io::Result<bool> {
    let clients: Vec<Box<str>> = rows
        .clients()
        .iter()
        .map(|client| client.as_str().into())
        .collect();
    let mut written = Ok(());
    let mut heard = |reply: QueryResult| {
        if let Err(error) = &reply.result {
            errors.note(error);
        }
        written = rows.heard(reply, clock.now());
        if written.is_ok() {
            ControlFlow::Continue(())
        } else {
            ControlFlow::Break(())
        }
    };
    let asked = prober.ask_each(clients, &mut heard).await;
    if let Err(ProbeError::Failed(error)) = &asked {
        errors.note(error);
    }
    written.map(|()| matches!(asked, Ok(()) | Err(ProbeError::Failed(_))))
}

/// The configuration without any instance but the one that is meant.
fn select_instance(config: Config, id: Option<&str>) -> Result<Config, CommandError> {
    let ids = || {
        config
            .instances
            .iter()
            .map(|instance| instance.id.as_str())
            .collect::<Vec<_>>()
            .join(", ")
    };
    let at = match id {
        Some(id) => config
            .instances
            .iter()
            .position(|instance| instance.id.as_str() == id)
            .ok_or_else(|| {
                CommandError::Usage(format!(
                    "--instance: {id} is not in the configuration; there are: {}",
                    ids()
                ))
            })?,
        None if config.instances.len() == 1 => 0,
        None => {
            return Err(CommandError::Usage(format!(
                "several instances are configured; say with --instance which one is meant: {}",
                ids()
            )));
        }
    };
    let instance = config.instances[at].clone();
    Ok(Config {
        instances: vec![instance],
        ..config
    })
}

/// Notes that concern no single answer.
fn print_notes(rows: &Rows<'_>, clock_offset_millis: i64, err: &mut dyn Write) -> io::Result<()> {
    for client in rows.with_status(Status::Offline) {
        let id = ClientId::new(client).ok();
        if let Some(irregularity) = id.as_ref().and_then(ClientId::irregularity) {
            writeln!(
                err,
                "note: {client} {irregularity}; the API also calls clients offline that never were there, so check the spelling"
            )?;
        }
    }
    if clock_offset_millis.unsigned_abs() >= CLOCKS_APART {
        let apart = duration::display(Duration::from_secs(
            (clock_offset_millis.unsigned_abs() + 500) / 1000,
        ));
        let how = if clock_offset_millis > 0 {
            "behind"
        } else {
            "ahead of"
        };
        writeln!(
            err,
            "note: this host's clock is {apart} {how} the API's; set it right (NTP)"
        )?;
    }
    Ok(())
}
