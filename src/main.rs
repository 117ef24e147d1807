//! The binary: hands the process's arguments and environment to [`mqtt_presence_exporter::cli`].

use std::process::ExitCode;

use mqtt_presence_exporter::cli;
use mqtt_presence_exporter::config::Env;

fn main() -> ExitCode {
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place that reads the environment"
    )]
    let env = std::env::vars().collect::<Env>();
    cli::run(std::env::args_os(), &env)
}
