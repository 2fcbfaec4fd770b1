//! The parts of a process that exist before its store is open and its cluster answers: enough for the admin
//! port, for an orderly stop, and to report what it waits for.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::build::client_settings;
use crate::config::Config;
use crate::edge::kafka::{ClientSettings, Waiting};
use crate::forget::log::NewestCheckpoint;
use crate::stream::Stop;
use crate::telemetry::{Condition, Telemetry, codes, warn};

/// Shared by the process and its service.
#[derive(Clone)]
pub(super) struct Basis {
    pub(super) client: ClientSettings,
    pub(super) telemetry: Telemetry,
    /// The newest checkpoint, for `/checkpoint`.
    pub(super) newest: NewestCheckpoint,
    pub(super) stop: Stop,
    /// Unmet until the start has ended. It is gone then: only the threads' own conditions count.
    starting: Starting,
}

type Starting = Arc<Mutex<Option<Condition>>>;

impl Basis {
    /// For a command that tells itself what it waits for.
    pub(super) fn of(mut client: ClientSettings) -> Self {
        let stop = Stop::default();
        client.reach.stop = stop.clone();
        let (telemetry, newest) = (Telemetry::new(), NewestCheckpoint::default());
        Self { client, telemetry, newest, stop, starting: Starting::default() }
    }

    /// For a service: during the start, `/readyz` says what it waits for. So does one line of the log.
    pub(super) fn of_service(config: &Config) -> Self {
        let mut basis = Self::of(client_settings(config));
        let condition = basis.telemetry.readiness.condition("started");
        condition.unmet(STARTING);
        basis.starting = Arc::new(Mutex::new(Some(condition)));
        let (starting, is_logged) = (Arc::clone(&basis.starting), AtomicBool::new(false));
        let tell = move |waiting: Option<&Waiting>| {
            let why = waiting.map_or(STARTING.to_owned(), ToString::to_string);
            starting.lock().unwrap_or_else(PoisonError::into_inner).iter().for_each(|it| it.unmet(&*why));
            let is_reason = waiting.is_some_and(|waiting| waiting.why.is_some());
            if is_reason && !is_logged.swap(true, Ordering::Relaxed) {
                warn!(codes::KAFKA_AWAITED, "{why}");
            }
        };
        basis.client.reach.on_wait = Some(Arc::new(tell));
        basis
    }

    /// Ends the start. The threads have their own conditions by now.
    pub(super) fn started(&self) {
        *self.starting.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

const STARTING: &str = "the process starts";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Layers;

    fn why(basis: &Basis) -> Vec<String> {
        basis.telemetry.readiness.reasons().into_iter().map(|it| it.why).collect()
    }

    #[test]
    fn a_process_is_not_ready_before_its_start_has_ended() {
        let config = Config::load(&Layers { host: "h".to_owned(), cores: 1, ..Layers::default() });
        let basis = Basis::of_service(&config.expect("the defaults"));
        assert_eq!(why(&basis), [STARTING]);
        let tell = basis.client.reach.on_wait.clone().expect("a service reports");
        tell(Some(&Waiting { what: "waiting".to_owned(), why: Some("refused".to_owned()) }));
        assert_eq!(why(&basis), ["waiting: refused"]);
        tell(None);
        assert_eq!(why(&basis), [STARTING], "the cluster answers, and the threads have not started");
        let lane = basis.telemetry.readiness.condition("lane 0");
        basis.started();
        lane.met();
        assert!(why(&basis).is_empty());
        drop(lane);
        assert_eq!(why(&basis).len(), 1, "a process that stops is not ready");
    }
}
