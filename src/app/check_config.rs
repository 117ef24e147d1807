//! `check-config`: what a configuration means and what it costs, or everything that is wrong with it.

use std::fmt::Display;
use std::io::{self, Write};
use std::path::Path;

use crate::config::{Address, Config, Network, Problem, Problems, Provider, SecretSource, StaleAfter};
use crate::discovery::{self, Discovered, Source};
use crate::presence::Fleet;
use crate::sweep::plan::{Cost, InstancePlan, Plan, USUAL_INTERVALS, shown};

/// How many sources of an instance are listed one by one.
const SOURCES: usize = 10;

/// Checks the configuration at `path` and the client files it names, and writes to `out` what was
/// found. `Ok(false)` means that problems were; the command then exits with 64.
///
/// Makes no call and reads no credentials. Errors are those of `out`.
pub fn check_config(path: &Path, out: &mut dyn Write) -> io::Result<bool> {
    match look(path) {
        Ok(found) => found.write(path, out).map(|()| true),
        Err(problems) => writeln!(out, "{problems}").map(|()| false),
    }
}

struct Found {
    config: Config,
    discovered: Discovered,
    plan: Plan,
    warnings: Vec<Problem>,
}

fn look(path: &Path) -> Result<Found, Problems> {
    let loaded = Config::load(path)?;
    let mut discovered = discovery::fleets(&loaded.config)?;
    let clients: Vec<_> = discovered.fleets.iter().map(Fleet::len).collect();
    let plan = Plan::new(&loaded.config, &clients)?;
    let mut warnings = loaded.warnings;
    warnings.append(&mut discovered.warnings);
    Ok(Found { config: loaded.config, discovered, plan, warnings })
}

impl Found {
    fn write(&self, path: &Path, out: &mut dyn Write) -> io::Result<()> {
        writeln!(out, "{} is valid.", path.display())?;
        let instances = self.config.instances.iter().zip(&self.discovered.fleets).zip(&self.plan.instances);
        for ((instance, fleet), plan) in instances {
            writeln!(out, "\ninstance {}", instance.id)?;
            line(out, "endpoint", address(&instance.address, self.config.api.network))?;
            line(out, "credentials", provider(&instance.credentials.provider))?;
            if let Some(account) = &instance.credentials.account {
                line(out, "account", account)?;
            }
            self.write_fleet(out, fleet)?;
            line(out, "sweep", sweep(plan))?;
            let auto = self.config.collect.stale_after == StaleAfter::Auto;
            let auto = if auto { " (auto)" } else { "" };
            line(out, "stale after", format_args!("{}{auto}", shown(plan.stale_after)))?;
        }
        self.write_costs(out)?;
        list(out, "Notes", &self.plan.notes())?;
        list(out, "Warnings", &self.warnings)
    }

    fn write_fleet(&self, out: &mut dyn Write, fleet: &Fleet) -> io::Result<()> {
        let sources: Vec<&Source> =
            self.discovered.sources.iter().filter(|source| source.instance == *fleet.instance()).collect();
        line(out, "clients", fleet.len())?;
        for source in sources.iter().take(SOURCES) {
            line(out, "", format_args!("{} from {source}", source.clients))?;
        }
        if let Some(more) = sources.get(SOURCES..).filter(|more| !more.is_empty()) {
            let clients: usize = more.iter().map(|source| source.clients).sum();
            line(out, "", format_args!("{clients} from {} more files", more.len()))?;
        }
        let groups = fleet.groups().iter().filter(|group| !group.name.is_empty()).count();
        line(out, "groups", groups)
    }

    fn write_costs(&self, out: &mut dyn Write) -> io::Result<()> {
        writeln!(
            out,
            "\nCalls that scraping costs, all instances together (at most {}/s):\n",
            number(self.plan.rates.single)
        )?;
        writeln!(out, "  {:15}  {:>29}  {:>29}", "scrape interval", "one Prometheus", "two replicas")?;
        for interval in USUAL_INTERVALS {
            let [one, two] = [1, 2].map(|replicas| self.plan.cost(interval, replicas));
            writeln!(out, "  {:15}  {:>29}  {:>29}", shown(interval), cost(one), cost(two))?;
        }
        writeln!(out, "\nEach successful call counts as one message against the TPS of its instance and is billed.")
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
        (Address::Region(region), Network::Public) => format!("of region {region}, on the internet"),
        (Address::Region(region), Network::Vpc) => format!("of region {region}, inside the VPC"),
    }
}

fn provider(provider_of: &Provider) -> String {
    match provider_of {
        Provider::AccessKey { secret: SecretSource::Inline(_), .. } => "access key in the configuration".into(),
        Provider::AccessKey { secret: SecretSource::File(file), .. } => {
            format!("access key, secret in {}", file.display())
        }
        Provider::Env => "environment variables".into(),
        Provider::Profile { name, file } => {
            let name = name.as_ref().map_or("the default profile".into(), |name| format!("profile {name}"));
            let file = file.as_ref().map(|file| format!(" of {}", file.display())).unwrap_or_default();
            name + &file
        }
        Provider::Chain(providers) => providers.iter().map(provider).collect::<Vec<_>>().join(", else "),
    }
}

fn sweep(plan: &InstancePlan) -> String {
    match plan.clients {
        0 => "none, there are no clients".into(),
        _ => format!("takes {}, at no more than {} calls/s", shown(plan.sweep), number(plan.calls_per_second)),
    }
}

fn cost(Cost { per_second, per_day }: Cost) -> String {
    format!("{}/s {:>15}/day", number(per_second), grouped(per_day))
}

/// A rate with as many digits as say something.
fn number(rate: f64) -> String {
    let digits = match rate {
        ..10.0 => 2,
        ..100.0 => 1,
        _ => 0,
    };
    let text = format!("{rate:.digits$}");
    if digits == 0 { text } else { text.trim_end_matches('0').trim_end_matches('.').to_owned() }
}

/// A whole number with its thousands apart.
fn grouped(number: f64) -> String {
    let digits = format!("{number:.0}");
    let mut out = String::new();
    for (n, digit) in digits.chars().enumerate() {
        if n > 0 && (digits.len() - n) % 3 == 0 {
            out.push(',');
        }
        out.push(digit);
    }
    out
}
