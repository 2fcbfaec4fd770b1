//! The parts of a process that exist before its store is open and its cluster answers: enough for the admin
//! port, for an orderly stop, and to report what it waits for.

use std::sync::Arc;

use tokio::runtime::Handle;

use super::starting::Starting;
use super::supervision::Heart;
use super::{Failure, Foundation, Opening, build};
use crate::config::Config;
use crate::edge::kafka::ClientSettings;
use crate::forget::log::NewestCheckpoint;
use crate::keys::StoreError;
use crate::stream::Stop;
use crate::telemetry::Telemetry;

/// Shared by the process and its service.
#[derive(Clone)]
pub(super) struct Basis {
    pub(super) client: ClientSettings,
    pub(super) telemetry: Telemetry,
    /// The newest checkpoint, for `/checkpoint`.
    pub(super) newest: NewestCheckpoint,
    pub(super) stop: Stop,
    pub(super) heart: Heart,
    pub(super) starting: Starting,
}

impl Basis {
    /// For a command that tells itself what it waits for.
    pub(super) fn of(mut client: ClientSettings) -> Self {
        let stop = Stop::default();
        client.reach.stop = stop.clone();
        let (telemetry, newest) = (Telemetry::new(), NewestCheckpoint::default());
        Self { client, telemetry, newest, stop, heart: Heart::default(), starting: Starting::default() }
    }

    /// For a service: during the start, `/readyz` and the log say what it waits for.
    pub(super) fn of_service(config: &Config) -> Self {
        let mut basis = Self::of(build::client_settings(config));
        let starting = Starting::of(&basis.telemetry);
        basis.starting = starting.clone();
        basis.client.reach.on_wait = Some(Arc::new(move |waiting| starting.waits_for_kafka(waiting)));
        basis
    }

    /// Opens store and vault (`create`: creates their missing parts), and says why it has to wait.
    ///
    /// # Errors
    /// Those of [`build::open_foundation`].
    pub(super) fn open(
        &self,
        config: &Config,
        runtime: &Handle,
        create: bool,
    ) -> Result<Foundation, Failure> {
        let waits = |why: &StoreError| self.starting.waits_for_the_store(why);
        let (clock, registry) = (build::system_clock(), &self.telemetry.registry);
        let opening = Opening { clock, create, runtime, registry, waits: &waits, stop: &self.stop };
        build::open_foundation(config, opening)
    }

    /// Ends the start. The threads have their own conditions by now.
    pub(super) fn started(&self) {
        self.starting.is_over();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Layers;
    use crate::edge::kafka::Waiting;

    fn why(basis: &Basis) -> Vec<String> {
        basis.telemetry.readiness.reasons().into_iter().map(|it| it.why).collect()
    }

    #[test]
    fn a_process_is_not_ready_before_its_start_has_ended() {
        let config = Config::load(&Layers { host: "h".to_owned(), cores: 1, ..Layers::default() });
        let basis = Basis::of_service(&config.expect("the defaults"));
        assert_eq!(why(&basis), ["the key store is being opened"]);
        basis.starting.waits_for_the_store(&StoreError::Unavailable("locked".to_owned()));
        assert_eq!(why(&basis), ["the key store is unavailable: locked"]);
        basis.starting.at("next");
        let tell = basis.client.reach.on_wait.clone().expect("a service reports");
        tell(Some(&Waiting { what: "waiting".to_owned(), why: Some("refused".to_owned()) }));
        assert_eq!(why(&basis), ["waiting: refused"]);
        tell(None);
        assert_eq!(why(&basis), ["next"], "the cluster answers, and the threads have not started");
        let lane = basis.telemetry.readiness.condition("lane 0");
        basis.started();
        lane.met();
        assert!(why(&basis).is_empty() && basis.telemetry.readiness.has_started());
        tell(None);
        assert!(why(&basis).is_empty(), "the start is over");
        drop(lane);
        assert_eq!(why(&basis).len(), 1, "a process that stops is not ready");
    }
}
