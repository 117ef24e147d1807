//! Rules and dashboards fit the exporter, and the documentation fits them. That they work is shown
//! with a real Prometheus, in `tests/stack`.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use mqtt_presence_exporter::telemetry::{MetricKind, table};
use serde_json::Value;

const THRESHOLD: &str = "mqtt_presence:threshold:";

fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

/// The files of a folder of the repository, as their names and texts.
fn files(folder: &str) -> Vec<(String, String)> {
    let entries = fs::read_dir(path(folder)).expect("the folder");
    let read = |entry: fs::DirEntry| {
        let name = entry.file_name().into_string().expect("a name of text");
        (
            name,
            fs::read_to_string(entry.path()).expect("a file of text"),
        )
    };
    let mut files: Vec<_> = entries
        .map(|entry| read(entry.expect("an entry")))
        .collect();
    files.sort();
    files
}

/// The rules, in the order of their files.
fn rules() -> Vec<Value> {
    let parse = |text: &str| serde_yaml::from_str::<Value>(text).expect("YAML");
    let groups = files("prometheus/rules")
        .into_iter()
        .flat_map(|(_, text)| list(&parse(&text)["groups"]));
    groups.flat_map(|group| list(&group["rules"])).collect()
}

fn dashboards() -> Vec<(String, Value)> {
    files("grafana/dashboards")
        .into_iter()
        .map(|(name, text)| (name, text.parse().expect("JSON")))
        .collect()
}

/// The panels of a dashboard that show data, those of collapsed rows included.
fn panels(dashboard: &Value) -> Vec<Value> {
    let nested = |panel: Value| [list(&panel["panels"]), vec![panel]].concat();
    list(&dashboard["panels"])
        .into_iter()
        .flat_map(nested)
        .filter(|panel| panel["type"] != "row")
        .collect()
}

fn list(value: &Value) -> Vec<Value> {
    value.as_array().cloned().unwrap_or_default()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// Every query of rules and dashboards, with where it stands.
fn queries() -> Vec<(String, String)> {
    let of_rules = rules()
        .into_iter()
        .map(|rule| (name(&rule).to_owned(), text(&rule["expr"]).to_owned()));
    let of_dashboards = dashboards().into_iter().flat_map(|(file, dashboard)| {
        let targets = panels(&dashboard)
            .into_iter()
            .flat_map(|panel| list(&panel["targets"]));
        let variables = list(&dashboard["templating"]["list"]).into_iter();
        let asked = targets.map(|target| text(&target["expr"]).to_owned());
        let marks = list(&dashboard["annotations"]["list"]).into_iter();
        let marked = marks.map(|mark| text(&mark["expr"]).to_owned());
        let offered = variables.map(|variable| text(&variable["query"]["query"]).to_owned());
        asked
            .chain(offered)
            .chain(marked)
            .map(move |query| (file.clone(), query))
            .collect::<Vec<_>>()
    });
    of_rules.chain(of_dashboards).collect()
}

fn name(rule: &Value) -> &str {
    text(if rule["alert"].is_null() {
        &rule["record"]
    } else {
        &rule["alert"]
    })
}

fn is_recorded(rule: &Value) -> bool {
    !rule["record"].is_null()
}

/// The words of `query` that are metrics of the exporter, or of the rules.
fn metrics(query: &str) -> impl Iterator<Item = &str> {
    let words =
        query.split(|letter: char| !(letter.is_ascii_alphanumeric() || "_:".contains(letter)));
    words.filter(|word| {
        word.contains("mqtt_presence_") || word.contains(THRESHOLD) || word.starts_with("process_")
    })
}

#[test]
fn rules_and_dashboards_use_only_metrics_that_are_there() {
    let exported = table::all().flat_map(|metric| match metric.kind {
        MetricKind::Histogram => ["_bucket", "_sum", "_count"]
            .map(|suffix| format!("{}{suffix}", metric.name))
            .to_vec(),
        _ => vec![metric.name.to_owned()],
    });
    let recorded = rules();
    let recorded = recorded
        .iter()
        .filter(|rule| is_recorded(rule))
        .map(|rule| name(rule).to_owned());
    let known: BTreeSet<String> = exported.chain(recorded).collect();
    for (place, query) in queries() {
        for metric in metrics(&query) {
            assert!(
                known.contains(metric),
                "{place} asks for {metric}, which nobody gives"
            );
        }
    }
}

#[test]
fn what_is_recorded_is_used() {
    let queries = queries();
    let used: BTreeSet<_> = queries
        .iter()
        .flat_map(|(_, query)| metrics(query))
        .collect();
    for rule in rules().iter().filter(|rule| is_recorded(rule)) {
        assert!(
            used.contains(name(rule)),
            "{} is recorded for nobody",
            name(rule)
        );
    }
}

#[test]
fn an_alert_leads_to_its_paragraph() {
    let manual = fs::read_to_string(path("docs/alerts.md")).expect("the manual");
    let rules = rules();
    let alerts: Vec<_> = rules.iter().filter(|rule| !is_recorded(rule)).collect();
    for alert in &alerts {
        let name = name(alert);
        let annotations = &alert["annotations"];
        for annotation in ["summary", "description"] {
            assert!(
                !text(&annotations[annotation]).is_empty(),
                "{name} has no {annotation}"
            );
        }
        assert!(
            ["critical", "warning"].contains(&text(&alert["labels"]["severity"])),
            "the severity of {name}"
        );
        assert!(
            text(&annotations["dashboard_url"])
                .starts_with("https://grafana.example/d/mqtt-presence-"),
            "{name} has no link to a dashboard"
        );
        let (page, anchor) = text(&annotations["runbook_url"])
            .split_once('#')
            .expect("a link to a heading");
        assert!(
            page.ends_with("/docs/alerts.md") && anchor == name.to_lowercase(),
            "{name}: {page}#{anchor}"
        );
        let (_, paragraph) = manual.split_once(&format!("\n## {name}\n")).expect(name);
        let paragraph = paragraph.split("\n## ").next().unwrap_or_default();
        for part in ["**Likely causes.**", "**What to look at.**", "**Silence.**"] {
            assert!(paragraph.contains(part), "{name}: no {part}");
        }
    }
    let names: BTreeSet<_> = alerts.into_iter().map(name).collect();
    let headings = manual
        .lines()
        .filter_map(|line| line.strip_prefix("## Mqtt"));
    for heading in headings {
        assert!(
            names.contains(&*format!("Mqtt{heading}")),
            "Mqtt{heading} is explained and does not exist"
        );
    }
}

#[test]
fn thresholds_are_the_documented_ones() {
    let recorded: BTreeMap<_, _> = rules()
        .iter()
        .filter_map(|rule| {
            Some((
                name(rule).strip_prefix(THRESHOLD)?.to_owned(),
                rule["expr"].to_string(),
            ))
        })
        .collect();
    let manual = fs::read_to_string(path("docs/alerts.md")).expect("the manual");
    let documented: BTreeMap<_, _> = manual
        .lines()
        .filter_map(
            |line| match line.split('|').map(str::trim).collect::<Vec<_>>()[..] {
                ["", name, value, _, ""] if value.parse::<f64>().is_ok() => {
                    Some((name.trim_matches('`').to_owned(), value.to_owned()))
                }
                _ => None,
            },
        )
        .collect();
    assert_eq!(documented, recorded);
}

#[test]
fn panels_say_what_they_show_and_take_the_chosen_data_source() {
    for (file, dashboard) in dashboards() {
        assert!(
            dashboard["__inputs"].is_null() && dashboard["id"].is_null(),
            "{file} is bound to one Grafana"
        );
        assert_eq!(
            format!("mqtt-presence-{file}"),
            format!("{}.json", text(&dashboard["uid"]))
        );
        for panel in panels(&dashboard) {
            let place = format!("{file}: {}", panel["title"]);
            let defaults = &panel["fieldConfig"]["defaults"];
            for said in [
                &panel["title"],
                &panel["description"],
                &defaults["unit"],
                &defaults["noValue"],
            ] {
                assert!(
                    !text(said).is_empty(),
                    "{place}: no title, description, unit, or text for no data"
                );
            }
            assert!(
                !list(&panel["targets"]).is_empty(),
                "{place} asks for nothing"
            );
            for target in list(&panel["targets"]).iter().chain([&panel]) {
                assert_eq!(target["datasource"]["uid"], "${datasource}", "{place}");
            }
        }
    }
}
