//! The reason why no broker answers, from librdkafka's own sentence.
//!
//! The sentences are those of librdkafka 2.12 (`rdkafka_broker.c`, `rdkafka_ssl.c`, `rdkafka_transport.c`).
//! Start at [`Reason::of`].

use std::fmt;

use super::kind::Kind;
use crate::model::printable;

/// A connection that is closed within this time after its first answer was not idle.
const SOON_MS: u32 = 2_000;
/// Longest sentence that is kept, in characters.
const LONGEST: usize = 400;

/// Part of a sentence, in lower case, and the kind that it shows. The first one that occurs decides.
const SIGNS: [(&str, Kind); 28] = [
    ("certificate verify failed", Kind::Certificate),
    ("connecting to a plaintext broker listener", Kind::TlsToPlaintext),
    ("wrong version number", Kind::TlsToPlaintext),
    ("packet length too long", Kind::TlsToPlaintext),
    ("http request", Kind::TlsToPlaintext),
    ("alert bad certificate", Kind::ClientCertificate),
    ("certificate required", Kind::ClientCertificate),
    ("alert unknown ca", Kind::ClientCertificate),
    ("alert certificate", Kind::ClientCertificate),
    ("alert unsupported certificate", Kind::ClientCertificate),
    ("client ssl authentication might be required", Kind::ClientCertificate),
    ("connecting to a ssl listener", Kind::ClosedAtFirst),
    ("might require sasl authentication", Kind::ClosedSoon),
    ("mechanism handshake failed", Kind::Mechanism),
    ("failed to resolve", Kind::NoAddress),
    ("host resolution failure", Kind::NoAddress),
    ("connection refused", Kind::Refused),
    ("connection setup timed out", Kind::NoRoute),
    ("no route to host", Kind::NoRoute),
    ("network is unreachable", Kind::NoRoute),
    ("connection timed out", Kind::NoRoute),
    ("invalid response size", Kind::NotKafka),
    ("apiversionrequest failed", Kind::NotKafka),
    ("sasl", Kind::Authentication),
    ("authentication fail", Kind::Authentication),
    ("disconnected", Kind::Closed),
    ("ssl transport error", Kind::Closed),
    ("ssl", Kind::Tls),
];

impl Kind {
    /// The broker's name in front, such as `sasl_ssl://kafka:9092/1`, shows nothing.
    fn of(sentence: &str) -> Option<Self> {
        let sentence = sentence.split_once(": ").map_or(sentence, |(_, after)| after).to_lowercase();
        SIGNS.iter().find(|(sign, _)| sentence.contains(sign)).map(|(_, kind)| *kind)
    }

    /// librdkafka says in which state the connection was, and for how long.
    fn in_state(self, state: &str, is_tls: bool) -> Self {
        match (self, state.split_once("ms in state ")) {
            (Self::Closed, Some((_, "APIVERSION_QUERY"))) if !is_tls => Self::ClosedAtFirst,
            (Self::Closed, Some((ms, "UP"))) if ms.parse::<u32>().is_ok_and(|it| it < SOON_MS) && !is_tls => {
                Self::ClosedSoon
            }
            _ => self,
        }
    }
}

/// A kind, and librdkafka's own sentence.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Reason {
    pub(super) kind: Kind,
    /// A part of it may come from the broker. It has no control characters.
    sentence: String,
}

impl Reason {
    /// `None` if the line of librdkafka's log tells nothing about a connection.
    pub(super) fn of(line: &str) -> Option<Self> {
        let (sentence, state) = parts(line);
        let kind = Kind::of(sentence)?.in_state(state, sentence.contains("ssl://"));
        Some(Self { kind, sentence: harmless(sentence) })
    }

    /// The address of the broker, if a broker advertised it. The name then ends with the broker's number.
    pub(super) fn learned_address(&self) -> Option<&str> {
        let (name, _) = self.sentence.split_once(": ")?;
        let (address, id) = name.rsplit("://").next()?.rsplit_once('/')?;
        id.parse::<u32>().is_ok().then_some(address)
    }

    pub(super) fn with(self, kind: Kind) -> Self {
        Self { kind, ..self }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.kind.text(), self.sentence)
    }
}

/// The sentence, without the name of the thread in front, and the state of the connection, such as
/// `3ms in state UP`.
fn parts(line: &str) -> (&str, &str) {
    let line = line.strip_prefix("[thrd:").and_then(|rest| Some(rest.split_once("]: ")?.1)).unwrap_or(line);
    let (sentence, state) = line.rsplit_once(" (after ").unwrap_or((line, ""));
    (sentence.trim(), state.split([')', ',']).next().unwrap_or_default())
}

/// A text that is safe to print, and not too long.
pub(super) fn harmless(text: &str) -> String {
    printable(&text.chars().take(LONGEST).collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Parts of lines as librdkafka 2.12 writes them against Kafka 4.3.
    const LINES: [(&str, Kind); 18] = [
        ("h:1/bootstrap: Connect to ipv4#127.0.0.1:1 failed: Connection refused", Kind::Refused),
        ("sasl_ssl://h:1/1: Connect to ipv4#127.0.0.1:1 failed: Connection refused", Kind::Refused),
        ("ssl.h:1/bootstrap: Failed to resolve 'ssl.h:1': Name or service not known", Kind::NoAddress),
        ("ssl://h:1/bootstrap: Connection setup timed out in state SSL_HANDSHAKE", Kind::NoRoute),
        ("h:1/bootstrap: Connect to ipv4#10.0.0.1:9092 failed: No route to host", Kind::NoRoute),
        ("h:1/1: Disconnected", Kind::Closed),
        ("h:1/1: Receive failed: Invalid response size 1213486160 (0..100000000)", Kind::NotKafka),
        ("h:1/1: ApiVersionRequest failed: Local: Timed out: probably due to", Kind::NotKafka),
        ("h:1/1: Disconnected: might be (connecting to a SSL listener?)", Kind::ClosedAtFirst),
        ("h:1/1: Disconnected: broker might require SASL authentication", Kind::ClosedSoon),
        (
            "ssl://h:1/1: SSL handshake failed: connecting to a PLAINTEXT broker listener?",
            Kind::TlsToPlaintext,
        ),
        ("ssl://h:1/1: SSL handshake failed: SSL routines::wrong version number", Kind::TlsToPlaintext),
        ("ssl://h:1/1: SSL handshake failed: certificate verify failed: broker", Kind::Certificate),
        ("ssl://h:1/1: Receive failed: ssl/tls alert bad certificate: SSL alert", Kind::ClientCertificate),
        ("ssl://h:1/1: Receive failed: tlsv13 alert certificate required: SSL", Kind::ClientCertificate),
        ("ssl://h:1/1: SSL handshake failed: ssl/tls alert handshake failure", Kind::Tls),
        ("sasl_ssl://h:1/1: SASL SCRAM-SHA-1 mechanism handshake failed: Broker:", Kind::Mechanism),
        ("sasl_ssl://h:1/1: SASL authentication error: Authentication failed during", Kind::Authentication),
    ];

    #[test]
    fn each_sentence_of_librdkafka_shows_its_kind() {
        for (line, kind) in LINES {
            let reason = Reason::of(&format!("[thrd:h:1/bootstrap]: {line} (after 3ms in state CONNECT)"));
            let reason = reason.unwrap_or_else(|| panic!("{line}"));
            assert_eq!(reason.kind, kind, "{line}");
            assert!(!reason.to_string().contains("thrd") && !reason.to_string().contains("(after"));
        }
    }

    #[test]
    fn the_state_of_a_closed_connection_shows_more() {
        let closed = "h:1/1: Disconnected: connection closed by peer: receive 0 after POLLIN";
        for (name, state, kind) in [
            ("", "1ms in state APIVERSION_QUERY", Kind::ClosedAtFirst),
            ("sasl_plaintext://", "1ms in state APIVERSION_QUERY, 2 identical", Kind::ClosedAtFirst),
            ("", "19ms in state UP", Kind::ClosedSoon),
            ("", "2000ms in state UP", Kind::Closed),
            ("ssl://", "1ms in state APIVERSION_QUERY", Kind::Closed),
            ("sasl_ssl://", "19ms in state UP", Kind::Closed),
            ("", "1ms in state AUTH_REQ", Kind::Closed),
        ] {
            let reason = Reason::of(&format!("{name}{closed} (after {state})")).expect("a reason");
            assert_eq!(reason.kind, kind, "{name} {state}");
        }
    }

    #[test]
    fn an_advertised_address_is_not_one_of_the_settings() {
        let learned = |name: &str| {
            let reason = Reason::of(&format!("{name}: Failed to resolve 'h:1': Name")).expect("a reason");
            reason.learned_address().map(str::to_owned)
        };
        assert_eq!(learned("sasl_ssl://h:1/7"), Some("h:1".to_owned()));
        assert_eq!(learned("h:1/bootstrap"), None);
        assert_eq!(learned("GroupCoordinator"), None);
    }

    #[test]
    fn a_line_about_something_else_is_no_reason() {
        for line in ["", "1/1 brokers are down", "group rebalanced", "h:9092/1: Metadata request sent"] {
            assert_eq!(Reason::of(line), None, "{line}");
        }
    }

    #[test]
    fn a_brokers_words_cannot_write_to_the_terminal() {
        let reason = Reason::of("h:1/1: SASL authentication error: \u{1b}[2Jgone\u{202e}\r\n\u{7}");
        let text = reason.expect("a reason").to_string();
        assert!(!text.chars().any(|c| c.is_control() || c == '\u{202e}'), "{text:?}");
        let long = Reason::of(&format!("h:1/1: Connection refused {}", "x".repeat(5_000))).expect("a reason");
        assert!(long.to_string().len() < 500);
    }
}
