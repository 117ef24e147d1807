//! The reference in `docs/configuration.md` is what the program does: it is asked itself which
//! keys it knows and needs, what it takes for each, and whether writing a documented default
//! changes anything.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use mqtt_presence_exporter::aliyun::RULES;
use mqtt_presence_exporter::config::Config;

const INSTANCE: &str = "id: post-cn-1, region: cn-hangzhou";
const ONE: &str = "[{id: post-cn-1, region: cn-hangzhou, clients: [GID_test@@@a]}]";

/// A section of the reference, as a test asks for it.
struct Section {
    heading: &'static str,
    /// A configuration in which `%` stands for the keys of the section, `ONE` for instances and
    /// `INSTANCE` for what each has to have.
    frame: &'static str,
    /// The keys that have to be there, and one of each pair of which one has to be.
    given: &'static [(&'static str, &'static str)],
}

const fn section(
    heading: &'static str,
    frame: &'static str,
    given: &'static [(&'static str, &'static str)],
) -> Section {
    Section {
        heading,
        frame,
        given,
    }
}

const SECTIONS: [Section; 20] = [
    section("The file", "{%}", &[("instances", ONE)]),
    section("collect", "{collect: {%}, instances: ONE}", &[]),
    section("limits", "{limits: {%}, instances: ONE}", &[]),
    section("exposition", "{exposition: {%}, instances: ONE}", &[]),
    section("api", "{api: {%}, instances: ONE}", &[]),
    section("probe", "{probe: {%}, instances: ONE}", &[]),
    section(
        "access_key",
        "{credentials: {%}, instances: ONE}",
        &[
            ("type", "access_key"),
            ("access_key_id", "LTAItest"),
            ("access_key_secret_file", "secret"),
        ],
    ),
    section(
        "env",
        "{credentials: {%}, instances: ONE}",
        &[("type", "env")],
    ),
    section(
        "profile",
        "{credentials: {%}, instances: ONE}",
        &[("type", "profile")],
    ),
    section(
        "oidc",
        "{credentials: {%}, instances: ONE}",
        &[("type", "oidc")],
    ),
    section(
        "assume_role",
        "{credentials: {%}, instances: ONE}",
        &[
            ("type", "assume_role"),
            ("role_arn", "\"acs:ram::1:role/reader\""),
        ],
    ),
    section(
        "ecs_ram_role",
        "{credentials: {%}, instances: ONE}",
        &[("type", "ecs_ram_role")],
    ),
    section(
        "uri",
        "{credentials: {%}, instances: ONE}",
        &[("type", "uri")],
    ),
    section(
        "chain",
        "{credentials: {%}, instances: ONE}",
        &[("type", "chain")],
    ),
    section(
        "instances",
        "{limits: {single_per_second: 280}, instances: [{%}]}",
        &[("id", "post-cn-1"), ("region", "cn-hangzhou")],
    ),
    section(
        "clients",
        "{instances: [{INSTANCE, clients: [{%}]}]}",
        &[("id", "GID_test@@@a")],
    ),
    section(
        "client_urls",
        "{instances: [{INSTANCE, client_urls: [{%}]}]}",
        &[("url", "https://inventory.example")],
    ),
    section(
        "basic_auth",
        "{instances: [{INSTANCE, client_urls: [{url: https://inventory.example, basic_auth: {%}}]}]}",
        &[("username", "exporter"), ("password_file", "password")],
    ),
    section(
        "authorization",
        "{instances: [{INSTANCE, client_urls: [{url: https://inventory.example, authorization: {%}}]}]}",
        &[("credentials_file", "token")],
    ),
    section(
        "tls_config",
        "{instances: [{INSTANCE, client_urls: [{url: https://inventory.example, tls_config: {%}}]}]}",
        &[],
    ),
];

/// Keys that mean something only beside another.
const COMPANIONS: [(&str, (&str, &str)); 3] = [
    ("interval", ("mode", "poll")),
    ("max_age", ("stale_after", "1w")),
    ("access_key_secret", ("access_key_secret_file", LEFT_OUT)),
];

/// No key, and no word that anything is called.
const NONSENSE: &str = "q";

/// In place of a value: the key is not there.
const LEFT_OUT: &str = "";

impl Section {
    /// What the program makes of the section with these keys: a configuration, or the problems
    /// with their paths. Of the given keys, those that are in `keys` again give way.
    fn with(&self, keys: &[(&str, &str)]) -> Result<Config, Vec<(String, String)>> {
        let given = self
            .given
            .iter()
            .filter(|(name, _)| keys.iter().all(|(key, _)| key != name));
        let there = given.chain(keys).filter(|(_, value)| *value != LEFT_OUT);
        let all: Vec<_> = there
            .map(|(name, value)| format!("{name}: {value}"))
            .collect();
        let text = self
            .frame
            .replace("ONE", ONE)
            .replace("INSTANCE", INSTANCE)
            .replace('%', &all.join(", "));
        Config::parse(text, Path::new("config.yaml"), &RULES)
            .map(|loaded| loaded.config)
            .map_err(|problems| {
                problems
                    .iter()
                    .map(|problem| (problem.path().to_owned(), problem.message().to_owned()))
                    .collect()
            })
    }

    /// The same, with this value of `key`, and with what it means something beside.
    fn given(&self, key: &str, value: &str) -> Result<Config, Vec<(String, String)>> {
        let beside = COMPANIONS
            .iter()
            .filter(|(of, _)| *of == key)
            .map(|(_, beside)| *beside);
        self.with(
            &std::iter::once((key, value))
                .chain(beside)
                .collect::<Vec<_>>(),
        )
    }

    /// What is said about the `value` of `key`; nothing when it is taken.
    fn said(&self, key: &str, value: &str) -> String {
        let problems = self.given(key, value).err().unwrap_or_default();
        let about = problems
            .iter()
            .filter(|(path, _)| path.rsplit('.').next() == Some(key));
        about
            .map(|(_, message)| message.as_str())
            .collect::<Vec<_>>()
            .join("\n")
    }

    /// The words that stand at the end of what is said about nonsense.
    fn known(&self, key: &str, value: &str) -> BTreeSet<String> {
        let said = self.said(key, value);
        let list = said
            .split_once("expected one of ")
            .unwrap_or_else(|| panic!("{}.{key}: {said}", self.heading))
            .1;
        list.split(", ")
            .map(|word| word.trim_matches('`').to_owned())
            .collect()
    }
}

/// A row of the reference.
#[derive(Debug)]
struct Row {
    kind: String,
    default: String,
}

/// The rows of the reference, by heading and key.
fn reference() -> BTreeMap<String, BTreeMap<String, Row>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/configuration.md");
    let text = std::fs::read_to_string(path).expect("the reference");
    let mut sections = BTreeMap::<String, BTreeMap<String, Row>>::new();
    let mut heading = String::new();
    for line in text.lines() {
        if let Some(title) = line
            .strip_prefix("## ")
            .or_else(|| line.strip_prefix("### "))
        {
            title.clone_into(&mut heading);
        }
        let cells: Vec<_> = line.split('|').map(str::trim).collect();
        let ["", key, kind, default, meaning, ""] = cells[..] else {
            continue;
        };
        let Some(key) = code(key) else { continue };
        assert!(
            meaning.ends_with('.'),
            "{heading}.{key} is explained in a sentence"
        );
        let row = Row {
            kind: kind.to_owned(),
            default: default.to_owned(),
        };
        let before = sections
            .entry(heading.clone())
            .or_default()
            .insert(key.to_owned(), row);
        assert!(
            before.is_none(),
            "{heading}.{key} is in the reference twice"
        );
    }
    sections
}

fn code(cell: &str) -> Option<&str> {
    cell.strip_prefix('`')?.strip_suffix('`')
}

/// Calls `check` with every key that the reference has and the program should have.
fn each_key(check: impl Fn(&Section, &str, &Row)) {
    let reference = reference();
    for section in &SECTIONS {
        let rows = reference
            .get(section.heading)
            .unwrap_or_else(|| panic!("no section {}", section.heading));
        for (key, row) in rows {
            check(section, key, row);
        }
    }
}

#[test]
fn the_reference_has_every_key_and_no_other() {
    let reference = reference();
    let headings: BTreeSet<_> = SECTIONS.iter().map(|section| section.heading).collect();
    assert_eq!(
        reference
            .keys()
            .map(String::as_str)
            .collect::<BTreeSet<_>>(),
        headings,
        "sections with a table"
    );
    for section in &SECTIONS {
        let documented: BTreeSet<_> = reference[section.heading].keys().cloned().collect();
        assert_eq!(
            documented,
            section.known(NONSENSE, "1"),
            "keys of {}",
            section.heading
        );
    }
}

#[test]
fn the_sample_configuration_contains_every_key() {
    let sample = include_str!("../../../config.yaml");
    for key in SECTIONS
        .iter()
        .flat_map(|section| section.known(NONSENSE, "1"))
    {
        let named = sample
            .match_indices(&format!("{key}:"))
            .any(|(at, _)| !sample[..at].ends_with(|c: char| c.is_ascii_alphabetic() || c == '_'));
        assert!(named, "config.yaml does not contain `{key}`");
    }
}

#[test]
fn every_type_of_credentials_has_a_section() {
    let sections = SECTIONS
        .iter()
        .filter(|section| section.frame.contains("{credentials: {%}"));
    let documented: BTreeSet<_> = sections.map(|section| section.heading.to_owned()).collect();
    let section = SECTIONS
        .iter()
        .find(|section| section.heading == "env")
        .expect("a section");
    assert_eq!(documented, section.known("type", NONSENSE));
}

#[test]
fn required_keys_are_missed_and_defaults_change_nothing() {
    each_key(|section, key, row| {
        if row.default == "required" {
            let problems = section.given(key, LEFT_OUT).expect_err(key);
            let missed = problems
                .iter()
                .any(|(_, message)| message.starts_with(&format!("`{key}` is missing")));
            assert!(missed, "{}.{key}: {problems:?}", section.heading);
        } else {
            let default = code(&row.default)
                .unwrap_or_else(|| panic!("{}.{key}: {}", section.heading, row.default));
            let [written, left_out] = [default, LEFT_OUT].map(|value| section.given(key, value));
            assert_eq!(written, left_out, "{}.{key}: {default}", section.heading);
        }
    });
}

#[test]
fn every_type_is_the_one_that_is_taken() {
    each_key(|section, key, Row { kind, .. }| {
        let name = format!("{}.{key}: {kind}", section.heading);
        let takes = |value: &str| assert_eq!(section.said(key, value), "", "{name} takes {value}");
        let refuses = |value: &str, why: &str| {
            let said = section.said(key, value);
            assert!(
                said.contains(why),
                "{name} refuses {value} with {why:?}: {said:?}"
            );
        };
        let (word, other) = kind
            .split_once(", or ")
            .map_or(("", kind.as_str()), |(word, other)| (word, other));
        if let Some(word) = code(word) {
            takes(word);
        }
        if let Some((whole, range)) = other.split_once("number, ") {
            let (least, most) = range.split_once(" to ").expect("a range");
            let step = if whole == "whole " { 1.0 } else { 0.0001 };
            let number = |text: &str| text.parse::<f64>().expect("a number");
            takes(least);
            takes(most);
            refuses(
                &(number(least) - step).to_string(),
                &format!("from {least} to {most}"),
            );
            refuses(
                &(number(most) + step).to_string(),
                &format!("from {least} to {most}"),
            );
            refuses("[]", "number");
        } else if let Some(range) = other.strip_prefix("duration, ") {
            let most = match range.split_once(" to ").expect("a range") {
                ("up", most) => most,
                (least, most) => {
                    takes(least);
                    refuses("1ms", "short");
                    most
                }
            };
            takes(most);
            refuses(&format!("{most}1ms"), "too long");
            refuses("0s", "longer than 0s");
            refuses("[]", "expected a");
        } else if other.starts_with("list") {
            refuses("1", "expected a list");
        } else if other.starts_with("map") {
            refuses("1", "expected a map");
        } else if other.starts_with("text") {
            refuses("[]", "expected a text");
        } else if other == "`true` or `false`" {
            takes("true");
            takes("false");
            refuses("1", "expected `true` or `false`");
        } else if key == "type" {
            assert_eq!(code(other), Some(section.heading), "{name}");
        } else {
            let words = other
                .split(" or ")
                .map(|word| code(word).expect(&name).to_owned());
            assert_eq!(
                words.collect::<BTreeSet<_>>(),
                section.known(key, NONSENSE),
                "{name}"
            );
        }
    });
}
