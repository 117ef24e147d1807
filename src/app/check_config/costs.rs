//! What a configuration costs and what comes of it, as a table.

use std::io::{self, Write};
use std::time::Duration;

use super::number;
use crate::aliyun::account_quota;
use crate::config::{Collect, Mode, Query};
use crate::planner::{Outlook, Plan, USUAL_INTERVALS, shown};
use crate::presence::Operation;

/// How many Prometheus servers scrape, as far as the cost is told.
const REPLICAS: [u32; 2] = [1, 2];

/// Writes the cost of every usual way to scrape, or of polling.
pub(super) fn write_costs(out: &mut dyn Write, collect: &Collect, plan: &Plan) -> io::Result<()> {
    let operation = collect.query.operation();
    let (limit, quota) = (
        number(plan.quotas.rate(operation)),
        account_quota(operation),
    );
    let rows = match collect.mode {
        Mode::Scrape => {
            writeln!(
                out,
                "\nWhat scraping costs, all instances together, in calls of {}:\n",
                operation.name()
            )?;
            let rows = USUAL_INTERVALS
                .into_iter()
                .flat_map(|interval| REPLICAS.map(|replicas| (interval, replicas)));
            rows.map(|(interval, replicas)| {
                row(
                    interval,
                    replicas.to_string(),
                    plan.scraped(interval, replicas),
                )
            })
            .collect()
        }
        Mode::Poll => {
            writeln!(
                out,
                "\nWhat polling costs, all instances together, in calls of {}:\n",
                operation.name()
            )?;
            vec![row(collect.interval, "any".into(), plan.polled())]
        }
    };
    let head = ["every", "servers", "calls/s", "calls/day"].map(str::to_owned);
    let head = head
        .into_iter()
        .chain([format!("of {limit}/s"), format!("of {quota}/s")]);
    let head = head
        .chain(["status at most", "disconnect seen"].map(str::to_owned))
        .collect();
    write_table(out, &[vec![head], rows].concat())?;
    writeln!(
        out,
        "\n  {limit}/s is what `limits` lets this process do, {quota}/s the vendor's quota of an account. A status gets so\n  \
         old before the next answer, and it takes at most so long from a disconnect to {}.",
        match collect.mode {
            Mode::Scrape => "the scrape that shows it",
            Mode::Poll => "the answer that\n  shows it; the next scrape brings it to Prometheus",
        }
    )?;
    if collect.query == Query::Batch {
        let single = Operation::Single.name();
        writeln!(
            out,
            "  Batches are answered from a cache of the vendor's, whose lag is not documented: add it to both. Each change\n  \
             that a batch shows costs one call of {single} more, of which {}/s may be made.",
            number(plan.quotas.rate(Operation::Single))
        )?;
    }
    writeln!(
        out,
        "\nEach successful call counts as one message against the TPS of its instance and is billed."
    )
}

fn row(interval: Duration, servers: String, outlook: Outlook) -> Vec<String> {
    vec![
        shown(interval),
        servers,
        number(outlook.per_second),
        grouped(outlook.per_day()),
        percent(outlook.of_limit),
        percent(outlook.of_account),
        format!("{} old", about(outlook.oldest)),
        format!("within {}", about(outlook.seen_within)),
    ]
}

/// Columns of equal width, those of numbers to the right.
fn write_table(out: &mut dyn Write, rows: &[Vec<String>]) -> io::Result<()> {
    let width = |column: usize| {
        rows.iter()
            .map(|row| row[column].chars().count())
            .max()
            .unwrap_or_default()
    };
    for row in rows {
        let cells = row.iter().enumerate().map(|(column, cell)| match column {
            0 => format!("{cell:<w$}", w = width(column)),
            _ => format!("{cell:>w$}", w = width(column)),
        });
        writeln!(out, "  {}", cells.collect::<Vec<_>>().join("  "))?;
    }
    Ok(())
}

fn percent(part: f64) -> String {
    match part * 100.0 {
        tiny if tiny > 0.0 && tiny < 0.05 => "<0.1%".to_owned(),
        percent => format!("{percent:.1}%"),
    }
}

/// A duration to the nearest second, where that is exact enough.
fn about(time: Duration) -> String {
    shown(if time < Duration::from_secs(10) {
        time
    } else {
        Duration::from_secs_f64(time.as_secs_f64().round())
    })
}

/// A whole number with its thousands apart.
fn grouped(number: f64) -> String {
    let digits = format!("{number:.0}");
    let mut out = String::new();
    for (n, digit) in digits.chars().enumerate() {
        if n > 0 && (digits.len() - n) % 3 == 0 {
            out.push(',');
        }
        out.push(digit);
    }
    out
}
