//! Web configuration files: what is refused and in which words, and what is taken. `tests/stack`
//! asks Prometheus's own checker about the same files.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use mqtt_presence_exporter::clock::Clock;
use mqtt_presence_exporter::web::ActiveWebConfig;
use tempfile::TempDir;

use crate::support::pki::Authority;

/// The files of a folder of `tests/data/web_config`, beside the certificates that they name.
fn fixtures(folder: &str) -> (TempDir, Vec<PathBuf>) {
    let temporary = tempfile::tempdir().expect("a directory");
    let authority = Authority::new();
    authority.server().write(temporary.path(), "server");
    authority.server().write(temporary.path(), "client");
    authority.identity.write(temporary.path(), "ca");
    let mut files = Vec::new();
    for entry in std::fs::read_dir(Path::new("tests/data/web_config").join(folder))
        .expect("the fixtures are there")
    {
        let from = entry.expect("a file").path();
        let to = temporary.path().join(from.file_name().expect("a name"));
        std::fs::copy(&from, &to).expect("copied");
        files.push(to);
    }
    files.sort();
    (temporary, files)
}

/// What is said of each file.
fn told(folder: &str, outcome: impl Fn(&Path) -> String) -> String {
    let (temporary, files) = fixtures(folder);
    let mut told = String::new();
    for file in &files {
        let text = outcome(file).replace(&format!("{}/", temporary.path().display()), "");
        assert!(
            !text.contains("not-a-secret") && !text.contains("QOauhQ"),
            "a secret in {text}"
        );
        writeln!(told, "{text}\n").expect("a String");
    }
    told
}

fn refusal(file: &Path) -> String {
    match ActiveWebConfig::load(file, Clock::system()) {
        Ok(_) => panic!("{} is taken", file.display()),
        Err(problems) => problems.to_string(),
    }
}

#[test]
fn what_the_toolkit_refuses_is_refused() {
    insta::assert_snapshot!("bad", told("bad", refusal));
}

#[test]
fn what_the_tls_library_does_not_do_is_refused_with_the_reason() {
    insta::assert_snapshot!("refused", told("refused", refusal));
}

#[test]
fn what_the_toolkit_takes_is_taken() {
    let taken = told("good", |file| {
        match ActiveWebConfig::load(file, Clock::system()) {
            Ok((edge, warnings)) => {
                let secured = if edge.tls().is_some() {
                    "secured"
                } else {
                    "not secured"
                };
                let mut told = format!("{}: {secured}", file.display());
                // Git does not keep the permissions of the test data; another test is about them.
                let warnings = warnings.iter().map(ToString::to_string);
                for warning in warnings.filter(|text| !text.contains("contains a secret")) {
                    write!(told, "\n{warning}").expect("a String");
                }
                told
            }
            Err(problems) => panic!("{problems}"),
        }
    });
    insta::assert_snapshot!("good", taken);
}

#[test]
fn a_file_that_is_not_there_is_told() {
    assert_eq!(
        refusal(Path::new("nowhere/web.yml")),
        "nowhere/web.yml: the file does not exist; check the path"
    );
}

#[test]
fn keys_that_cannot_be_used_are_told_apart() {
    let (temporary, _) = fixtures("good");
    let folder = temporary.path();
    let file = folder.join("tls.yml");
    let encrypted =
        "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n";
    let garbage = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
    for (key, reason) in [
        (encrypted, "is encrypted"),
        (garbage, "RSA of 2,048"),
        ("", "has no private key"),
    ] {
        std::fs::write(folder.join("server.key"), key).expect("written");
        let told = refusal(&file);
        assert!(
            told.contains(": tls_server_config.key_file: ") && told.contains(reason),
            "{told}"
        );
    }
}
