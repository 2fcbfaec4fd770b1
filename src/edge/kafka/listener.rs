//! Listens to librdkafka's log. All clients of the cluster share the last reason why a connection failed.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rdkafka::ClientConfig;
use rdkafka::ClientContext;
use rdkafka::config::{FromClientConfigAndContext as _, RDKafkaLogLevel};
use rdkafka::consumer::{BaseConsumer, ConsumerContext};
use rdkafka::error::{KafkaError, KafkaResult};

use super::client::log_line;
use super::ffi::{Deliveries, Held};
use super::login::Login;
use super::reason::Reason;

/// Time for which a reason explains an error. librdkafka repeats the same sentence each 30 s.
const EXPLAINS: Duration = Duration::from_secs(60);

/// Events that [`serve`] reads.
const MOST_EVENTS: usize = 32;

/// The last reason that a client of the cluster has heard.
#[derive(Clone, Default)]
pub(super) struct Heard(Arc<Mutex<Option<(Instant, Reason)>>>);

impl Heard {
    fn lock(&self) -> MutexGuard<'_, Option<(Instant, Reason)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes the reason in a line of librdkafka's log, if it has one.
    pub(super) fn note(&self, line: &str, now: Instant) {
        let Some(reason) = Reason::of(line) else { return };
        let mut last = self.lock();
        // A closed connection follows other failures, and tells less.
        let tells_more = |(at, before): &(Instant, Reason)| {
            reason.kind.is_closed() && !before.kind.is_closed() && now.duration_since(*at) < EXPLAINS
        };
        if !last.as_ref().is_some_and(tells_more) {
            *last = Some((now, reason));
        }
    }

    /// The last reason, unless it is too old.
    pub(super) fn last(&self, now: Instant) -> Option<Reason> {
        self.lock().as_ref().filter(|(at, _)| now.duration_since(*at) < EXPLAINS).map(|(_, it)| it.clone())
    }

    /// A broker answers: what was heard before explains nothing more.
    pub(super) fn forget(&self) {
        *self.lock() = None;
    }
}

/// The context of a client that needs no other one. Each call returns its own error; error events only
/// repeat a line of the log.
#[derive(Clone, Default)]
pub(super) struct Listener {
    heard: Heard,
    login: Login,
}

/// A client that asks, and joins no group.
pub(super) type AskingClient = Held<BaseConsumer<Listener>>;

impl Listener {
    pub(super) fn new(heard: &Heard, login: &Login) -> Self {
        Self { heard: heard.clone(), login: login.clone() }
    }

    /// A client that asks, and joins no group. It hears only while it is polled.
    ///
    /// # Errors
    /// librdkafka refuses a setting.
    pub(super) fn reader(self, config: &ClientConfig) -> KafkaResult<AskingClient> {
        let login = self.login.clone();
        Ok(Held::new(&login, BaseConsumer::from_config_and_context(config, self)?))
    }
}

impl ClientContext for Listener {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, text: &str) {
        log_line(&self.heard, level, facility, text);
    }

    fn error(&self, _error: KafkaError, _reason: &str) {}
}

impl ConsumerContext for Listener {}

impl Deliveries for Listener {
    fn refused(&self, _place: usize) {}
}

/// Reads what a client has to say, for a client that nobody polls.
pub(super) fn serve(client: &BaseConsumer<Listener>) {
    // Each call reads one event, and returns nothing for a line of the log.
    for _ in 0..MOST_EVENTS {
        let _ = client.poll(Duration::ZERO);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::edge::kafka::kind::Kind;

    const REFUSED: &str = "127.0.0.1:1/bootstrap: Connect to ipv4#127.0.0.1:1 failed: Connection refused";
    const CLOSED: &str = "127.0.0.1:1/1: Disconnected (after 5000ms in state UP)";

    #[test]
    fn the_last_reason_explains_for_a_minute() {
        let (heard, now) = (Heard::default(), Instant::now());
        assert_eq!(heard.last(now), None);
        heard.note(REFUSED, now);
        assert_eq!(heard.clone().last(now).map(|it| it.kind), Some(Kind::Refused));
        assert_eq!(heard.last(now + EXPLAINS), None);
        heard.forget();
        assert_eq!(heard.last(now), None);
    }

    #[test]
    fn a_closed_connection_does_not_hide_why() {
        let (heard, now) = (Heard::default(), Instant::now());
        heard.note(CLOSED, now);
        heard.note(REFUSED, now);
        heard.note(CLOSED, now);
        assert_eq!(heard.last(now).map(|it| it.kind), Some(Kind::Refused));
        heard.note(CLOSED, now + EXPLAINS);
        assert_eq!(heard.last(now + EXPLAINS).map(|it| it.kind), Some(Kind::Closed));
    }
}
