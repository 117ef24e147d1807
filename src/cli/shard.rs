//! The flags that make a process one of several.

use std::str::FromStr;

use clap::Args;

use crate::app::CommandError;
use crate::config::Env;
use crate::presence::Shard;

/// The shard of this process.
#[derive(Clone, Copy, Debug, Args)]
pub struct ShardArgs {
    /// Which of the shards this process has, from 0 on; `auto` is the number at the end of the name
    /// that Kubernetes gives the pod of a stateful set.
    #[arg(long = "shard.index", value_name = "INDEX")]
    index: Option<ShardIndex>,
    /// Among how many processes the clients are divided, and all limits with them.
    #[arg(long = "shard.total", value_name = "TOTAL", default_value_t = 1)]
    total: u32,
}

/// What `--shard.index` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ShardIndex {
    /// This one.
    Number(u32),
    /// The ordinal of the pod.
    Auto,
}

impl FromStr for ShardIndex {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "auto" => Ok(Self::Auto),
            number => number
                .parse()
                .map(Self::Number)
                .map_err(|_| "not a whole number, nor `auto`"),
        }
    }
}

/// Where the name of a pod is found: where its manifest puts it, and where Kubernetes does.
const POD_NAMES: [&str; 2] = ["POD_NAME", "HOSTNAME"];

impl ShardArgs {
    /// The shard that they name, in this environment.
    pub fn shard(self, env: &Env) -> Result<Shard, CommandError> {
        let index = match self.index {
            Some(ShardIndex::Number(index)) => index,
            Some(ShardIndex::Auto) => ordinal(env)?,
            None if self.total == 1 => 0,
            None => {
                let all = self.total;
                return Err(CommandError::Usage(format!(
                    "--shard.total={all} needs --shard.index, which says which of the {all} this is: a number from 0 on, or `auto`"
                )));
            }
        };
        Shard::new(index, self.total)
            .map_err(|error| CommandError::Usage(format!("--shard.index: {error}")))
    }
}

/// The number at the end of the pod's name, which a stateful set counts from 0.
fn ordinal(env: &Env) -> Result<u32, CommandError> {
    let Some((variable, name)) = POD_NAMES
        .into_iter()
        .find_map(|variable| Some((variable, env.get(variable)?)))
    else {
        return Err(CommandError::Usage(
            "--shard.index=auto: neither POD_NAME nor HOSTNAME is set; write the index, or set POD_NAME to the pod's name"
                .to_owned(),
        ));
    };
    name.rsplit_once('-').and_then(|(_, ordinal)| ordinal.parse().ok()).ok_or_else(|| {
        CommandError::Usage(format!(
            "--shard.index=auto: {variable} is `{name}`, which is no name of a stateful set's pod (`NAME-0`); write the index"
        ))
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
    fn one_process_has_everything_and_several_say_which_they_are() {
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
                .contains("needs --shard.index")
        );
        assert!(
            shard(&["--shard.index=-1"], &[]).is_err()
                && shard(&["--shard.index=first"], &[]).is_err()
        );
    }

    #[test]
    fn a_pod_of_a_stateful_set_knows_its_number() {
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
                error.contains(name) && error.contains("write the index"),
                "{error}"
            );
        }
        assert!(shard(&auto, &[]).expect_err("no name").contains("POD_NAME"));
    }
}
