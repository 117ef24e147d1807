//! Sets the revision that `build_info` reports, where `MQTT_PRESENCE_REVISION` does not: the commit of
//! the working copy, or the one that the published package names. Only for release builds, so that
//! a commit does not recompile the tests.

use std::path::Path;
use std::process::Command;
use std::{env, fs};

/// The 40 digits of the commit, if the package was built in its repository or published from it.
fn revision() -> Option<String> {
    // A package below another repository, as in a home directory, is not part of it.
    if Path::new(".git").exists() {
        let git = |arguments: &[&str]| {
            let output = Command::new("git").args(arguments).output().ok()?;
            let text = String::from_utf8(output.stdout).ok()?;
            output.status.success().then(|| text.trim().to_owned())
        };
        if let Some(log) = git(&["rev-parse", "--git-path", "logs/HEAD"]) {
            println!("cargo:rerun-if-changed={log}");
        }
        return git(&["rev-parse", "HEAD"]);
    }
    let published = fs::read_to_string(".cargo_vcs_info.json").ok()?;
    let (_, after) = published.split_once("\"sha1\": \"")?;
    after.get(..40).map(str::to_owned)
}

#[expect(
    clippy::disallowed_methods,
    reason = "Cargo passes its settings in the environment"
)]
fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-env-changed=MQTT_PRESENCE_REVISION");
    let given = env::var_os("MQTT_PRESENCE_REVISION").is_some_and(|text| !text.is_empty());
    if given || env::var_os("PROFILE").is_none_or(|profile| profile != "release") {
        return;
    }
    if let Some(revision) = revision() {
        println!("cargo:rustc-env=MQTT_PRESENCE_REVISION={revision}");
    }
}
