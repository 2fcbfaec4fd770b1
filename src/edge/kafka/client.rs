//! The parts that all clients share: the brokers' addresses, the user's librdkafka settings, and quiet logs.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use rdkafka::ClientConfig;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::Consumer as _;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};

use super::listener::{Heard, Listener};
use super::login::Login;
use super::reach::Reach;
use super::reason::harmless;
use crate::stream::{CLIENT_ID, ErrorClass, Stage, StreamError};
use crate::telemetry::{codes, debug, warn};

/// Raw librdkafka settings by name.
pub type Properties = BTreeMap<String, String>;

/// The cluster's address and the user's own settings. It holds no setting that would break
/// exactly-once: those are removed before.
///
/// Not `Debug`: the settings may hold a password.
#[derive(Clone, Default)]
pub struct ClientSettings {
    pub bootstrap: String,
    pub client: Properties,
    pub consumer: Properties,
    pub producer: Properties,
    /// Whether librdkafka writes its debug log.
    pub debug: bool,
    /// The credentials of the clients.
    pub login: Login,
    /// The wait for the first answer of the cluster, and what the clients hear.
    pub reach: Reach,
}

impl ClientSettings {
    pub(super) fn listener(&self) -> Listener {
        Listener::new(&self.reach.heard, &self.login)
    }

    /// The last reason why a connection failed, for `/readyz`. `None` if none has failed in the last minute.
    /// A missing token comes first: the broker's refusal of the old one tells less.
    pub fn last_failure(&self) -> Option<String> {
        let heard = || self.reach.heard.last(Instant::now()).map(|reason| reason.to_string());
        self.login.fault().or_else(heard)
    }

    /// The text of an error. If the broker is away: with the reason, if one is known.
    pub(super) fn why(&self, error: &KafkaError) -> String {
        match error.rdkafka_error_code() {
            Some(code) => self.why_code(code),
            None => harmless(&error.to_string()),
        }
    }

    /// As [`ClientSettings::why`].
    pub(super) fn why_code(&self, code: RDKafkaErrorCode) -> String {
        match self.last_failure().filter(|_| is_away(code)) {
            Some(reason) => reason,
            None => format!("{code:?}"),
        }
    }

    /// Settings of any client: ours, overridden by the user's.
    pub(super) fn base(&self) -> ClientConfig {
        self.layered(&[], &Properties::new(), &[])
    }

    pub(super) fn consumer(&self, group: &str) -> ClientConfig {
        let ours = [
            ("session.timeout.ms", "30000"),
            // A silent connection stops the flow of a partition no longer than this.
            ("socket.timeout.ms", "10000"),
            ("max.poll.interval.ms", "120000"),
            ("queued.max.messages.kbytes", "16384"),
            ("queued.min.messages", "10000"),
            ("fetch.queue.backoff.ms", "5"),
        ];
        let fixed = [
            ("group.id", group),
            ("isolation.level", "read_committed"),
            ("enable.auto.commit", "false"),
            ("enable.auto.offset.store", "false"),
            ("auto.offset.reset", "error"),
            ("check.crcs", "true"),
        ];
        self.layered(&ours, &self.consumer, &fixed)
    }

    pub(super) fn producer(&self) -> ClientConfig {
        let ours = [("linger.ms", "5"), ("compression.type", "none")];
        let fixed = [("enable.idempotence", "true"), ("acks", "all"), ("delivery.report.only.error", "true")];
        self.layered(&ours, &self.producer, &fixed)
    }

    /// After this time the broker aborts a transaction itself.
    pub(super) fn transaction_timeout(&self) -> Duration {
        self.producer_time("transaction.timeout.ms", 15_000)
    }

    pub(super) fn producer_time(&self, key: &str, default_ms: u64) -> Duration {
        let set = self.producer.get(key).and_then(|ms| ms.parse().ok());
        Duration::from_millis(set.unwrap_or(default_ms))
    }

    /// Combines settings; later ones win: ours, the user's for all clients, the user's for this role,
    /// `fixed`.
    fn layered(&self, ours: &[(&str, &str)], role: &Properties, fixed: &[(&str, &str)]) -> ClientConfig {
        let mut config = ClientConfig::new();
        // librdkafka logs at this level that a connection closed while a request waited for its answer
        // (`Outages::logged`, `Heard::note`).
        config.set_log_level(RDKafkaLogLevel::Info);
        for (key, value) in ours {
            config.set(*key, *value);
        }
        config.extend(self.client.clone());
        config.extend(role.clone());
        self.login.configure(&mut config);
        // The lanes tell by it which members of their group are Hourseal.
        config.set("client.id", CLIENT_ID);
        config.set("bootstrap.servers", &self.bootstrap).set("allow.auto.create.topics", "false");
        for (key, value) in fixed {
            config.set(*key, *value);
        }
        if self.debug {
            config.set("debug", DEBUG).set_log_level(RDKafkaLogLevel::Debug);
        }
        config
    }
}

/// The parts of librdkafka that log at `log.level = "debug"`: connections, security, groups, topics and
/// transactions. The others would write a line for each request, or show a record.
const DEBUG: &str = "broker,security,cgrp,metadata,topic,admin,eos";

/// Logs one line of librdkafka, and remembers why a connection failed. The lines name brokers, topics and
/// numbers, never the content of a record.
pub(super) fn log_line(heard: &Heard, level: RDKafkaLogLevel, facility: &str, text: &str) {
    if facility == "FAIL" {
        heard.note(text, Instant::now());
    }
    let text = harmless(text);
    match level {
        RDKafkaLogLevel::Emerg
        | RDKafkaLogLevel::Alert
        | RDKafkaLogLevel::Critical
        | RDKafkaLogLevel::Error
        | RDKafkaLogLevel::Warning => warn!(codes::KAFKA_WARNS, facility, "kafka client: {text}"),
        RDKafkaLogLevel::Notice | RDKafkaLogLevel::Info | RDKafkaLogLevel::Debug => {
            debug!(codes::KAFKA_INFORMS, facility, "kafka client: {text}");
        }
    }
}

/// Whether an error means that an answer of the broker may still arrive.
pub(super) fn is_outage(error: &KafkaError) -> bool {
    matches!(
        error.rdkafka_error_code(),
        Some(
            RDKafkaErrorCode::BrokerTransportFailure
                | RDKafkaErrorCode::OperationTimedOut
                | RDKafkaErrorCode::AllBrokersDown
                | RDKafkaErrorCode::RequestTimedOut
        )
    )
}

/// Whether an error tells only that no broker answers, and not why.
fn is_away(code: RDKafkaErrorCode) -> bool {
    matches!(
        code,
        RDKafkaErrorCode::BrokerTransportFailure
            | RDKafkaErrorCode::OperationTimedOut
            | RDKafkaErrorCode::AllBrokersDown
            | RDKafkaErrorCode::RequestTimedOut
            | RDKafkaErrorCode::MessageTimedOut
            | RDKafkaErrorCode::TimedOutQueue
            | RDKafkaErrorCode::Resolve
            | RDKafkaErrorCode::SSL
            | RDKafkaErrorCode::Authentication
            | RDKafkaErrorCode::WaitingForCoordinator
    )
}

/// Converts an error of the safe API into one that [`crate::stream::fate()`] can decide on.
pub(super) fn stream_error(stage: Stage, error: &KafkaError) -> StreamError {
    match error {
        KafkaError::Transaction(inner) => StreamError {
            stage,
            class: classify(
                inner.code(),
                Flags {
                    fatal: inner.is_fatal(),
                    abortable: inner.txn_requires_abort(),
                    retriable: inner.is_retriable(),
                },
            ),
            name: inner.name(),
        },
        other => {
            let code = other.rdkafka_error_code().unwrap_or(RDKafkaErrorCode::Unknown);
            StreamError { stage, class: classify(code, Flags::default()), name: format!("{code:?}") }
        }
    }
}

/// The properties that librdkafka gives an error in addition to its code.
#[derive(Clone, Copy, Default)]
pub(super) struct Flags {
    pub(super) fatal: bool,
    pub(super) abortable: bool,
    pub(super) retriable: bool,
}

/// The class of an error. The order of the checks decides: first the codes about our identity, then those
/// about a record, then the flags.
pub(super) fn classify(code: RDKafkaErrorCode, flags: Flags) -> ErrorClass {
    use RDKafkaErrorCode as Code;
    match code {
        Code::FencedInstanceId => ErrorClass::FencedInstance,
        Code::Fenced | Code::ProducerFenced | Code::InvalidProducerEpoch if flags.fatal => ErrorClass::Fenced,
        Code::MessageSizeTooLarge
        | Code::InvalidMessage
        | Code::InvalidMessageSize
        | Code::InvalidRecord
        | Code::InvalidTimestamp
        | Code::MessageBatchTooLarge
            if !flags.fatal =>
        {
            ErrorClass::RecordRefused
        }
        Code::IllegalGeneration | Code::UnknownMemberId | Code::RebalanceInProgress if flags.abortable => {
            ErrorClass::Generation
        }
        _ if flags.abortable => ErrorClass::Abortable,
        _ if flags.retriable => ErrorClass::Retriable,
        _ if flags.fatal => ErrorClass::Fatal,
        _ => ErrorClass::Unflagged,
    }
}

/// Whether a broker answers a metadata request within 5 s, over a new connection.
pub fn answers(settings: &ClientSettings) -> bool {
    let client = settings.listener().reader(&settings.base());
    client.and_then(|client| client.fetch_metadata(None, Duration::from_secs(5)).map(drop)).is_ok()
}
