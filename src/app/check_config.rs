//! `check-config`: what configuration files mean and what they cost, or everything that is wrong.

mod costs;

use std::fmt::Display;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use costs::{number, write_costs};

use super::checked_config::CheckedConfig;
use super::error::CommandError;
use super::shard::ShardArgs;
use crate::aliyun::RULES;
use crate::clock::Clock;
use crate::config::{Address, Config, Env, Mode, Network, Provider, SecretSource, StaleAfter};
use crate::discovery::{Discovered, SourceCache};
use crate::planner::{InstancePlan, shown};
use crate::presence::{Fleet, Shard};
use crate::web::ActiveWebConfig;

/// The maximum number of sources of an instance that are listed individually.
const SOURCES: usize = 10;

/// The flags of `check-config`.
#[derive(Clone, Debug, clap::Args)]
pub struct CheckArgs {
    /// Configuration file.
    #[arg(
        long = "config.file",
        value_name = "FILE",
        default_value = "config.yaml"
    )]
    pub config_file: PathBuf,
    /// The shard to check for.
    #[command(flatten)]
    pub shard: ShardArgs,
    /// Web configuration file to validate as well.
    #[arg(long = "web.config.file", value_name = "FILE")]
    pub web_config_file: Option<PathBuf>,
}

/// Checks all configuration files, and writes the results to `out`.
pub fn check_files(args: &CheckArgs, env: &Env, out: &mut dyn Write) -> Result<(), CommandError> {
    let shard = args.shard.shard(env)?;
    let mut valid = check_config(&args.config_file, shard, out)?;
    if let Some(file) = &args.web_config_file {
        valid &= check_web_config(file, out)?;
    }
    let invalid = || CommandError::Usage("the configuration is invalid".to_owned());
    valid.then_some(()).ok_or_else(invalid)
}

/// Checks the configuration at `path` and its client files for the process with `shard`, and writes
/// the result to `out`. `Ok(false)` means that the configuration is invalid.
///
/// Makes no call and reads no credentials. Errors are those of `out`.
pub fn check_config(path: &Path, shard: Shard, out: &mut dyn Write) -> io::Result<bool> {
    let checked = Config::load(path, &RULES)
        .and_then(|loaded| CheckedConfig::new(loaded, &SourceCache::default(), shard));
    match checked {
        Ok(checked) => {
            writeln!(out, "{} is valid.", path.display())?;
            write_config(&checked, shard, out).map(|()| true)
        }
        Err(problems) => writeln!(out, "{problems}").map(|()| false),
    }
}

/// Checks the web configuration at `path` and its files.
fn check_web_config(path: &Path, out: &mut dyn Write) -> io::Result<bool> {
    let (web_config, warnings) = match ActiveWebConfig::load(path, Clock::system()) {
        Ok(loaded) => loaded,
        Err(problems) => return writeln!(out, "\n{problems}").map(|()| false),
    };
    let protocol = if web_config.tls().is_some() {
        "HTTPS"
    } else {
        "HTTP"
    };
    writeln!(out, "\n{} is valid; it serves {protocol}.", path.display())?;
    list(out, "Warnings", &warnings).map(|()| true)
}

fn write_config(checked: &CheckedConfig, shard: Shard, out: &mut dyn Write) -> io::Result<()> {
    let CheckedConfig {
        config,
        discovered,
        plan,
        warnings,
    } = checked;
    let (index, total) = (shard.index(), shard.total());
    if total > 1 {
        writeln!(
            out,
            "\nShard {index} of {total}: 1/{total} of the clients and of every limit."
        )?;
    }
    let collect = &config.collect;
    let fleets = discovered.fleets.iter().zip(&plan.instances);
    for (instance, (fleet, instance_plan)) in config.instances.iter().zip(fleets) {
        writeln!(out, "\ninstance {}", instance.id)?;
        let endpoint = match (&instance.address, config.api.network) {
            (Address::Endpoint { url, .. }, _) => url.to_string(),
            (Address::Region { region }, Network::Public) => format!("region {region}, public"),
            (Address::Region { region }, Network::Vpc) => format!("region {region}, VPC"),
        };
        line(out, "endpoint", endpoint)?;
        line(
            out,
            "credentials",
            credentials(&instance.credentials.provider),
        )?;
        if let Some(account) = &instance.credentials.account {
            line(out, "account", account)?;
        }
        write_fleet(discovered, fleet, out)?;
        line(out, "sweep", sweep(collect.mode, instance_plan))?;
        let auto = if collect.stale_after == StaleAfter::Auto {
            " (auto)"
        } else {
            ""
        };
        line(out, "stale after", shown(instance_plan.stale_after) + auto)?;
    }
    write_costs(out, collect, plan)?;
    list(out, "Notes", &plan.notes())?;
    list(out, "Warnings", warnings)
}

fn write_fleet(discovered: &Discovered, fleet: &Fleet, out: &mut dyn Write) -> io::Result<()> {
    let sources = discovered.sources.iter();
    let mut sources = sources.filter(|source| source.instance == *fleet.instance());
    line(out, "clients", fleet.len())?;
    for source in sources.by_ref().take(SOURCES) {
        line(out, "", source)?;
    }
    let more: Vec<_> = sources
        .map(|source| source.clients.unwrap_or_default())
        .collect();
    if !more.is_empty() {
        let clients: usize = more.iter().sum();
        line(
            out,
            "",
            format_args!("{clients} from {} more sources", more.len()),
        )?;
    }
    let groups = fleet.groups().iter();
    line(
        out,
        "groups",
        groups.filter(|group| !group.name.is_empty()).count(),
    )
}

fn line(out: &mut dyn Write, name: &str, value: impl Display) -> io::Result<()> {
    writeln!(out, "  {name:11}  {value}")
}

fn list(out: &mut dyn Write, title: &str, items: &[impl Display]) -> io::Result<()> {
    if !items.is_empty() {
        writeln!(out, "\n{title}:")?;
    }
    items.iter().try_for_each(|item| writeln!(out, "  {item}"))
}

fn credentials(provider: &Provider) -> String {
    use SecretSource::{File, Inline};
    match provider {
        Provider::AccessKey {
            secret: Inline(_), ..
        } => "access key in the configuration".into(),
        Provider::AccessKey {
            secret: File(file), ..
        } => format!("access key, secret in {}", file.display()),
        Provider::Env => "environment variables".into(),
        Provider::Profile { name, file, .. } => {
            let name = name.as_ref().map(|name| format!("profile {name}"));
            let file = file.as_ref().map(|file| format!(" of {}", file.display()));
            name.unwrap_or("the default profile".into()) + &file.unwrap_or_default()
        }
        Provider::EcsRamRole {
            role: Some(role), ..
        } => format!("RAM role {role} of the ECS instance"),
        Provider::EcsRamRole { role: None, .. } => "RAM role of the ECS instance".into(),
        Provider::Oidc { role_arn, .. } => {
            let role = role_arn.as_ref().map(|role| format!("role {role}"));
            role.unwrap_or("the role of the environment".into()) + ", assumed with an OIDC token"
        }
        Provider::AssumeRole {
            source, role_arn, ..
        } => format!("role {role_arn}, assumed with: {}", credentials(source)),
        Provider::Uri { uri: Some(uri) } => format!("credentials URI {uri}"),
        Provider::Uri { uri: None } => "credentials URI of the environment".into(),
        Provider::Chain { providers } => {
            let providers: Vec<_> = providers.iter().map(credentials).collect();
            providers.join(", else ")
        }
    }
}

fn sweep(mode: Mode, plan: &InstancePlan) -> String {
    let (calls, rate, takes) = (plan.calls, number(plan.calls_per_second), shown(plan.sweep));
    match mode {
        _ if calls == 0 => "none, there are no clients".into(),
        Mode::Scrape => format!("takes {takes}: {calls} calls at up to {rate}/s"),
        Mode::Poll => {
            let (part, fastest) = (plan.load(plan.sweep) * 100.0, shown(plan.fastest));
            format!(
                "takes {takes}: {calls} calls at {part:.0}% of {rate}/s; {fastest} at full rate"
            )
        }
    }
}
