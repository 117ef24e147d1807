//! `query`: the status of a few clients, from the command line.

mod report;

use std::collections::HashSet;
use std::io::{self, Read, Write};
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::checked_config::CheckedConfig;
use super::error::CommandError;
use super::runtime::{Environment, Runtime};
use crate::aliyun::{RULES, client_id_irregularity};
use crate::clock::Clock;
use crate::config::{Config, Quotas, duration, quote};
use crate::discovery::SourceCache;
use crate::presence::{ClientId, InstanceId, Status};
use crate::sweep::{Prober, QueryResult};
use report::Report;

pub use report::Output;

/// The offset between the clocks, in milliseconds, from which on it is reported.
const CLOCKS_APART: u64 = 1000;

/// The flags of `query`.
#[derive(Clone, Debug, clap::Args)]
pub struct QueryArgs {
    /// Client IDs to query; `-` reads them from standard input, one a line.
    #[arg(value_name = "CLIENT_ID", required = true)]
    pub clients: Vec<String>,
    /// Configuration file.
    #[arg(
        long = "config.file",
        value_name = "FILE",
        default_value = "config.yaml"
    )]
    pub config_file: PathBuf,
    /// Instance of the clients; required if several are configured.
    #[arg(long, value_name = "INSTANCE_ID")]
    pub instance: Option<String>,
    /// Output format.
    #[arg(long, value_name = "FORM", default_value = "table")]
    pub output: Output,
    /// Repeat the query at this interval, and print changes.
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

fn interval(text: &str) -> Result<Duration, String> {
    match duration::parse(text) {
        Ok(interval) if interval >= Duration::from_secs(1) => Ok(interval),
        Ok(_) => Err("the minimum is 1s, because every call is billed".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

/// Replaces `-` by the client IDs in `stdin`, and removes duplicates.
pub fn read_ids(args: QueryArgs, stdin: &mut dyn Read) -> Result<QueryArgs, CommandError> {
    let mut clients: Vec<String> = Vec::new();
    for client in args.clients {
        match client.as_str() {
            "-" => {
                let listed = io::read_to_string(&mut *stdin)
                    .context("cannot read client IDs from standard input")?;
                clients.extend(listed.lines().map(|line| line.trim().to_owned()));
                clients.retain(|client| !client.is_empty());
            }
            "" => return Err(CommandError::Usage("a client ID is empty".to_owned())),
            _ => clients.push(client),
        }
    }
    for client in &clients {
        let refused = |error| CommandError::Usage(format!("client ID {} {error}", quote(client)));
        ClientId::validate(client).map_err(refused)?;
    }
    let mut seen = HashSet::new();
    clients.retain(|client| seen.insert(client.clone()));
    if clients.is_empty() {
        return Err(CommandError::Usage(
            "standard input lists no client IDs".to_owned(),
        ));
    }
    Ok(QueryArgs { clients, ..args })
}

/// Queries the clients, and writes results to `out`, errors and notes to `err`. When `shutdown` is
/// cancelled, clients without a result are unknown. Returns the worst status.
pub async fn query(
    args: QueryArgs,
    environment: Environment,
    shutdown: CancellationToken,
    out: &mut (dyn Write + Send),
    err: &mut (dyn Write + Send),
) -> Result<Status, CommandError> {
    let mut loaded = Config::load(&args.config_file, &RULES)?;
    let id = select_instance(&mut loaded.config, args.instance.as_deref())?;
    let clock = environment.clock.clone();
    let mut checked = CheckedConfig::new(loaded, &SourceCache::default(), environment.shard)?;
    checked.plan.quotas = Quotas::query();
    let runtime = Runtime::start(checked, environment).await?;
    let prober = runtime.sweeps.prober(None).context("an instance")?;

    let with_time = args.watch.is_some();
    let mut report = Report::new(id, args.clients, args.output, with_time, out);
    loop {
        let start = Instant::now();
        let queried = query_all(&prober, &mut report, &clock);
        let queried = shutdown.run_until_cancelled(queried).await;
        let interrupted = queried.is_none();
        if queried.unwrap_or(Ok(true))? {
            report.end_round(interrupted, clock.now(), err)?;
        }
        let Some(interval) = args.watch else { break };
        let next = tokio::time::sleep_until(start + interval);
        if shutdown.run_until_cancelled(next).await.is_none() {
            break;
        }
    }
    print_notes(&report, prober.state().stats().clock_offset_millis, err)?;
    let worst = report.statuses().map(|(_, status)| status).max();
    Ok(worst.unwrap_or(Status::Unknown))
}

/// Queries each client once. Returns whether any call was made: if calls cannot succeed, the
/// previous results are kept.
async fn query_all(prober: &Prober, report: &mut Report<'_>, clock: &Clock) -> io::Result<bool> {
    let clients: Vec<Box<str>> = report.statuses().map(|(client, _)| client.into()).collect();
    let mut written = Ok(());
    let mut record = |result: QueryResult| {
        written = report.record(result, clock.now());
        match written {
            Ok(()) => ControlFlow::Continue(()),
            Err(_) => ControlFlow::Break(()),
        }
    };
    let queried = prober.query_each(clients, &mut record).await;
    written.map(|()| queried.is_ok())
}

/// Removes all instances from `config` except the one with this `id`, or the only one; returns its ID.
fn select_instance(config: &mut Config, id: Option<&str>) -> Result<InstanceId, CommandError> {
    let ids: Vec<_> = config.instances.iter().map(|it| it.id.as_str()).collect();
    let ids = ids.join(", ");
    if let Some(id) = id {
        config.instances.retain(|it| it.id.as_str() == id);
    }
    let [instance] = config.instances.as_mut_slice() else {
        return Err(CommandError::Usage(match id {
            Some(id) => {
                format!("--instance: {id} is not in the configuration; configured instances: {ids}")
            }
            None => format!("several instances are configured; select one with --instance: {ids}"),
        }));
    };
    // The command line lists the clients.
    instance.clients.clear();
    instance.client_files.clear();
    instance.client_urls.clear();
    Ok(instance.id.clone())
}

/// Writes notes that do not belong to a single result.
fn print_notes(
    report: &Report<'_>,
    clock_offset_millis: i64,
    err: &mut dyn Write,
) -> io::Result<()> {
    for (client, status) in report.statuses() {
        let irregularity = client_id_irregularity(client);
        if let Some(irregularity) = irregularity.filter(|_| status == Status::Offline) {
            writeln!(
                err,
                "note: {client} {irregularity}; the API also reports clients offline that never existed, so check the spelling"
            )?;
        }
    }
    let millis = clock_offset_millis.unsigned_abs();
    if millis >= CLOCKS_APART {
        let apart = duration::display(Duration::from_secs((millis + 500) / 1000));
        let behind = clock_offset_millis > 0;
        let direction = if behind { "behind" } else { "ahead of" };
        writeln!(
            err,
            "note: this host's clock is {apart} {direction} the API's clock; synchronize it (NTP)"
        )?;
    }
    Ok(())
}
