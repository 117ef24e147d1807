//! The arithmetic in `docs/scaling.md` is that of the planner.

use std::path::Path;
use std::time::Duration;

use mqtt_presence_exporter::aliyun::RULES;
use mqtt_presence_exporter::config::Config;
use mqtt_presence_exporter::planner::{Plan, shown};
use mqtt_presence_exporter::presence::Shard;

fn text() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/scaling.md");
    std::fs::read_to_string(path).expect("the page")
}

/// The cells of every row of the table with this head.
fn table<'a>(text: &'a str, head: &str) -> Vec<Vec<&'a str>> {
    let rows = text
        .lines()
        .skip_while(|line| !line.starts_with(head))
        .skip(2);
    let rows = rows.take_while(|line| line.starts_with('|'));
    rows.map(|line| line.trim_matches('|').split('|').map(str::trim).collect())
        .collect()
}

fn number(text: &str) -> usize {
    text.replace(',', "").parse().expect("a number")
}

/// The time of a sweep over so many devices of one instance, and its calls a day.
fn planned(query: &str, devices: usize) -> (String, usize) {
    let text = format!(
        "{{collect: {{query: {query}}}, instances: [{{id: post-cn-1, region: cn-hangzhou, clients: [a]}}]}}"
    );
    let config = Config::parse(text, Path::new("config.yaml"), &RULES)
        .expect("valid")
        .config;
    let plan = Plan::new(&config, Shard::default(), &[devices]).expect("possible");
    let per_day = plan.scraped(Duration::from_secs(30), 1).per_day();
    (
        shown(plan.instances[0].sweep),
        format!("{per_day:.0}").parse().expect("a number"),
    )
}

#[test]
fn what_a_fleet_costs_is_what_the_planner_says() {
    let text = text();
    let rows = table(&text, "| Devices |");
    assert!(rows.len() > 5);
    let cells = |row: &[&str]| {
        let [devices, single, single_calls, batch, batch_calls] = *row else {
            panic!("{row:?}")
        };
        (
            number(devices),
            [
                (single.to_owned(), number(single_calls)),
                (batch.to_owned(), number(batch_calls)),
            ],
        )
    };
    let written: Vec<_> = rows.iter().map(|row| cells(row)).collect();
    let right = |devices| {
        (
            devices,
            ["single", "batch"].map(|query| planned(query, devices)),
        )
    };
    assert_eq!(
        written,
        written.iter().map(|row| right(row.0)).collect::<Vec<_>>()
    );
}

#[test]
fn the_defaults_are_the_defaults() {
    let text = text();
    let config = Config::parse(
        "instances: [{id: post-cn-1, region: cn-hangzhou, clients: [a]}]",
        Path::new("config.yaml"),
        &RULES,
    );
    let config = config.expect("valid").config;
    for row in table(&text, "| Key | Default | Bounds |") {
        let is = match row[0] {
            "`limits.single_per_second`" => f64::from(config.limits.single_per_second),
            "`limits.batch_per_second`" => f64::from(config.limits.batch_per_second),
            "`instances[].calls_per_second`" => f64::from(config.instances[0].calls_per_second),
            "`limits.share`" => config.limits.share,
            key => panic!("{key}"),
        };
        assert_eq!(row[1].parse(), Ok(is), "{}", row[0]);
    }
}
