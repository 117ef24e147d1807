//! The cost of a configuration, as a table.

use std::io::{self, Write};
use std::time::Duration;

use crate::aliyun::account_quota;
use crate::config::{Collect, Mode, Query};
use crate::planner::{Outlook, Plan, USUAL_INTERVALS, shown};
use crate::presence::Operation;

/// The numbers of Prometheus servers that the table shows.
const REPLICAS: [u32; 2] = [1, 2];

/// Writes the cost of each usual way to scrape, or of polling.
pub(super) fn write_costs(out: &mut dyn Write, collect: &Collect, plan: &Plan) -> io::Result<()> {
    let operation = collect.query.operation();
    let (limit, quota) = (
        number(plan.quotas.rate(operation)),
        account_quota(operation),
    );
    let (what, end) = match collect.mode {
        Mode::Scrape => ("scraping", "scrape that reports it"),
        Mode::Poll => (
            "polling",
            "answer that reports it,\n  which the next scrape exports",
        ),
    };
    writeln!(
        out,
        "\nCost of {what}, all instances together, in calls of {}:\n",
        operation.name()
    )?;
    let mut rows = vec![[
        "interval".to_owned(),
        "servers".to_owned(),
        "calls/s".to_owned(),
        "calls/day".to_owned(),
        format!("of {limit}/s"),
        format!("of {quota}/s"),
        "max status age".to_owned(),
        "max detection time".to_owned(),
    ]];
    match collect.mode {
        Mode::Scrape => {
            for interval in USUAL_INTERVALS {
                rows.extend(REPLICAS.map(|replicas| {
                    row(
                        interval,
                        replicas.to_string(),
                        plan.scraped(interval, replicas),
                    )
                }));
            }
        }
        Mode::Poll => rows.push(row(collect.interval, "any".into(), plan.polled())),
    }
    write_table(out, &rows)?;
    writeln!(
        out,
        "\n  {limit}/s is the limit of this process, {quota}/s the quota of an Alibaba Cloud account. Status age: until the\n  \
         next answer about the same client. Detection time: from a disconnect to the {end}."
    )?;
    if collect.query == Query::Batch {
        let (single, rate) = (
            Operation::Single,
            number(plan.quotas.rate(Operation::Single)),
        );
        writeln!(
            out,
            "  Batch results come from a cache of the API. Its lag is not documented; add it to both times. Each change in\n  \
             a batch costs one more call of {}, limited to {rate}/s.",
            single.name()
        )?;
    }
    writeln!(
        out,
        "\nEach successful call counts as one message against the TPS of its instance and is billed."
    )
}

fn row(interval: Duration, servers: String, outlook: Outlook) -> [String; 8] {
    [
        shown(interval),
        servers,
        number(outlook.per_second),
        grouped(outlook.per_day()),
        percent(outlook.of_limit),
        percent(outlook.of_account),
        about(outlook.oldest),
        about(outlook.seen_within),
    ]
}

/// Aligns the first column to the left, the others to the right.
fn write_table(out: &mut dyn Write, rows: &[[String; 8]]) -> io::Result<()> {
    let width = |column: usize| rows.iter().map(|row| row[column].len()).max();
    let widths: [_; 8] = std::array::from_fn(|column| width(column).unwrap_or_default());
    for row in rows {
        write!(out, "  {:<1$}", row[0], widths[0])?;
        let mut cells = row.iter().zip(widths).skip(1);
        cells.try_for_each(|(cell, width)| write!(out, "  {cell:>width$}"))?;
        writeln!(out)?;
    }
    Ok(())
}

/// A rate with its significant digits.
pub(super) fn number(rate: f64) -> String {
    let scale = match rate {
        100.0.. => 1.0,
        10.0.. => 10.0,
        _ => 100.0,
    };
    ((rate * scale).round() / scale).to_string()
}

fn percent(part: f64) -> String {
    match part * 100.0 {
        tiny if tiny > 0.0 && tiny < 0.05 => "<0.1%".to_owned(),
        percent => format!("{percent:.1}%"),
    }
}

/// A duration, from 10 s on rounded to seconds.
fn about(time: Duration) -> String {
    match time.as_secs_f64() {
        ..10.0 => shown(time),
        seconds => shown(Duration::from_secs_f64(seconds.round())),
    }
}

/// A whole number with thousands separators.
fn grouped(number: f64) -> String {
    let mut digits = format!("{number:.0}");
    for place in (1..digits.len()).rev().skip(2).step_by(3) {
        digits.insert(place, ',');
    }
    digits
}
