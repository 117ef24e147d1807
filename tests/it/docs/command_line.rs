//! `docs/command-line.md` has every command and flag, in the words of `--help`.

use std::fmt::Write as _;

use clap::{Arg, Command, CommandFactory as _};
use mqtt_presence_exporter::cli::Cli;

use super::page::Page;

/// How a flag is written.
fn written(arg: &Arg) -> String {
    let value = arg
        .get_value_names()
        .filter(|_| arg.get_action().takes_values());
    let value = value.map(|names| names.join(" "));
    match (arg.get_long(), value) {
        (Some(long), Some(value)) => format!("`--{long}={value}`"),
        (Some(long), None) => format!("`--{long}`"),
        (None, value) => format!("`{}`", value.unwrap_or_default()),
    }
}

/// The row of one flag.
fn row(arg: &Arg) -> String {
    let default = arg
        .get_default_values()
        .iter()
        .map(|value| value.to_string_lossy())
        .collect::<Vec<_>>()
        .join(" ");
    let default = if default.is_empty() || !arg.get_action().takes_values() {
        default
    } else {
        format!("`{default}`")
    };
    let help = arg.get_help().expect("every flag is explained").to_string();
    format!(
        "| {} | {} | {help} |",
        written(arg),
        if default == "`false`" { "" } else { &default }
    )
    .replace("|  |", "| |")
}

/// The section of one command.
fn section(command: &Command, args: &[&Arg]) -> String {
    let about = command.get_about().expect("every command is explained");
    let mut section = format!("## {}\n\n{about}.\n\n", command.get_name());
    if !args.is_empty() {
        section += "| Flag | Default | Meaning |\n| --- | --- | --- |\n";
    }
    for arg in args {
        writeln!(section, "{}", row(arg)).expect("a String");
    }
    section
}

#[test]
fn every_command_and_flag_is_there_in_the_words_of_the_help() {
    let page = Page::read("docs/command-line.md");
    let cli = Cli::command();
    let shown =
        |arg: &&Arg| !arg.is_hide_set() && !["help", "version"].contains(&arg.get_id().as_str());
    let everywhere: Vec<_> = cli
        .get_arguments()
        .filter(|arg| arg.is_global_set())
        .filter(shown)
        .collect();
    let mut expected = Vec::new();
    for command in cli
        .get_subcommands()
        .filter(|command| command.get_name() != "help")
    {
        let args: Vec<_> = command
            .get_arguments()
            .filter(|arg| !arg.is_global_set())
            .filter(shown)
            .collect();
        expected.push(section(command, &args));
    }
    let rows: String = everywhere.into_iter().map(|arg| row(arg) + "\n").collect();
    expected.push(rows);
    for part in expected {
        assert!(
            page.text.contains(&part),
            "docs/command-line.md lacks:\n\n{part}"
        );
    }
    // Flags have a default; no other table there has three columns.
    let flags = page
        .rows()
        .filter(|row| row.len() == 3 && row[0] != "Flag")
        .count();
    let own = |command: &Command| {
        command
            .get_arguments()
            .filter(|arg| !arg.is_global_set())
            .filter(shown)
            .count()
    };
    let known: usize = cli.get_subcommands().map(own).sum();
    let global = cli
        .get_arguments()
        .filter(|arg| arg.is_global_set())
        .filter(shown)
        .count();
    assert_eq!(
        flags,
        known + global,
        "there is no flag that the program has not"
    );
}
