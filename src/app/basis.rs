//! The parts of a process that exist before its store is open and its cluster answers: enough for the admin
//! port, for an orderly stop, and to say what it waits for.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::build::client_settings;
use crate::config::Config;
use crate::edge::kafka::{ClientSettings, Waiting};
use crate::forget::log::NewestCheckpoint;
use crate::stream::Stop;
use crate::telemetry::{Telemetry, codes, warn};

/// Shared by the process and its service.
#[derive(Clone)]
pub(super) struct Basis {
    pub(super) client: ClientSettings,
    pub(super) telemetry: Telemetry,
    /// The newest checkpoint, for `/checkpoint`.
    pub(super) newest: NewestCheckpoint,
    pub(super) stop: Stop,
}

impl Basis {
    /// For a command that tells itself what it waits for.
    pub(super) fn of(mut client: ClientSettings) -> Self {
        let stop = Stop::default();
        client.reach.stop = stop.clone();
        Self { client, telemetry: Telemetry::new(), newest: NewestCheckpoint::default(), stop }
    }

    /// For a service: until the cluster has answered, `/readyz` says why not. So does one line of the log.
    pub(super) fn of_service(config: &Config) -> Self {
        let mut basis = Self::of(client_settings(config));
        let condition = basis.telemetry.readiness.condition("kafka reached");
        let is_logged = AtomicBool::new(false);
        let tell = move |waiting: Option<&Waiting>| match waiting {
            None => condition.met(),
            Some(waiting) => {
                condition.unmet(waiting.to_string());
                if waiting.why.is_some() && !is_logged.swap(true, Ordering::Relaxed) {
                    warn!(codes::KAFKA_AWAITED, "{waiting}");
                }
            }
        };
        basis.client.reach.on_wait = Some(Arc::new(tell));
        basis
    }
}
