//! The log: one line for each event, on standard error.

mod format;

use std::fmt;
use std::io;

use clap::ValueEnum;
use tracing::Subscriber;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::Registry;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;

use format::LineFormat;

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

impl fmt::Display for LogLevel {
    /// As in the flag.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = self.to_possible_value().ok_or(fmt::Error)?;
        f.write_str(value.get_name())
    }
}

impl fmt::Display for LogFormat {
    /// As in the flag.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = self.to_possible_value().ok_or(fmt::Error)?;
        f.write_str(value.get_name())
    }
}

impl From<LogLevel> for LevelFilter {
    fn from(level: LogLevel) -> Self {
        match level {
            LogLevel::Debug => Self::DEBUG,
            LogLevel::Info => Self::INFO,
            LogLevel::Warn => Self::WARN,
            LogLevel::Error => Self::ERROR,
        }
    }
}

/// Logs the events of the process to standard error. Only the first call has an effect, so that a
/// program may run `app` more than once.
pub fn init_logging(level: LogLevel, format: LogFormat) {
    let _ = subscriber(level, format, io::stderr).try_init();
}

/// Of the dependencies, only warnings and errors are logged.
fn subscriber<W>(level: LogLevel, format: LogFormat, writer: W) -> impl Subscriber + Send + Sync
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let level = LevelFilter::from(level);
    let targets = Targets::new()
        .with_default(level.min(LevelFilter::WARN))
        .with_target(env!("CARGO_CRATE_NAME"), level);
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(writer)
        .fmt_fields(LineFormat(format))
        .event_format(LineFormat(format))
        .with_filter(targets);
    Registry::default().with(lines)
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
        let span = tracing::info_span!("sweep", instance = "post-cn-1");
        let _inside = span.enter();
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
                 empty=\"\" error=\"line one\\nline \\\"two\\\"\" instance=post-cn-1\n"
            )
        );
    }

    #[test]
    fn json_has_the_same_keys() {
        let text = logged(LogLevel::Info, LogFormat::Json, an_event);
        let event: serde_json::Value =
            serde_json::from_str(text.trim_end_matches('\n')).expect("one object");
        assert!(event["ts"].as_str().is_some_and(|ts| ts.ends_with('Z')));
        let expected = serde_json::json!({
            "ts": event["ts"], "level": "warn", "target": module_path!(), "msg": "a call failed: 7", "calls": 3,
            "up": false, "share": 0.5, "code": "Throttling.User", "empty": "", "error": "line one\nline \"two\"",
            "instance": "post-cn-1",
        });
        assert_eq!(event, expected);
    }

    #[test]
    fn a_field_recorded_later_in_a_span_is_logged() {
        for format in [LogFormat::Logfmt, LogFormat::Json] {
            let text = logged(LogLevel::Info, format, || {
                let span =
                    tracing::info_span!("sweep", instance = "a b", calls = tracing::field::Empty);
                span.record("calls", 7);
                span.in_scope(|| tracing::info!("ended"));
            });
            if format == LogFormat::Json {
                let event: serde_json::Value = serde_json::from_str(&text).expect("one object");
                assert_eq!(
                    (&event["instance"], &event["calls"]),
                    (&"a b".into(), &7.into())
                );
            } else {
                assert!(
                    text.ends_with("msg=ended instance=\"a b\" calls=7\n"),
                    "{text}"
                );
            }
        }
    }

    #[test]
    fn only_warnings_of_other_crates_are_logged() {
        let events = || {
            tracing::debug!("ours");
            tracing::info!(target: "hyper::proto", "chatter");
            tracing::warn!(target: "hyper::proto", "trouble");
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

    #[test]
    fn flags_accept_the_displayed_values() {
        for level in LogLevel::value_variants() {
            assert_eq!(
                LogLevel::from_str(&level.to_string(), false).as_ref(),
                Ok(level)
            );
        }
        for format in LogFormat::value_variants() {
            assert_eq!(
                LogFormat::from_str(&format.to_string(), false).as_ref(),
                Ok(format)
            );
        }
    }
}
