//! The binary: passes the arguments and environment of the process to
//! [`mqtt_presence_exporter::cli`].

use std::process::ExitCode;

use mqtt_presence_exporter::cli;
use mqtt_presence_exporter::config::Env;

fn main() -> ExitCode {
    #[expect(
        clippy::disallowed_methods,
        reason = "the only place that reads the environment"
    )]
    let env = Env::from_os(std::env::vars_os());
    cli::run(std::env::args_os(), &env)
}
