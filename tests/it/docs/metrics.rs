//! The reference in `docs/metrics.md` is the table in the code.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use mqtt_presence_exporter::aliyun::ERROR_LABELS;
use mqtt_presence_exporter::telemetry::{Metric, table};

/// What is said of a metric: its type, its labels, and its help.
type Said = (String, Vec<String>, String);

fn text() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/metrics.md");
    fs::read_to_string(path).expect("the reference")
}

/// What the reference says, by name.
fn reference() -> BTreeMap<String, Said> {
    let text = text();
    let mut metrics = BTreeMap::new();
    for line in text.lines() {
        let cells: Vec<_> = line.split('|').map(str::trim).collect();
        let ["", name, kind, labels, meaning, absent, ""] = cells[..] else {
            continue;
        };
        let Some(name) = name
            .strip_prefix('`')
            .and_then(|name| name.strip_suffix('`'))
        else {
            continue;
        };
        let labels = labels
            .split(", ")
            .filter(|label| !label.is_empty())
            .map(Into::into)
            .collect();
        let help = if absent.is_empty() {
            meaning.into()
        } else {
            format!("{meaning} Absent {absent}.")
        };
        let before = metrics.insert(name.into(), (kind.into(), labels, help));
        assert_eq!(before, None, "{name} is in the reference twice");
    }
    metrics
}

fn said(metric: &Metric) -> Said {
    let labels = metric.labels.iter().map(|label| format!("`{label}`"));
    let configured = metric.configured_labels.then(|| "configured labels".into());
    (
        metric.kind.to_string(),
        labels.chain(configured).collect(),
        metric.help.into(),
    )
}

#[test]
fn the_reference_and_the_table_say_the_same() {
    let table: BTreeMap<_, _> = table::all()
        .chain(table::PROBE.all())
        .map(|metric| (metric.name.to_owned(), said(metric)))
        .collect();
    let reference = reference();
    for (name, said) in &table {
        assert_eq!(reference.get(name), Some(said), "{name} in docs/metrics.md");
    }
    for name in reference.keys() {
        assert!(
            table.contains_key(name),
            "docs/metrics.md has {name}, which the exporter has not"
        );
    }
}

#[test]
fn the_reference_lists_every_error_code() {
    let text = text();
    for label in ERROR_LABELS.iter() {
        assert!(
            text.contains(&format!("`{label}`")),
            "`{label}` is missing in docs/metrics.md"
        );
    }
}
