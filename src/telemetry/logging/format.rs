//! Events as lines: `ts`, `level`, `target` and `msg`, then the fields of the event and those of
//! the spans around it.

use std::fmt;

use tracing::field::{Field, Visit};
use tracing::span::Record;
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::field::RecordFields;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, FormattedFields};
use tracing_subscriber::registry::{LookupSpan, Scope};

use super::LogFormat;

/// Writes events, and the fields of spans, in one of the formats.
pub(super) struct LineFormat(pub(super) LogFormat);

/// The name of `level` in a line.
pub(super) fn level(level: Level) -> &'static str {
    match level {
        Level::ERROR => "error",
        Level::WARN => "warn",
        Level::INFO => "info",
        Level::DEBUG => "debug",
        Level::TRACE => "trace",
    }
}

impl<S, N> FormatEvent<S, N> for LineFormat
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let json = self.0 == LogFormat::Json;
        let mut time = String::new();
        SystemTime.format_time(&mut Writer::new(&mut time))?;
        if json {
            writer.write_char('{')?;
        }
        let mut fields = Fields::new(self.0, writer.by_ref());
        fields.text("ts", &time);
        fields.text("level", level(*event.metadata().level()));
        // What comes by way of the `log` crate says its target in a field.
        if event.metadata().target() != "log" {
            fields.text("target", event.metadata().target());
        }
        event.record(&mut fields);
        for span in context.event_scope().into_iter().flat_map(Scope::from_root) {
            if let Some(of_span) = span.extensions().get::<FormattedFields<N>>() {
                fields.formatted(&of_span.fields);
            }
        }
        fields.result?;
        writer.write_str(if json { "}\n" } else { "\n" })
    }
}

impl<'w> FormatFields<'w> for LineFormat {
    fn format_fields<R: RecordFields>(&self, writer: Writer<'w>, record: R) -> fmt::Result {
        let mut fields = Fields::new(self.0, writer);
        record.record(&mut fields);
        fields.result
    }

    fn add_fields(
        &self,
        current: &'w mut FormattedFields<Self>,
        record: &Record<'_>,
    ) -> fmt::Result {
        let first = current.fields.is_empty();
        let mut fields = Fields {
            first,
            ..Fields::new(self.0, current.as_writer())
        };
        record.record(&mut fields);
        fields.result
    }
}

/// Writes fields one after the other.
struct Fields<'w> {
    format: LogFormat,
    writer: Writer<'w>,
    first: bool,
    result: fmt::Result,
}

impl<'w> Fields<'w> {
    fn new(format: LogFormat, writer: Writer<'w>) -> Self {
        Self {
            format,
            writer,
            first: true,
            result: Ok(()),
        }
    }

    fn text(&mut self, key: &str, value: &str) {
        let bare = !value.is_empty()
            && !value.contains(|c: char| c <= ' ' || matches!(c, '=' | '"' | '\\' | '\x7f'));
        if self.format == LogFormat::Logfmt && bare {
            self.plain(key, format_args!("{value}"));
        } else {
            // A reader of logfmt takes a quoted value for a JSON string.
            self.plain(key, format_args!("{}", serde_json::Value::from(value)));
        }
    }

    fn plain(&mut self, key: &str, value: fmt::Arguments<'_>) {
        // The message has the name that Prometheus gives it.
        let key = match key {
            "message" => "msg",
            "log.target" => "target",
            "log.module_path" | "log.file" | "log.line" => return,
            _ => key,
        };
        self.separate();
        match self.format {
            LogFormat::Logfmt => self.write(format_args!("{key}={value}")),
            LogFormat::Json => self.write(format_args!("{}:{value}", serde_json::Value::from(key))),
        }
    }

    /// Fields that were written before, by [`FormatFields`].
    fn formatted(&mut self, fields: &str) {
        if !fields.is_empty() {
            self.separate();
            self.write(format_args!("{fields}"));
        }
    }

    fn separate(&mut self) {
        if !std::mem::replace(&mut self.first, false) {
            self.write(format_args!(
                "{}",
                if self.format == LogFormat::Json {
                    ','
                } else {
                    ' '
                }
            ));
        }
    }

    fn write(&mut self, text: fmt::Arguments<'_>) {
        self.result = self.result.and_then(|()| self.writer.write_fmt(text));
    }
}

impl Visit for Fields<'_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.text(field.name(), value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.plain(field.name(), format_args!("{value}"));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.plain(field.name(), format_args!("{value}"));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.plain(field.name(), format_args!("{value}"));
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        // JSON has no infinity and no NaN; `Value` makes null of them.
        self.plain(
            field.name(),
            format_args!("{}", serde_json::Value::from(value)),
        );
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.text(field.name(), &format!("{value:?}"));
    }
}
