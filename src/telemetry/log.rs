//! Log lines: text or JSON on stderr, each with an event code.
//!
//! Lines are written with [`error!`](crate::error), [`warn!`](crate::warn), [`info!`](crate::info) and
//! [`debug!`](crate::debug). Their first argument is a [`Code`](super::Code): a line without a code does not
//! compile. No line carries a customer, a key, or the content of a record.

use std::str::FromStr;

use tracing::level_filters::LevelFilter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{Layer as _, Registry, fmt, reload};

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
    let lines = fmt::layer().with_writer(std::io::stderr).with_target(false);
    let lines = match format {
        LogFormat::Json => lines.json().flatten_event(true).with_current_span(false).boxed(),
        LogFormat::Text => lines.with_ansi(colours).boxed(),
    };
    // An error here means that a subscriber is already set, which tests do.
    let _ = Registry::default().with(level).with(lines).try_init();
    Logging(handle)
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
