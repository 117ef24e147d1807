//! The reader itself.

use std::collections::{BTreeMap, HashSet};

use super::{Family, Sample, Scrape};

type Labels = BTreeMap<String, String>;

/// Reads a whole text.
pub(super) fn parse(text: &str) -> Result<Scrape, String> {
    let mut reader = Reader::default();
    if !text.is_empty() && !text.ends_with('\n') {
        return Err("the last line does not end".into());
    }
    // Not `lines()`, which would take a carriage return for a part of the end of a line.
    for (index, line) in text.split_terminator('\n').enumerate() {
        reader
            .line(line)
            .map_err(|why| format!("line {}: {why}: {line:?}", index + 1))?;
    }
    reader.end()
}

#[derive(Default)]
struct Reader {
    families: Vec<Family>,
    /// A `HELP` that waits for its `TYPE`.
    help: Option<(String, String)>,
    seen: HashSet<(String, Labels)>,
}

impl Reader {
    fn line(&mut self, line: &str) -> Result<(), String> {
        if let Some(comment) = line.strip_prefix("# ") {
            let (keyword, rest) = comment
                .split_once(' ')
                .ok_or("a comment that is no header")?;
            let (name, rest) = rest.split_once(' ').ok_or("a header that says nothing")?;
            if !is_metric_name(name) {
                return Err(format!("{name:?} is no name of a metric"));
            }
            return match keyword {
                "HELP" => self.help(name, rest),
                "TYPE" => self.kind(name, rest),
                _ => Err("a comment that is no header".into()),
            };
        }
        if self.help.is_some() {
            return Err("HELP without a TYPE right after it".into());
        }
        self.sample(line)
    }

    fn help(&mut self, name: &str, help: &str) -> Result<(), String> {
        if self.help.is_some() {
            return Err("HELP without a TYPE right after it".into());
        }
        if self.families.iter().any(|family| family.name == name) {
            return Err("a second header of the family".into());
        }
        self.close()?;
        self.help = Some((name.into(), unescape(help, false)?));
        Ok(())
    }

    fn kind(&mut self, name: &str, kind: &str) -> Result<(), String> {
        let Some((of, help)) = self.help.take() else {
            return Err("TYPE without a HELP right before it".into());
        };
        if of != name {
            return Err(format!("TYPE follows the HELP of {of}"));
        }
        if !["counter", "gauge", "histogram", "summary", "untyped"].contains(&kind) {
            return Err("there is no such type".into());
        }
        if (kind == "counter") != name.ends_with("_total") {
            return Err("a counter ends in _total, and nothing else does".into());
        }
        if ["_bucket", "_sum", "_count"]
            .iter()
            .any(|suffix| name.ends_with(suffix))
        {
            return Err("the suffix belongs to histograms".into());
        }
        self.families.push(Family {
            name: name.into(),
            help,
            kind: kind.into(),
            samples: Vec::new(),
        });
        Ok(())
    }

    fn sample(&mut self, line: &str) -> Result<(), String> {
        let sample = sample(line)?;
        let family = self
            .families
            .last_mut()
            .ok_or("a sample without a header")?;
        let of_family = match sample.name.strip_prefix(&family.name) {
            Some("") => family.kind != "histogram",
            Some("_bucket") => family.kind == "histogram",
            Some("_sum" | "_count") => ["histogram", "summary"].contains(&&*family.kind),
            _ => false,
        };
        if !of_family {
            return Err(format!("the sample does not belong to {}", family.name));
        }
        if !self
            .seen
            .insert((sample.name.clone(), sample.labels.clone()))
        {
            return Err("the series was there before".into());
        }
        family.samples.push(sample);
        Ok(())
    }

    /// The family that was read last is complete.
    fn close(&self) -> Result<(), String> {
        let Some(family) = self.families.last() else {
            return Ok(());
        };
        if family.samples.is_empty() {
            return Err(format!("{} has a header and no sample", family.name));
        }
        if family.kind == "histogram" {
            histogram(family)
        } else {
            Ok(())
        }
    }

    fn end(self) -> Result<Scrape, String> {
        if self.help.is_some() {
            return Err("HELP without a TYPE right after it".into());
        }
        self.close()?;
        Ok(Scrape {
            families: self.families,
        })
    }
}

/// One series of a histogram: its buckets with their bounds, and what else it must have.
#[derive(Default)]
struct Buckets {
    bounds: Vec<(f64, f64)>,
    count: Option<f64>,
    sum: Option<f64>,
}

/// Whether each series of the histogram has rising buckets, the last of which is its count.
fn histogram(family: &Family) -> Result<(), String> {
    let mut all: BTreeMap<Labels, Buckets> = BTreeMap::new();
    for sample in &family.samples {
        let mut labels = sample.labels.clone();
        let bound = labels.remove("le");
        let series = all.entry(labels).or_default();
        match (&sample.name[family.name.len()..], bound) {
            ("_bucket", Some(bound)) => series.bounds.push((number(&bound)?, sample.value)),
            ("_count", None) => series.count = Some(sample.value),
            ("_sum", None) => series.sum = Some(sample.value),
            _ => return Err(format!("{} has a label le, or lacks it", sample.name)),
        }
    }
    for (labels, Buckets { bounds, count, sum }) in all {
        let rising = bounds
            .windows(2)
            .all(|pair| pair[0].0 < pair[1].0 && pair[0].1 <= pair[1].1);
        let last = bounds.last().copied();
        if !rising
            || last.is_none()
            || last != count.map(|count| (f64::INFINITY, count))
            || sum.is_none()
        {
            return Err(format!("{} with {labels:?} is no histogram", family.name));
        }
    }
    Ok(())
}

fn sample(line: &str) -> Result<Sample, String> {
    let end = line.find(['{', ' ']).ok_or("a sample without a value")?;
    let (name, mut rest) = line.split_at(end);
    if !is_metric_name(name) {
        return Err(format!("{name:?} is no name of a metric"));
    }
    let mut labels = Labels::new();
    if let Some(inside) = rest.strip_prefix('{') {
        (labels, rest) = self::labels(inside)?;
    }
    let value = rest.strip_prefix(' ').ok_or("no space before the value")?;
    Ok(Sample {
        name: name.into(),
        labels,
        value: number(value)?,
    })
}

/// Labels up to the closing brace, and what comes after it.
fn labels(mut rest: &str) -> Result<(Labels, &str), String> {
    let mut labels = Labels::new();
    loop {
        let (name, quoted) = rest.split_once("=\"").ok_or("a label without a value")?;
        if !is_label_name(name) {
            return Err(format!("{name:?} is no name of a label"));
        }
        let end = end_of_quoted(quoted).ok_or("a label value that does not end")?;
        if labels
            .insert(name.into(), unescape(&quoted[..end], true)?)
            .is_some()
        {
            return Err(format!("the label {name} is there twice"));
        }
        rest = &quoted[end + 1..];
        if let Some(after) = rest.strip_prefix('}') {
            return Ok((labels, after));
        }
        rest = rest
            .strip_prefix(',')
            .ok_or("labels that are not separated by commas")?;
    }
}

/// Where the quotation mark is that no backslash stands before.
fn end_of_quoted(text: &str) -> Option<usize> {
    let mut escaped = false;
    text.bytes().position(|byte| {
        let end = byte == b'"' && !escaped;
        escaped = byte == b'\\' && !escaped;
        end
    })
}

fn unescape(text: &str, quoted: bool) -> Result<String, String> {
    let mut out = String::new();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        out.push(match c {
            '\\' => match chars.next() {
                Some('\\') => '\\',
                Some('n') => '\n',
                Some('"') if quoted => '"',
                other => return Err(format!("the format has no escape {other:?}")),
            },
            other => other,
        });
    }
    Ok(out)
}

/// A number as the format has it; Rust would also take `inf`, `infinity` and others.
fn number(text: &str) -> Result<f64, String> {
    match text {
        "+Inf" => Ok(f64::INFINITY),
        "-Inf" => Ok(f64::NEG_INFINITY),
        "NaN" => Ok(f64::NAN),
        _ if text
            .bytes()
            .all(|byte| byte.is_ascii_digit() || b"+-.eE".contains(&byte)) =>
        {
            text.parse().map_err(|_| format!("{text:?} is no number"))
        }
        _ => Err(format!("{text:?} is no number")),
    }
}

fn is_metric_name(name: &str) -> bool {
    is_name(name, |c| c == ':')
}

fn is_label_name(name: &str) -> bool {
    is_name(name, |_| false) && !name.starts_with("__")
}

fn is_name(name: &str, also: impl Fn(char) -> bool) -> bool {
    let first = |c: char| c.is_ascii_alphabetic() || c == '_' || also(c);
    name.starts_with(first) && name.chars().all(|c| first(c) || c.is_ascii_digit())
}

/// The reader finds what it is there to find.
mod tests {
    use super::*;

    const HEADER: &str = "# HELP a A.\n# TYPE a gauge\n";

    #[test]
    fn a_scrape_is_read_and_asked() {
        let text = "# HELP a_total An \\\\ and a \\n.\n# TYPE a_total counter\n\
                    a_total{x=\"1\",y=\"q\\\"b\\\\n\\n\"} 2\na_total{x=\"2\",y=\"{},= é\"} 0.5\n\
                    # HELP b B.\n# TYPE b gauge\nb -1e3\n";
        let scrape = Scrape::parse(text).unwrap();
        assert_eq!(scrape.value("a_total", &[("x", "1")]), Some(2.0));
        assert_eq!(scrape.value("a_total", &[("x", "3")]), None);
        assert_eq!(scrape.value("b", &[("x", "")]), Some(-1000.0));
        assert!((scrape.sum("a_total", &[]) - 2.5).abs() < 1e-9);
        assert_eq!(scrape.series("a_total")[0].label("y"), "q\"b\\n\n");
        assert_eq!(scrape.series("a_total")[1].label("y"), "{},= é");
        let family = scrape.family("a_total").unwrap();
        assert_eq!(
            (&*family.help, &*family.kind),
            ("An \\ and a \n.", "counter")
        );
    }

    #[test]
    #[should_panic(expected = "is 2 series")]
    fn a_question_with_two_answers_is_a_mistake() {
        let text = format!("{HEADER}a{{x=\"1\"}} 1\na{{x=\"2\"}} 1\n");
        Scrape::parse(&text).unwrap().value("a", &[]);
    }

    #[test]
    fn what_is_wrong_is_refused() {
        for (text, why) in [
            ("a 1\n".into(), "without a header"),
            (format!("{HEADER}a 1"), "does not end"),
            (format!("{HEADER}a 1\n\n"), "without a value"),
            (format!("{HEADER}a 1\r\n"), "no number"),
            (format!("{HEADER}a 1 1700000000000\n"), "no number"),
            (format!("{HEADER}a  1\n"), "no number"),
            (format!("{HEADER}a inf\n"), "no number"),
            (format!("{HEADER}a\n"), "without a value"),
            (HEADER.into(), "no sample"),
            (format!("{HEADER}a 1\na 2\n"), "there before"),
            (
                format!("{HEADER}a{{x=\"1\",y=\"2\"}} 1\na{{y=\"2\",x=\"1\"}} 1\n"),
                "there before",
            ),
            (format!("{HEADER}a{{x=\"1\",x=\"2\"}} 1\n"), "there twice"),
            (format!("{HEADER}a{{x=\"\\t\"}} 1\n"), "no escape"),
            (format!("{HEADER}a{{x=\"1}} 1\n"), "does not end"),
            (format!("{HEADER}a{{x=\"1\"y=\"2\"}} 1\n"), "commas"),
            (format!("{HEADER}a{{x=\"1\",}} 1\n"), "without a value"),
            (format!("{HEADER}a{{__x=\"1\"}} 1\n"), "no name"),
            (format!("{HEADER}a{{x=\"1\"}}1\n"), "no space"),
            (format!("{HEADER}b 1\n"), "does not belong"),
            (
                format!("{HEADER}a 1\n# HELP b B.\n# TYPE b gauge\nb 1\na{{x=\"1\"}} 1\n"),
                "does not belong",
            ),
            (
                format!("{HEADER}a 1\n{HEADER}a{{x=\"1\"}} 1\n"),
                "second header",
            ),
            ("# HELP a A.\na 1\n".into(), "without a TYPE"),
            ("# TYPE a gauge\na 1\n".into(), "without a HELP"),
            ("# HELP a A.\n# TYPE b gauge\nb 1\n".into(), "the HELP of a"),
            ("# HELP a A.\n# TYPE a number\na 1\n".into(), "no such type"),
            ("# HELP a A.\n# TYPE a counter\na 1\n".into(), "_total"),
            (
                "# HELP a_total A.\n# TYPE a_total gauge\na_total 1\n".into(),
                "_total",
            ),
            (
                "# HELP a_sum A.\n# TYPE a_sum gauge\na_sum 1\n".into(),
                "histograms",
            ),
            ("# hello\n".into(), "no header"),
            ("# EOF\n".into(), "no header"),
        ] {
            let error = Scrape::parse(&text).expect_err(&text);
            assert!(error.contains(why), "{text:?}: {error}");
        }
    }

    #[test]
    fn a_histogram_rises_to_its_count() {
        let with = |buckets: &str, rest: &str| {
            let text = format!("# HELP h H.\n# TYPE h histogram\n{buckets}{rest}");
            Scrape::parse(&text).map(|scrape| scrape.value("h_count", &[]))
        };
        let buckets = "h_bucket{le=\"0.5\"} 1\nh_bucket{le=\"+Inf\"} 2\n";
        assert_eq!(with(buckets, "h_sum 3\nh_count 2\n"), Ok(Some(2.0)));
        for (buckets, rest) in [
            (buckets, "h_sum 3\nh_count 3\n"),
            (buckets, "h_count 2\n"),
            (buckets, "h_sum 3\n"),
            (
                "h_bucket{le=\"0.5\"} 3\nh_bucket{le=\"+Inf\"} 2\n",
                "h_sum 3\nh_count 2\n",
            ),
            ("h_bucket{le=\"0.5\"} 2\n", "h_sum 3\nh_count 2\n"),
            ("h_bucket 2\n", "h_sum 3\nh_count 2\n"),
            ("h 2\n", ""),
        ] {
            assert!(with(buckets, rest).is_err(), "{buckets}{rest}");
        }
    }
}
