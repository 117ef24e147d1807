//! Formats events as lines: `ts`, `level`, `target` and `msg`, then the fields of the event and of
//! the spans around it.

use std::fmt;

use serde_json::Value;
use tracing::field::{Field, Visit};
use tracing::span::Record;
use tracing::{Event, Subscriber};
use tracing_subscriber::field::RecordFields;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, FormattedFields};
use tracing_subscriber::registry::{LookupSpan, Scope};

use super::LogFormat;

/// Writes events, and the fields of spans, in one of the formats.
pub(super) struct LineFormat(pub(super) LogFormat);

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
        fields.put("ts", time);
        let level = event.metadata().level().as_str();
        fields.put("level", level.to_ascii_lowercase());
        // Events of the `log` crate have their target in a field.
        if event.metadata().target() != "log" {
            fields.put("target", event.metadata().target());
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

/// Writes fields in sequence.
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

    fn put(&mut self, key: &str, value: impl Into<Value>) {
        // The message has the name that Prometheus gives it.
        let key = match key {
            "message" => "msg",
            "log.target" => "target",
            "log.module_path" | "log.file" | "log.line" => return,
            _ => key,
        };
        self.separate();
        let unquoted = |text: &str| {
            let quoted = |c: char| c <= ' ' || matches!(c, '=' | '"' | '\\' | '\x7f');
            !text.is_empty() && !text.contains(quoted)
        };
        match (self.format, value.into()) {
            (LogFormat::Json, value) => self.write(format_args!("{}:{value}", Value::from(key))),
            (LogFormat::Logfmt, Value::String(text)) if unquoted(&text) => {
                self.write(format_args!("{key}={text}"));
            }
            // Readers of logfmt take a quoted value for a JSON string.
            (LogFormat::Logfmt, value) => self.write(format_args!("{key}={value}")),
        }
    }

    /// Fields that [`FormatFields`] has formatted.
    fn formatted(&mut self, fields: &str) {
        if !fields.is_empty() {
            self.separate();
            self.write(format_args!("{fields}"));
        }
    }

    fn separate(&mut self) {
        let separator = if self.format == LogFormat::Json {
            ','
        } else {
            ' '
        };
        if !std::mem::replace(&mut self.first, false) {
            self.write(format_args!("{separator}"));
        }
    }

    fn write(&mut self, text: fmt::Arguments<'_>) {
        self.result = self.result.and_then(|()| self.writer.write_fmt(text));
    }
}

impl Visit for Fields<'_> {
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
