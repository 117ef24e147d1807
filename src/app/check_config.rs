//! `check-config`: what a configuration means and what it costs, or everything that is wrong with it.

mod costs;

use std::fmt::Display;
use std::io::{self, Write};
use std::path::Path;

use costs::write_costs;

use crate::config::{
    Address, Config, Mode, Network, Problem, Problems, Provider, SecretSource, StaleAfter,
};
use crate::discovery::{self, Discovered, Source};
use crate::planner::{InstancePlan, Plan, shown};
use crate::presence::{Fleet, Shard};

/// How many sources of an instance are listed one by one.
const SOURCES: usize = 10;

/// Checks the configuration at `path` and the client files it names, and writes to `out` what was
/// found, for the process that has `shard`. `Ok(false)` means that problems were; the command then exits with 64.
///
/// Makes no call and reads no credentials. Errors are those of `out`.
pub fn check_config(path: &Path, shard: Shard, out: &mut dyn Write) -> io::Result<bool> {
    match look(path, shard) {
        Ok(found) => found.write(path, out).map(|()| true),
        Err(problems) => writeln!(out, "{problems}").map(|()| false),
    }
}

struct Found {
    config: Config,
    shard: Shard,
    discovered: Discovered,
    plan: Plan,
    warnings: Vec<Problem>,
}

fn look(path: &Path, shard: Shard) -> Result<Found, Problems> {
    let loaded = Config::load(path)?;
    let mut discovered = discovery::fleets(&loaded.config, shard)?;
    let clients: Vec<_> = discovered.fleets.iter().map(Fleet::len).collect();
    let plan = Plan::new(&loaded.config, shard, &clients)?;
    let mut warnings = loaded.warnings;
    warnings.append(&mut discovered.warnings);
    Ok(Found {
        config: loaded.config,
        shard,
        discovered,
        plan,
        warnings,
    })
}

impl Found {
    fn write(&self, path: &Path, out: &mut dyn Write) -> io::Result<()> {
        writeln!(out, "{} is valid.", path.display())?;
        let (index, total) = (self.shard.index(), self.shard.total());
        if total > 1 {
            writeln!(
                out,
                "\nShard {index} of {total} has its part of the clients, and 1/{total} of every limit."
            )?;
        }
        let instances = self
            .config
            .instances
            .iter()
            .zip(&self.discovered.fleets)
            .zip(&self.plan.instances);
        for ((instance, fleet), plan) in instances {
            writeln!(out, "\ninstance {}", instance.id)?;
            line(
                out,
                "endpoint",
                address(&instance.address, self.config.api.network),
            )?;
            line(out, "credentials", provider(&instance.credentials.provider))?;
            if let Some(account) = &instance.credentials.account {
                line(out, "account", account)?;
            }
            self.write_fleet(out, fleet)?;
            line(out, "sweep", sweep(self.config.collect.mode, plan))?;
            let auto = self.config.collect.stale_after == StaleAfter::Auto;
            let auto = if auto { " (auto)" } else { "" };
            line(
                out,
                "stale after",
                format_args!("{}{auto}", shown(plan.stale_after)),
            )?;
        }
        write_costs(out, &self.config.collect, &self.plan)?;
        list(out, "Notes", &self.plan.notes())?;
        list(out, "Warnings", &self.warnings)
    }

    fn write_fleet(&self, out: &mut dyn Write, fleet: &Fleet) -> io::Result<()> {
        let sources: Vec<&Source> = self
            .discovered
            .sources
            .iter()
            .filter(|source| source.instance == *fleet.instance())
            .collect();
        line(out, "clients", fleet.len())?;
        for source in sources.iter().take(SOURCES) {
            line(out, "", source)?;
        }
        if let Some(more) = sources.get(SOURCES..).filter(|more| !more.is_empty()) {
            let clients: usize = more.iter().filter_map(|source| source.clients).sum();
            line(
                out,
                "",
                format_args!("{clients} from {} more places", more.len()),
            )?;
        }
        let groups = fleet
            .groups()
            .iter()
            .filter(|group| !group.name.is_empty())
            .count();
        line(out, "groups", groups)
    }
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

fn address(address: &Address, network: Network) -> String {
    match (address, network) {
        (Address::Endpoint { url, .. }, _) => url.to_string(),
        (Address::Region(region), Network::Public) => {
            format!("of region {region}, on the internet")
        }
        (Address::Region(region), Network::Vpc) => format!("of region {region}, inside the VPC"),
    }
}

fn provider(provider_of: &Provider) -> String {
    match provider_of {
        Provider::AccessKey {
            secret: SecretSource::Inline(_),
            ..
        } => "access key in the configuration".into(),
        Provider::AccessKey {
            secret: SecretSource::File(file),
            ..
        } => {
            format!("access key, secret in {}", file.display())
        }
        Provider::Env => "environment variables".into(),
        Provider::Profile { name, file, .. } => {
            let name = name.as_ref().map_or("the default profile".into(), |name| {
                format!("profile {name}")
            });
            let file = file
                .as_ref()
                .map(|file| format!(" of {}", file.display()))
                .unwrap_or_default();
            name + &file
        }
        Provider::EcsRamRole {
            role: Some(role), ..
        } => format!("RAM role {role} of the ECS instance"),
        Provider::EcsRamRole { role: None, .. } => "RAM role of the ECS instance".into(),
        Provider::Oidc { role_arn, .. } => {
            let role = role_arn
                .as_deref()
                .map_or("the role of the environment".into(), |role| {
                    format!("role {role}")
                });
            role + ", assumed with an OIDC token"
        }
        Provider::AssumeRole {
            source, role_arn, ..
        } => {
            format!("role {role_arn}, assumed with: {}", provider(source))
        }
        Provider::Uri(Some(uri)) => format!("credentials URI {uri}"),
        Provider::Uri(None) => "credentials URI of the environment".into(),
        Provider::Chain(providers) => providers
            .iter()
            .map(provider)
            .collect::<Vec<_>>()
            .join(", else "),
    }
}

fn sweep(mode: Mode, plan: &InstancePlan) -> String {
    let InstancePlan {
        calls,
        calls_per_second,
        fastest,
        sweep,
        ..
    } = plan;
    let rate = number(*calls_per_second);
    match mode {
        _ if *calls == 0 => "none, there are no clients".into(),
        Mode::Scrape => format!(
            "takes {}, {calls} calls at no more than {rate}/s",
            shown(*sweep)
        ),
        Mode::Poll => {
            let part = plan.load(*sweep) * 100.0;
            format!(
                "takes {}, {calls} calls at {part:.0}% of {rate}/s; {} at full rate",
                shown(*sweep),
                shown(*fastest)
            )
        }
    }
}

/// A rate with as many digits as say something.
fn number(rate: f64) -> String {
    let digits = match rate {
        ..10.0 => 2,
        ..100.0 => 1,
        _ => 0,
    };
    let text = format!("{rate:.digits$}");
    if digits == 0 {
        text
    } else {
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    }
}
