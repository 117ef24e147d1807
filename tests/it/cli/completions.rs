//! Completions as a shell offers them. Bash is asked here, other shells in `tests/stack`.

use std::process::Command;

use assert_cmd::cargo::CommandCargoExt as _;

fn script(shell: &str) -> String {
    let mut command = Command::cargo_bin("mqtt-presence-exporter").expect("it is built");
    let output = command
        .args(["completions", shell])
        .env_clear()
        .output()
        .expect("it runs");
    assert_eq!((output.status.code(), output.stderr.len()), (Some(0), 0));
    String::from_utf8(output.stdout).expect("text")
}

/// What Bash offers where the last of `words` is being typed.
fn offered(words: &[&str]) -> Vec<String> {
    let [.., previous, current] = words else {
        panic!("a command and a word")
    };
    let ask = format!(
        "{}\nset -- $(complete -p mqtt-presence-exporter)\n\
         while [ \"$1\" != -F ]; do shift; done\n\
         COMP_WORDS=({})\nCOMP_CWORD={}\n\"$2\" mqtt-presence-exporter '{current}' '{previous}'\nprintf '%s\\n' \"${{COMPREPLY[@]}}\"\n",
        script("bash"),
        words
            .iter()
            .map(|word| format!("'{word}'"))
            .collect::<Vec<_>>()
            .join(" "),
        words.len() - 1,
    );
    let output = Command::new("bash")
        .args(["--norc", "-c", &ask])
        .output()
        .expect("bash runs");
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    String::from_utf8(output.stdout)
        .expect("text")
        .lines()
        .map(str::to_owned)
        .collect()
}

#[test]
fn commands_flags_and_values_are_completed() {
    assert_eq!(
        offered(&["mqtt-presence-exporter", "che"]),
        ["check-config"]
    );
    assert_eq!(
        offered(&["mqtt-presence-exporter", "--web.tel"]),
        ["--web.telemetry-path"]
    );
    assert_eq!(
        offered(&["mqtt-presence-exporter", "simulate", "--no"]),
        ["--no-quotas"]
    );
    assert_eq!(
        offered(&["mqtt-presence-exporter", "--log.format", "j"]),
        ["json"]
    );
}

#[test]
fn every_common_shell_gets_a_script_and_an_unknown_one_the_list() {
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        assert!(script(shell).contains("check-config"), "{shell}");
    }
    let mut command = Command::cargo_bin("mqtt-presence-exporter").expect("it is built");
    let output = command
        .args(["completions", "tcsh"])
        .env_clear()
        .output()
        .expect("it runs");
    assert_eq!(output.status.code(), Some(64));
    assert!(
        String::from_utf8_lossy(&output.stderr).contains("bash, elvish, fish, powershell, zsh")
    );
}
