//! The log: one line for each event, on standard error.
//!
//! A line has `ts`, `level`, `target` and `msg`, then the fields of the event. There are no spans:
//! an event has all its fields itself.

use std::{fmt, io};

use clap::ValueEnum;
use serde_json::Value;
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::{Event, Subscriber};
use tracing_subscriber::Registry;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::format::{DefaultFields, Writer};
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, MakeWriter};
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;

/// The lowest level that is logged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum LogLevel {
    /// Each step, for troubleshooting.
    Debug,
    /// Normal operation.
    #[default]
    Info,
    /// Degraded operation.
    Warn,
    /// Failures.
    Error,
}

/// The format of a log line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// `ts=… level=info target=… msg="…" key=value`, as in Prometheus.
    #[default]
    Logfmt,
    /// The same fields as a JSON object.
    Json,
}

/// Logs the events of the process to standard error. Only the first call has an effect, so that a
/// program may run `app` more than once.
pub fn init_logging(level: LogLevel, format: LogFormat) {
    let _ = subscriber(level, format, io::stderr).try_init();
}

/// Of the dependencies, only warnings and errors are logged; of `h2` only errors, because every client
/// can cause its warnings.
fn subscriber<W>(level: LogLevel, format: LogFormat, writer: W) -> impl Subscriber + Send + Sync
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let level = match level {
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Error => LevelFilter::ERROR,
    };
    let targets = Targets::new()
        .with_default(level.min(LevelFilter::WARN))
        .with_target("h2", LevelFilter::ERROR)
        .with_target(env!("CARGO_CRATE_NAME"), level);
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(writer)
        .event_format(format)
        .with_filter(targets);
    Registry::default().with(lines)
}

impl FormatEvent<Registry, DefaultFields> for LogFormat {
    fn format_event(
        &self,
        _: &FmtContext<'_, Registry, DefaultFields>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut fields = Fields {
            format: *self,
            formatted: Vec::new(),
        };
        let mut time = String::new();
        SystemTime.format_time(&mut Writer::new(&mut time))?;
        fields.put("ts", time);
        let level = event.metadata().level().as_str();
        fields.put("level", level.to_ascii_lowercase());
        // Events of the `log` crate have their target in a field.
        if event.metadata().target() != "log" {
            fields.put("target", event.metadata().target());
        }
        event.record(&mut fields);
        match self {
            Self::Logfmt => writeln!(writer, "{}", fields.formatted.join(" ")),
            Self::Json => writeln!(writer, "{{{}}}", fields.formatted.join(",")),
        }
    }
}

/// Formats the fields of an event one by one.
struct Fields {
    format: LogFormat,
    formatted: Vec<String>,
}

impl Fields {
    fn put(&mut self, key: &str, value: impl Into<Value>) {
        // The message has the name that Prometheus gives it.
        let key = match key {
            "message" => "msg",
            "log.target" => "target",
            "log.module_path" | "log.file" | "log.line" => return,
            _ => key,
        };
        let unquoted = |text: &str| {
            let quoted = |c: char| c <= ' ' || matches!(c, '=' | '"' | '\\' | '\x7f');
            !text.is_empty() && !text.contains(quoted)
        };
        self.formatted.push(match (self.format, value.into()) {
            (LogFormat::Json, value) => format!("{}:{value}", Value::from(key)),
            (LogFormat::Logfmt, Value::String(text)) if unquoted(&text) => format!("{key}={text}"),
            // Readers of logfmt take a quoted value for a JSON string.
            (LogFormat::Logfmt, value) => format!("{key}={value}"),
        });
    }
}

impl Visit for Fields {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field.name(), value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field.name(), value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field.name(), value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field.name(), value);
    }

    /// Infinity and NaN, which JSON does not have, become null.
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field.name(), value);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.put(field.name(), format!("{value:?}"));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    /// What `events` log.
    fn logged(level: LogLevel, format: LogFormat, events: impl FnOnce()) -> String {
        let (mut reader, writer) = io::pipe().expect("a pipe");
        tracing::subscriber::with_default(subscriber(level, format, Arc::new(writer)), events);
        io::read_to_string(&mut reader).expect("a log is text")
    }

    fn an_event() {
        let error = io::Error::other("line one\nline \"two\"");
        tracing::warn!(calls = 3, up = false, share = 0.5, code = "Throttling.User", empty = "", %error, "a call failed: {}", 7);
    }

    #[test]
    fn logfmt_quotes_what_needs_it_and_keeps_one_event_on_one_line() {
        let text = logged(LogLevel::Info, LogFormat::Logfmt, an_event);
        let (ts, rest) = text.split_once(' ').expect("several fields");
        assert!(ts.starts_with("ts=2") && ts.ends_with('Z'), "{ts}");
        let target = module_path!();
        assert_eq!(
            rest,
            format!(
                "level=warn target={target} msg=\"a call failed: 7\" calls=3 up=false share=0.5 code=Throttling.User \
                 empty=\"\" error=\"line one\\nline \\\"two\\\"\"\n"
            )
        );
    }

    #[test]
    fn json_has_the_same_keys() {
        let text = logged(LogLevel::Info, LogFormat::Json, an_event);
        let event: Value = serde_json::from_str(text.trim_end_matches('\n')).expect("one object");
        assert!(event["ts"].as_str().is_some_and(|ts| ts.ends_with('Z')));
        let expected = serde_json::json!({
            "ts": event["ts"], "level": "warn", "target": module_path!(), "msg": "a call failed: 7", "calls": 3,
            "up": false, "share": 0.5, "code": "Throttling.User", "empty": "", "error": "line one\nline \"two\"",
        });
        assert_eq!(event, expected);
    }

    #[test]
    fn only_warnings_of_other_crates_are_logged() {
        let events = || {
            tracing::debug!("ours");
            tracing::info!(target: "hyper::proto", "chatter");
            tracing::warn!(target: "hyper::proto", "trouble");
            tracing::warn!(target: "h2::proto::ping_pong", "a frame of a stranger");
        };
        let messages = |level| {
            let text = logged(level, LogFormat::Logfmt, events);
            text.lines()
                .filter_map(|line| Some(line.split_once("msg=")?.1.to_owned()))
                .collect::<Vec<_>>()
        };
        assert_eq!(messages(LogLevel::Debug), ["ours", "trouble"]);
        assert_eq!(messages(LogLevel::Info), ["trouble"]);
        assert!(messages(LogLevel::Error).is_empty());
    }
}
