//! One try to get an answer: asks until a broker answers, or until the cause is certain.

use std::time::{Duration, Instant};

use rdkafka::consumer::Consumer as _;
use rdkafka::metadata::Metadata;

use super::{NoBroker, Waiting, is_lasting, only_elsewhere};
use crate::edge::kafka::client::ClientSettings;
use crate::edge::kafka::kind::Kind;
use crate::edge::kafka::listener::{AskingClient, Heard, Listener};
use crate::edge::kafka::reason::{Reason, harmless};
use crate::stream::PATIENCE;

/// The time-outs of the requests, one after the other; the last one repeats. An answer that is later than its
/// time-out is lost.
const STEPS: [Duration; 5] = [
    Duration::from_millis(250),
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(5),
];
/// Time to serve librdkafka's events after a request.
const SERVE: Duration = Duration::from_millis(50);
/// Time until the caller learns that it waits.
const SHOWN: Duration = Duration::from_secs(1);
/// Time for another bootstrap address to answer, if one is known not to.
const OTHERS: Duration = Duration::from_secs(2);
/// Time until a cause is believed that a starting broker may show, too.
const GUESS: Duration = Duration::from_secs(3);
/// Longest time of a second look, which tells two causes apart.
const SECOND_LOOK: Duration = Duration::from_secs(2);
/// Decides whether the wait ends without an answer. `known`: the time since the reason was first heard.
fn gives_up(kind: Option<(Kind, Duration)>, waited: Duration, several: bool, is_advertised: bool) -> bool {
    let is_certain = |(kind, known): (Kind, Duration)| match kind {
        Kind::ClosedSoon => known >= GUESS,
        _ if is_advertised => is_lasting(kind, true) && waited >= GUESS,
        _ if several => is_lasting(kind, false) && known >= OTHERS,
        _ => is_lasting(kind, false),
    };
    kind.is_some_and(is_certain) || waited >= PATIENCE
}

fn explain(advertised: Option<&str>, why: &str) -> String {
    match advertised {
        Some(name) => format!("the broker's advertised address {}: {why}", harmless(name)),
        None => why.to_owned(),
    }
}

/// A client that asks for the list of brokers until one answers.
pub(super) struct Attempt<'a> {
    settings: &'a ClientSettings,
    servers: &'a str,
    advertised: Option<&'a str>,
    heard: Heard,
    client: AskingClient,
}

impl<'a> Attempt<'a> {
    pub(super) fn new(
        settings: &'a ClientSettings,
        servers: &'a str,
        advertised: Option<&'a str>,
    ) -> Result<Self, NoBroker> {
        Self::with(settings, servers, advertised, &[])
    }

    fn with(
        settings: &'a ClientSettings,
        servers: &'a str,
        advertised: Option<&'a str>,
        further: &[(&str, &str)],
    ) -> Result<Self, NoBroker> {
        let mut config = settings.base();
        // A program that does not speak Kafka may say nothing.
        config.set("bootstrap.servers", servers).set("api.version.request.timeout.ms", "3000");
        for (key, value) in further {
            config.set(*key, *value);
        }
        let heard = Heard::default();
        let client = Listener::new(&heard, &settings.login).reader(&config);
        let client = client.map_err(|error| NoBroker::Settings(harmless(&error.to_string())))?;
        Ok(Self { settings, servers, advertised, heard, client })
    }

    /// Asks once, and serves what the client has heard meanwhile.
    fn ask(&self, wait: Duration) -> Option<Metadata> {
        let answer = self.client.fetch_metadata(None, wait).ok();
        let until = Instant::now() + SERVE;
        while answer.is_none() && Instant::now() < until {
            let _ = self.client.poll(SERVE / 5);
        }
        answer
    }

    /// Asks until there is an answer. `begun`: since when the caller waits.
    ///
    /// # Errors
    /// [`NoBroker::Silent`], or [`NoBroker::Stopped`].
    pub(super) fn run(&self, begun: Instant) -> Result<Metadata, NoBroker> {
        let several = self.servers.contains(',');
        let mut known: Option<(Kind, Instant)> = None;
        let mut is_tls: Option<bool> = None;
        let mut steps = STEPS.into_iter();
        loop {
            if self.settings.reach.stop.requested() {
                return Err(NoBroker::Stopped);
            }
            let left = PATIENCE.saturating_sub(begun.elapsed()).max(STEPS[0]);
            if let Some(metadata) = self.ask(steps.next().unwrap_or(STEPS[4]).min(left)) {
                return Ok(metadata);
            }
            let reason = self.heard.last(Instant::now()).map(|reason| match reason.kind {
                Kind::ClosedAtFirst if *is_tls.get_or_insert_with(|| self.is_tls()) => {
                    reason.with(Kind::PlaintextToTls)
                }
                _ => reason,
            });
            let now = Instant::now();
            if known.map(|(kind, _)| kind) != reason.as_ref().map(|it| it.kind) {
                known = reason.as_ref().map(|it| (it.kind, now));
            }
            let (kind, waited) = (known.map(|(kind, at)| (kind, now - at)), now - begun);
            let advertised = self.advertised(reason.as_ref());
            if gives_up(kind, waited, several, advertised.is_some()) {
                return Err(self.give_up(reason, advertised.as_deref()));
            }
            if waited >= SHOWN {
                let what = format!("waiting for kafka at {}", harmless(&self.settings.bootstrap));
                let why = reason.map(|reason| explain(advertised.as_deref(), &reason.to_string()));
                self.settings.tell(Some(&Waiting { what, why }));
            }
        }
    }

    /// The address that the broker advertises, if this address is what fails.
    fn advertised(&self, reason: Option<&Reason>) -> Option<String> {
        let learned = reason.and_then(Reason::learned_address).map(str::to_owned);
        let learned = learned.and_then(|address| only_elsewhere(self.servers, &[address]));
        self.advertised.map(str::to_owned).or(learned)
    }

    fn give_up(&self, reason: Option<Reason>, advertised: Option<&str>) -> NoBroker {
        let reason = match reason {
            Some(reason) if reason.kind == Kind::Certificate && self.is_host_name() => {
                Some(reason.with(Kind::HostName))
            }
            Some(reason) if reason.kind == Kind::ClosedSoon => Some(reason.with(Kind::SaslRequired)),
            reason => reason,
        };
        let silent = || format!("silence for {} s", PATIENCE.as_secs());
        let why = reason.as_ref().map_or_else(silent, ToString::to_string);
        let kind = reason.map(|it| it.kind);
        NoBroker::about(&self.settings.bootstrap, explain(advertised, &why), kind, advertised.is_some())
    }

    /// Whether the broker's certificate is refused because of its name. librdkafka does not tell. A client
    /// that does not compare the name then gets further.
    fn is_host_name(&self) -> bool {
        match self.look_again(("ssl.endpoint.identification.algorithm", "none")) {
            Some(Err(kind)) => kind.is_closed() || kind == Kind::ClientCertificate,
            answered => answered.is_some(),
        }
    }

    /// Whether the port that closes plaintext connections speaks TLS.
    fn is_tls(&self) -> bool {
        match self.look_again(("enable.ssl.certificate.verification", "false")) {
            Some(Err(kind)) => {
                kind.is_closed() || matches!(kind, Kind::ClientCertificate | Kind::Certificate | Kind::Tls)
            }
            answered => answered.is_some(),
        }
    }

    /// Tries with TLS and one more setting. It never uses SASL, so no password goes to a broker that is not
    /// verified. `None`: nothing was heard.
    fn look_again(&self, setting: (&str, &str)) -> Option<Result<(), Kind>> {
        let further = [setting, ("security.protocol", "ssl")];
        let second = Self::with(self.settings, self.servers, self.advertised, &further).ok()?;
        let begun = Instant::now();
        while begun.elapsed() < SECOND_LOOK {
            if second.ask(STEPS[0]).is_some() {
                return Some(Ok(()));
            }
            if let Some(reason) = second.heard.last(Instant::now()) {
                return Some(Err(reason.kind));
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Duration = Duration::ZERO;

    #[test]
    fn a_certain_cause_ends_the_wait_and_a_broker_that_is_away_does_not() {
        for kind in [Kind::Certificate, Kind::Authentication, Kind::PlaintextToTls, Kind::TlsToPlaintext] {
            assert!(gives_up(Some((kind, NOW)), NOW, false, false), "{kind:?}");
            assert!(!gives_up(Some((kind, NOW)), NOW, true, false), "{kind:?}: another address may answer");
            assert!(gives_up(Some((kind, OTHERS)), OTHERS, true, false), "{kind:?}");
        }
        for kind in [Kind::Refused, Kind::NoAddress, Kind::NoRoute, Kind::Closed, Kind::NotKafka] {
            assert!(!gives_up(Some((kind, GUESS)), PATIENCE - OTHERS, false, false), "{kind:?}");
            assert!(gives_up(Some((kind, GUESS)), PATIENCE, false, false), "{kind:?}");
        }
        assert!(!gives_up(None, GUESS, false, false) && gives_up(None, PATIENCE, false, false));
    }

    #[test]
    fn a_cause_that_a_starting_broker_may_show_is_believed_if_it_stays() {
        assert!(!gives_up(Some((Kind::ClosedSoon, NOW)), GUESS, false, false));
        assert!(gives_up(Some((Kind::ClosedSoon, GUESS)), GUESS, false, false));
        assert!(!gives_up(Some((Kind::ClosedAtFirst, GUESS)), GUESS, false, false));
    }

    #[test]
    fn an_advertised_name_without_an_address_is_a_mistake_and_a_bootstrap_name_may_come() {
        assert!(gives_up(Some((Kind::NoAddress, GUESS)), GUESS, false, true));
        assert!(!gives_up(Some((Kind::Refused, GUESS)), GUESS, false, true));
        assert!(is_lasting(Kind::NoAddress, true) && !is_lasting(Kind::NoAddress, false));
    }
}
