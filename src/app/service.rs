//! The frame of a process that serves until it is stopped: the admin port, signals, the first fault, and an
//! orderly end.

use std::time::Duration;

use tokio::runtime::Runtime;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::Failure;
use super::threads::{Settled, Threads};
use crate::edge::http::AdminPort;
use crate::forget::log::NewestCheckpoint;
use crate::stream::{Halt, Stop};
use crate::telemetry::{Telemetry, codes, error, info, warn};

/// A process that serves until it is stopped.
pub(super) struct Service {
    pub(super) listen: std::net::SocketAddr,
    pub(super) telemetry: Telemetry,
    /// For `/checkpoint`.
    pub(super) newest: NewestCheckpoint,
    pub(super) stop: Stop,
}

impl Service {
    /// Opens the admin port, starts the threads, waits for a signal or the first fault, and ends in order.
    ///
    /// # Errors
    /// The first fault, with its exit code.
    pub(super) fn run(
        self,
        runtime: Runtime,
        start: impl FnOnce(&Runtime) -> Result<Threads, Failure>,
    ) -> Result<(), Failure> {
        let port = AdminPort::open(self.listen, self.telemetry, self.newest);
        let port = runtime.block_on(port).map_err(|error| {
            Failure::new(Failure::CONFIG, error.to_string())
                .hint("`admin.listen` sets the address; port 0 takes a free port and logs it")
        })?;
        let (stop_admin, mut stopped) = watch::channel(false);
        let mut admin = runtime.spawn(port.serve(async move { drop(stopped.changed().await) }));
        let outcome = until_stopped(&runtime, &self.stop, &mut admin, start);
        // A closed channel stops the port as well.
        let _ = stop_admin.send(true);
        if !admin.is_finished() {
            let _ = runtime.block_on(admin);
        }
        runtime.shutdown_timeout(Duration::from_secs(2));
        outcome
    }
}

/// Starts the threads and waits for the first reason to end.
fn until_stopped(
    runtime: &Runtime,
    stop: &Stop,
    admin: &mut JoinHandle<()>,
    start: impl FnOnce(&Runtime) -> Result<Threads, Failure>,
) -> Result<(), Failure> {
    let mut signals = runtime.block_on(async { Signals::listen() })?;
    let mut threads = start(runtime)?;
    let fault = runtime.block_on(signals.or_fault(&mut threads, admin));
    info!(codes::STOPPING, "stopping; batches in work are settled first");
    stop.request();
    let at_once = runtime.spawn(signals.end_at_once());
    let settled = threads.settle();
    at_once.abort();
    match fault {
        Some((thread, halt)) => {
            error!(codes::GAVE_UP, thread, "{halt}");
            Err(halt.into())
        }
        None => report(settled),
    }
}

/// Reports the result of a stop without a fault.
fn report(settled: Settled) -> Result<(), Failure> {
    match settled {
        Settled::All => {
            info!(codes::STOPPED, "every batch is settled");
            Ok(())
        }
        Settled::Cancelled => {
            warn!(
                codes::STOPPED,
                "not every batch was settled in time; the next start reads those records again"
            );
            Ok(())
        }
        Settled::CommitUnknown => {
            Err(Failure::new(Failure::DEPENDENCY, "the broker did not answer a commit in time")
                .hint("nothing is lost: the next start asks the broker whether it was committed"))
        }
        Settled::Panicked => Err(Halt::Panicked.into()),
    }
}

/// SIGTERM and Ctrl-C.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn listen() -> Result<Self, Failure> {
        let deaf =
            |error: std::io::Error| Failure::new(Failure::BUG, format!("cannot listen for signals: {error}"));
        let terminate = signal(SignalKind::terminate()).map_err(deaf)?;
        let interrupt = signal(SignalKind::interrupt()).map_err(deaf)?;
        Ok(Self { terminate, interrupt })
    }

    async fn next(&mut self) {
        tokio::select! { _ = self.terminate.recv() => {}, _ = self.interrupt.recv() => {} }
    }

    /// Waits for a signal (`None`), or for the first thread that halts: its name and reason.
    async fn or_fault(
        &mut self,
        threads: &mut Threads,
        admin: &mut JoinHandle<()>,
    ) -> Option<(String, Halt)> {
        tokio::select! {
            () = self.next() => None,
            fault = threads.fault() => Some(fault),
            // The port serves until its stop: an earlier end is a fault.
            _ = admin => Some(("the admin port".to_owned(), Halt::Panicked)),
        }
    }

    /// Ends the process at once at a second signal. Exactly-once makes that safe.
    async fn end_at_once(mut self) {
        self.next().await;
        error!(codes::STOPPED_AT_ONCE, "second signal: exiting at once");
        std::process::exit(i32::from(Failure::DEPENDENCY));
    }
}
