//! The wait for the first answer of the cluster. It ends with librdkafka's own reason if there is no answer.
//!
//! Promise: a cause that only a person can remove ends the wait within 5 s. Any other one ends it after
//! [`crate::stream::PATIENCE`]. A client learns the brokers' names from the bootstrap address. So the wait
//! also covers these names: a cluster whose names lead nowhere does not answer.
//! Start at [`ClientSettings::await_broker`]. `attempt.rs` waits; `reason.rs` tells the causes apart.

mod attempt;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use rdkafka::metadata::Metadata;

use self::attempt::Attempt;
use super::client::ClientSettings;
use super::kind::Kind;
use super::listener::Heard;
use super::login::TokenFault;
use super::reason::harmless;
use crate::stream::Stop;

/// More brokers are not tried.
const MOST_BROKERS: usize = 16;

/// Called again and again while the caller waits. `None`: a broker answers.
pub type OnWait = Arc<dyn Fn(Option<&Waiting>) + Send + Sync>;

/// A wait of more than a second, and its reason.
pub struct Waiting {
    pub what: String,
    /// `None` if the reason is not known yet.
    pub why: Option<String>,
}

impl fmt::Display for Waiting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)?;
        self.why.iter().try_for_each(|why| write!(f, ": {why}"))
    }
}

/// The wait for the first answer. Clones share whether there was one.
#[derive(Clone, Default)]
pub struct Reach {
    answered: Arc<AtomicBool>,
    /// The last reason that a client has heard.
    pub(super) heard: Heard,
    /// Ends the wait.
    pub stop: Stop,
    pub on_wait: Option<OnWait>,
}

/// Why no client can be used.
#[derive(Clone, Debug, thiserror::Error)]
pub enum NoBroker {
    #[error("the kafka client refuses its settings: {0}")]
    Settings(String),
    #[error("{0}")]
    Silent(Box<Silence>),
    #[error("{0}")]
    Token(Box<TokenFault>),
    #[error("stopped while waiting for kafka")]
    Stopped,
}

/// A cluster that does not answer.
#[derive(Clone, Debug, thiserror::Error)]
#[error("no answer from kafka at {bootstrap}: {why}")]
pub struct Silence {
    bootstrap: String,
    why: String,
    kind: Option<Kind>,
    /// The broker's own name leads nowhere.
    is_advertised: bool,
}

impl NoBroker {
    /// A request without an answer, after the first answer of the cluster.
    pub(super) fn silent(settings: &ClientSettings, why: String) -> Self {
        let kind =
            settings.reach.heard.last(Instant::now()).filter(|it| it.to_string() == why).map(|it| it.kind);
        Self::about(&settings.bootstrap, why, kind, false)
    }

    fn about(bootstrap: &str, why: String, kind: Option<Kind>, is_advertised: bool) -> Self {
        Self::Silent(Box::new(Silence { bootstrap: harmless(bootstrap), why, kind, is_advertised }))
    }

    /// Whether a person has to change something (exit code 78). Otherwise waiting may help (69).
    pub fn is_configuration(&self) -> bool {
        match self {
            Self::Settings(_) => true,
            Self::Silent(silence) => silence.kind.is_some_and(|it| is_lasting(it, silence.is_advertised)),
            Self::Token(fault) => fault.is_lasting,
            Self::Stopped => false,
        }
    }

    /// The action that the reader can take.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Settings(_) => "check [kafka.client], [kafka.consumer] and [kafka.producer]",
            Self::Silent(silence) => match (silence.kind, silence.is_advertised) {
                (Some(Kind::Refused | Kind::NoAddress | Kind::NoRoute), true) => {
                    "clients connect to the names in the brokers' `advertised.listeners`: correct them, or \
                     use another listener's address in `kafka.bootstrap`"
                }
                (Some(kind), _) => kind.hint(),
                (None, _) => "check that the broker runs and `kafka.bootstrap` names it",
            },
            Self::Token(fault) => fault.hint,
            Self::Stopped => "start it again",
        }
    }
}

/// Whether only a person can remove the cause. A broker that answers has a wrong name, not a slow start.
fn is_lasting(kind: Kind, is_advertised: bool) -> bool {
    kind.is_configuration() || (is_advertised && kind == Kind::NoAddress)
}

impl ClientSettings {
    /// Waits until a broker answers. Returns at once if one has answered before: later outages are each
    /// client's own matter.
    ///
    /// # Errors
    /// The cluster does not answer, or the wait was stopped.
    pub fn await_broker(&self) -> Result<(), NoBroker> {
        if self.reach.answered.load(Ordering::Acquire) {
            return Ok(());
        }
        let begun = Instant::now();
        self.login.await_token(self, begun)?;
        let metadata = Attempt::new(self, &self.bootstrap, None)?.run(begun)?;
        if let Some(advertised) = only_elsewhere(&self.bootstrap, &addresses(&metadata)) {
            Attempt::new(self, &advertised, Some(&advertised))?.run(begun)?;
        }
        self.reach.heard.forget();
        self.reach.answered.store(true, Ordering::Release);
        self.tell(None);
        Ok(())
    }

    pub(super) fn tell(&self, waiting: Option<&Waiting>) {
        self.reach.on_wait.iter().for_each(|tell| tell(waiting));
    }
}

/// The addresses that the brokers advertise.
fn addresses(metadata: &Metadata) -> Vec<String> {
    let address = |host: &str, port: i32| match host.contains(':') {
        true => format!("[{host}]:{port}"),
        false => format!("{host}:{port}"),
    };
    metadata.brokers().iter().take(MOST_BROKERS).map(|it| address(it.host(), it.port())).collect()
}

/// The advertised addresses as a list, if none of them is a bootstrap address.
fn only_elsewhere(bootstrap: &str, advertised: &[String]) -> Option<String> {
    let asked = |one: &str| one.trim().rsplit("://").next().unwrap_or_default().to_owned();
    let asked: Vec<String> = bootstrap.split(',').map(asked).collect();
    let is_new = !advertised.is_empty() && !advertised.iter().any(|it| asked.contains(it));
    is_new.then(|| advertised.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_advertised_address_is_tried_if_it_is_no_bootstrap_address() {
        let one = ["kafka:9092".to_owned()];
        let two = ["a:1".to_owned(), "[::1]:2".to_owned()];
        assert_eq!(only_elsewhere("lb:9092", &one), Some("kafka:9092".to_owned()));
        assert_eq!(only_elsewhere("lb:9092", &two), Some("a:1,[::1]:2".to_owned()));
        for same in ["kafka:9092", "PLAINTEXT://kafka:9092", "x:1, kafka:9092"] {
            assert_eq!(only_elsewhere(same, &one), None, "{same}");
        }
        assert_eq!(only_elsewhere("[::1]:2", &two), None);
        assert_eq!(only_elsewhere("lb:9092", &[]), None);
    }
}
