//! The flags that divide the clients among several processes.

use clap::Args;

use super::error::CommandError;
use crate::config::Env;
use crate::presence::Shard;

/// The shard of this process.
#[derive(Clone, Debug, Args)]
pub struct ShardArgs {
    /// Index of this shard, from 0 on; `auto` uses the ordinal at the end of the Kubernetes pod name.
    #[arg(long = "shard.index", value_name = "INDEX")]
    index: Option<String>,
    /// Total number of shards; clients and rate limits are divided among them.
    #[arg(long = "shard.total", value_name = "TOTAL", default_value_t = 1)]
    total: u32,
}

/// The variables that contain the name of the pod: that of the manifest, and that of Kubernetes.
const POD_NAMES: [&str; 2] = ["POD_NAME", "HOSTNAME"];

impl ShardArgs {
    /// The shard that the flags select in this environment.
    pub(super) fn shard(&self, env: &Env) -> Result<Shard, CommandError> {
        let total = self.total;
        let index = match self.index.as_deref() {
            None if total == 1 => Ok(0),
            None => Err(format!(
                "required with --shard.total={total}; a number from 0 on, or `auto`"
            )),
            Some("auto") => ordinal(env),
            Some(index) => index
                .parse()
                .map_err(|_| format!("`{index}` is neither a whole number nor `auto`")),
        };
        index
            .and_then(|index| Shard::new(index, total).map_err(|error| error.to_string()))
            .map_err(|problem| CommandError::Usage(format!("--shard.index: {problem}")))
    }
}

/// The number at the end of the pod name. A stateful set numbers its pods from 0.
fn ordinal(env: &Env) -> Result<u32, String> {
    let name_of = |variable| Some((variable, env.get(variable)?));
    let (variable, name) = POD_NAMES.into_iter().find_map(name_of).ok_or(
        "`auto` requires POD_NAME or HOSTNAME; set the index, or POD_NAME to the pod name",
    )?;
    let ordinal = name
        .rsplit_once('-')
        .and_then(|(_, ordinal)| ordinal.parse().ok());
    ordinal.ok_or_else(|| {
        format!(
            "`auto`: {variable} is `{name}`, not the name of a StatefulSet pod (`NAME-0`); set the index"
        )
    })
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Flags {
        #[command(flatten)]
        shard: ShardArgs,
    }

    fn shard(flags: &[&str], env: &[(&str, &str)]) -> Result<(u32, u32), String> {
        let flags =
            Flags::try_parse_from([&["x"], flags].concat()).map_err(|error| error.to_string())?;
        let shard = flags
            .shard
            .shard(&env.iter().copied().collect())
            .map_err(|failure| failure.to_string())?;
        Ok((shard.index(), shard.total()))
    }

    #[test]
    fn one_process_has_all_clients_and_several_need_an_index() {
        assert_eq!(shard(&[], &[]), Ok((0, 1)));
        assert_eq!(
            shard(&["--shard.index=2", "--shard.total=3"], &[]),
            Ok((2, 3))
        );
        for flags in [
            ["--shard.total=3", "--shard.index=3"],
            ["--shard.total=0", "--shard.index=0"],
        ] {
            assert!(
                shard(&flags, &[])
                    .expect_err("none of them")
                    .contains("there is no shard"),
                "{flags:?}"
            );
        }
        assert!(
            shard(&["--shard.total=3"], &[])
                .expect_err("which?")
                .contains("--shard.index: required")
        );
        assert!(
            shard(&["--shard.index=-1"], &[]).is_err()
                && shard(&["--shard.index=first"], &[]).is_err()
        );
    }

    #[test]
    fn the_pod_name_of_a_stateful_set_contains_the_index() {
        let auto = ["--shard.index=auto", "--shard.total=3"];
        assert_eq!(shard(&auto, &[("HOSTNAME", "presence-2")]), Ok((2, 3)));
        assert_eq!(
            shard(
                &auto,
                &[
                    ("HOSTNAME", "node-7"),
                    ("POD_NAME", "mqtt-presence-exporter-1")
                ]
            ),
            Ok((1, 3))
        );
        assert!(
            shard(&auto, &[("HOSTNAME", "presence-3")])
                .expect_err("the fourth")
                .contains("no shard 3 of 3")
        );
        for name in ["presence", "presence-7d9f-x2x", "presence-"] {
            let error = shard(&auto, &[("HOSTNAME", name)]).expect_err("no ordinal");
            assert!(
                error.contains(name) && error.contains("set the index"),
                "{error}"
            );
        }
        assert!(shard(&auto, &[]).expect_err("no name").contains("POD_NAME"));
    }
}
