//! What the benches share.

/// Writes a row of the table in `benches/README.md`, where `benches/run.sh` puts it.
#[expect(clippy::print_stdout, reason = "a bench reports to its terminal")]
pub(crate) fn row(what: &str, reach: &str, here: &str, reference: &str, reached: bool) {
    println!(
        "| {what} | {reach} | {here} | {reference} | {} |",
        if reached { "yes" } else { "**no**" }
    );
}

/// The one in the middle: what a neighbour on the same machine does to some of them, it does not see.
pub(crate) fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}
