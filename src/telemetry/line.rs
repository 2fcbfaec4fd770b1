//! One line of the log: its parts, and its text.

use std::fmt::{Debug, Write as _};

use serde_json::Value;
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Metadata};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime as _, SystemTime};

use super::LogFormat;
use super::codes::{self, Code};

/// A field that may hold a server's text, with values of a statement. Only drivers have it.
const UNTRUSTED: &str = "warning";

/// A line with its time. It leaves out spans: those of drivers name statements and their values.
pub(super) struct Line {
    pub(super) code: Code,
    pub(super) level: Level,
    at: String,
    message: String,
    fields: Vec<(&'static str, Value)>,
}

/// Whether the line or span is one of this crate, and not of a library.
pub(super) fn is_ours(of: &Metadata<'_>) -> bool {
    of.target().starts_with(env!("CARGO_PKG_NAME"))
}

impl Line {
    /// A line of a library gets the code of that library.
    pub(super) fn of(event: &Event<'_>) -> Self {
        let (of, mut parts) = (event.metadata(), Parts::default());
        event.record(&mut parts);
        let code = if is_ours(of) { parts.code.as_deref().and_then(codes::find) } else { None };
        let code = code.unwrap_or_else(|| codes::of_library(of.target()));
        if !is_ours(of) {
            parts.fields.retain(|(name, _)| *name != UNTRUSTED);
        }
        let mut at = String::new();
        // Writing to memory cannot fail.
        let _ = SystemTime.format_time(&mut Writer::new(&mut at));
        Self { code, level: *of.level(), at, message: parts.message, fields: parts.fields }
    }

    /// The line's text with its end. `repeated`: so many lines of its code were left out before it.
    pub(super) fn text(self, repeated: u64, format: LogFormat, colours: bool) -> String {
        let repeated = (repeated > 0).then(|| ("repeated", Value::from(repeated)));
        let code = ("code", Value::from(self.code.as_str()));
        let fields = std::iter::once(code).chain(self.fields).chain(repeated);
        let (at, level) = (self.at, self.level);
        match format {
            LogFormat::Json => {
                let head = [
                    ("timestamp", at.into()),
                    ("level", level.as_str().into()),
                    ("message", self.message.into()),
                ];
                let pair = |(name, value): (&str, Value)| format!("{}:{value}", Value::from(name));
                let pairs: Vec<String> = head.into_iter().chain(fields).map(pair).collect();
                format!("{{{}}}\n", pairs.join(","))
            }
            LogFormat::Text => {
                let (dim, colour, end) =
                    if colours { ("\u{1b}[2m", colour(level), "\u{1b}[0m") } else { ("", "", "") };
                let message = self.message.replace(char::is_control, "\u{fffd}");
                let mut line = format!("{dim}{at}{end} {colour}{level:>5}{end} {message}");
                for (name, value) in fields {
                    let _ = write!(line, " {name}={value}");
                }
                line + "\n"
            }
        }
    }
}

fn colour(level: Level) -> &'static str {
    match level {
        Level::ERROR => "\u{1b}[31m",
        Level::WARN => "\u{1b}[33m",
        Level::INFO => "\u{1b}[32m",
        _ => "\u{1b}[34m",
    }
}

#[derive(Default)]
struct Parts {
    code: Option<String>,
    message: String,
    fields: Vec<(&'static str, Value)>,
}

impl Parts {
    fn add(&mut self, field: &Field, value: Value) {
        match (field.name(), value) {
            ("code", Value::String(code)) => self.code = Some(code),
            ("message", Value::String(message)) => self.message = message,
            (name, value) => self.fields.push((name, value)),
        }
    }
}

impl Visit for Parts {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.add(field, format!("{value:?}").into());
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.add(field, value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.add(field, value.into());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.add(field, value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.add(field, value.into());
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.add(field, value.into());
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use tracing::Subscriber;
    use tracing_subscriber::layer::{Context, SubscriberExt as _};
    use tracing_subscriber::{Layer, Registry};

    use super::*;

    struct Caught(Arc<Mutex<Vec<String>>>, LogFormat);

    impl<S: Subscriber> Layer<S> for Caught {
        fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
            self.0.lock().expect("no panic").push(Line::of(event).text(2, self.1, false));
        }
    }

    fn logged(format: LogFormat, log: impl FnOnce()) -> String {
        let lines = Arc::default();
        let subscriber = Registry::default().with(Caught(Arc::clone(&lines), format));
        tracing::subscriber::with_default(subscriber, log);
        lines.lock().expect("no panic").remove(0)
    }

    fn json(log: impl FnOnce()) -> Value {
        serde_json::from_str(&logged(LogFormat::Json, log)).expect("JSON")
    }

    #[test]
    fn a_line_has_its_code_its_fields_and_what_was_left_out() {
        let log = || crate::warn!(codes::KAFKA_WARNS, facility = "FAIL", bytes = 3, "a \"{}\"\n", 1);
        let line = json(log);
        let parts =
            ["level", "message", "code", "facility", "bytes", "repeated"].map(|name| line[name].clone());
        let expected = serde_json::json!(["WARN", "a \"1\"\n", "HS2001", "FAIL", 3, 2]);
        assert_eq!(Value::from(parts.to_vec()), expected);
        let text = logged(LogFormat::Text, log);
        let end = " WARN a \"1\"\u{fffd} code=\"HS2001\" facility=\"FAIL\" bytes=3 repeated=2\n";
        assert!(
            text.ends_with(end) && text.len() == "2026-12-01T00:00:00.000000Z ".len() + end.len(),
            "{text}"
        );
    }

    #[test]
    fn a_library_has_a_code_of_its_own_and_no_text_of_a_server() {
        let driver = json(|| {
            tracing::event!(target: "scylla::network", Level::WARN, warning = "WHERE token = 1", "a warning");
        });
        assert_eq!(
            (driver["code"].as_str(), driver["message"].as_str()),
            (Some("HS2005"), Some("a warning"))
        );
        assert!(driver.get("warning").is_none(), "{driver}");
        let other = json(|| tracing::event!(target: "other", Level::INFO, code = "HS1001", "x"));
        assert_eq!(other["code"], "HS2006", "a library cannot take a code of ours");
    }
}
