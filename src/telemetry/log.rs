//! Log lines: text or JSON on stderr, each with an event code.
//!
//! Lines are written with [`error!`](crate::error), [`warn!`](crate::warn), [`info!`](crate::info) and
//! [`debug!`](crate::debug). Their first argument is a [`Code`](super::Code): a line without a code does not
//! compile. No line carries a customer, a key, or the content of a record.
//!
//! Lines of libraries come in by `tracing`, too, and get a code. `docs/logs.md` says which lines are left
//! out.

use std::io::Write as _;
use std::panic::PanicHookInfo;
use std::str::FromStr;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Instant;

use tracing::level_filters::LevelFilter;
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::layer::{Context, SubscriberExt as _};
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{Layer, Registry, reload};

use super::codes;
use super::line::{Line, is_ours};
use super::throttle::{Due, QUIET, Throttle};

/// The format of log lines.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LogFormat {
    /// One JSON object per line.
    Json,
    /// For people.
    Text,
}

/// The level of the least important lines that are written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LogLevel {
    Debug,
    Error,
    Info,
    Trace,
    Warn,
}

impl LogLevel {
    /// Whether the client libraries write their debug log, too.
    pub fn is_debug(self) -> bool {
        matches!(self, Self::Debug | Self::Trace)
    }
}

impl FromStr for LogFormat {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "json" => Ok(Self::Json),
            "text" => Ok(Self::Text),
            _ => Err("not a log format; use text or json"),
        }
    }
}

impl FromStr for LogLevel {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "debug" => Ok(Self::Debug),
            "error" => Ok(Self::Error),
            "info" => Ok(Self::Info),
            "trace" => Ok(Self::Trace),
            "warn" => Ok(Self::Warn),
            _ => Err("not a log level; use error, warn, info, debug or trace"),
        }
    }
}

impl From<LogLevel> for LevelFilter {
    fn from(level: LogLevel) -> Self {
        match level {
            LogLevel::Debug => Self::DEBUG,
            LogLevel::Error => Self::ERROR,
            LogLevel::Info => Self::INFO,
            LogLevel::Trace => Self::TRACE,
            LogLevel::Warn => Self::WARN,
        }
    }
}

/// The log of the process, whose level can change while it runs.
pub struct Logging(reload::Handle<LevelFilter, Registry>);

impl Logging {
    /// Sets the level of the least important lines that are written.
    pub fn set_level(&self, level: LogLevel) {
        // An error here means that another subscriber is set, which tests do.
        let _ = self.0.reload(LevelFilter::from(level));
    }
}

/// Starts logging for the whole process. A second call changes nothing.
///
/// `colours`: lines of text have them.
pub fn start(format: LogFormat, level: LogLevel, colours: bool) -> Logging {
    let (level, handle) = reload::Layer::new(LevelFilter::from(level));
    let state = Mutex::new(State { throttle: Throttle::new(), is_waiting: false });
    let lines = LINES.get_or_init(|| Lines { format, colours, state });
    // An error here means that a subscriber is already set, which tests do.
    let _ = Registry::default().with(level).with(Written(lines)).try_init();
    Logging(handle)
}

/// Writes the lines that are kept back: the process ends.
pub fn end() {
    if let Some(lines) = LINES.get() {
        let rest = lines.state().throttle.rest();
        lines.write(rest);
    }
}

/// Makes each panic a line of the log.
pub fn log_panics() {
    std::panic::set_hook(Box::new(|panic: &PanicHookInfo<'_>| {
        let place = panic.location().map(ToString::to_string);
        let thread = std::thread::current().name().map(str::to_owned);
        let payload = panic.payload();
        let text = payload.downcast_ref::<String>().map(String::as_str);
        let what = text.or_else(|| payload.downcast_ref::<&str>().copied()).unwrap_or("a panic");
        crate::error!(codes::PANICKED, thread, place, "{what}");
    }));
}

static LINES: OnceLock<Lines> = OnceLock::new();

/// The lines of this process, on stderr.
struct Lines {
    format: LogFormat,
    colours: bool,
    state: Mutex<State>,
}

struct State {
    throttle: Throttle<Line>,
    /// Whether a thread waits until kept lines are due.
    is_waiting: bool,
}

/// The part of the subscriber that writes.
struct Written(&'static Lines);

impl<S: Subscriber> Layer<S> for Written {
    /// A library's trace lines and spans name statements and their values, so they are never enabled.
    fn enabled(&self, of: &Metadata<'_>, _: Context<'_, S>) -> bool {
        is_ours(of) || !of.is_span() && *of.level() <= Level::DEBUG
    }

    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        self.0.add(Line::of(event), is_ours(event.metadata()));
    }
}

impl Lines {
    /// Writes a line, or keeps it because its code had a line within the last second. Warnings and errors are
    /// kept, and information of libraries.
    fn add(&'static self, line: Line, is_ours: bool) {
        let least = if is_ours { Level::WARN } else { Level::INFO };
        if line.level > least || line.code.is_always_written() {
            return self.write([(line, 0)]);
        }
        let mut state = self.state();
        let due = state.throttle.take(line.code.as_str(), line, Instant::now());
        if due.is_none() && !state.is_waiting {
            let waiting = std::thread::Builder::new().name("log".to_owned()).spawn(|| self.write_late());
            state.is_waiting = waiting.is_ok();
        }
        drop(state);
        self.write(due);
    }

    /// Writes kept lines when they are due, until none is left.
    fn write_late(&self) {
        loop {
            std::thread::sleep(QUIET / 4);
            let mut state = self.state();
            let due = state.throttle.due(Instant::now());
            state.is_waiting = state.throttle.keeps_one();
            let is_over = !state.is_waiting;
            drop(state);
            self.write(due);
            if is_over {
                return;
            }
        }
    }

    fn write(&self, due: impl IntoIterator<Item = Due<Line>>) {
        for (line, repeated) in due {
            let text = line.text(repeated, self.format, self.colours);
            // Nothing can be done about a closed stderr.
            let _ = std::io::stderr().lock().write_all(text.as_bytes());
        }
    }

    /// A panic elsewhere leaves the state consistent: no code of others runs under this lock.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Writes an error line with its event code.
#[macro_export]
macro_rules! error {
    ($code:expr, $($rest:tt)+) => { $crate::telemetry::line!(ERROR, $code, $($rest)+) };
}

/// Writes a warning with its event code.
#[macro_export]
macro_rules! warn {
    ($code:expr, $($rest:tt)+) => { $crate::telemetry::line!(WARN, $code, $($rest)+) };
}

/// Writes an information line with its event code.
#[macro_export]
macro_rules! info {
    ($code:expr, $($rest:tt)+) => { $crate::telemetry::line!(INFO, $code, $($rest)+) };
}

/// Writes a line for debugging with its event code.
#[macro_export]
macro_rules! debug {
    ($code:expr, $($rest:tt)+) => { $crate::telemetry::line!(DEBUG, $code, $($rest)+) };
}

/// The common part of the four macros above. The code is a [`Code`](super::Code), never a bare string.
#[doc(hidden)]
#[macro_export]
macro_rules! __line {
    ($level:ident, $code:expr, $($rest:tt)+) => {{
        let code: $crate::telemetry::Code = $code;
        ::tracing::event!(::tracing::Level::$level, code = code.as_str(), $($rest)+)
    }};
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_and_trace_lines_of_libraries_are_never_enabled() {
        let state = Mutex::new(State { throttle: Throttle::new(), is_waiting: false });
        let lines = Box::leak(Box::new(Lines { format: LogFormat::Json, colours: false, state }));
        tracing::subscriber::with_default(Registry::default().with(Written(lines)), || {
            assert!(tracing::event_enabled!(target: "scylla", Level::DEBUG));
            assert!(!tracing::event_enabled!(target: "scylla", Level::TRACE));
            assert!(!tracing::span_enabled!(target: "scylla", Level::ERROR));
            assert!(tracing::event_enabled!(target: "hourseal::lane", Level::TRACE));
        });
    }
}
