//! The frame of a process that serves until it is stopped: the admin port, signals, the first fault, and an
//! orderly end.

use std::time::Duration;

use tokio::runtime::{Handle, Runtime};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;

use super::Failure;
use super::basis::Basis;
use super::threads::{Settled, Threads, begin};
use crate::edge::http::AdminPort;
use crate::stream::{Halt, Stop};
use crate::telemetry::{codes, error, info, warn};

/// After a signal, the longest time for the start to end. It may wait for a key store on a cluster.
const START_LIMIT: Duration = Duration::from_secs(10);

/// A process that serves until it is stopped.
pub(super) struct Service {
    pub(super) listen: std::net::SocketAddr,
    pub(super) basis: Basis,
}

impl Service {
    /// Opens the admin port, starts the threads, waits for a signal or the first fault, and ends in order.
    /// `start` may take its time: meanwhile the port answers, and a signal ends the process.
    ///
    /// # Errors
    /// The first fault, with its exit code.
    pub(super) fn run(
        self,
        runtime: Runtime,
        start: impl FnOnce(&Handle) -> Result<Threads, Failure> + Send + 'static,
    ) -> Result<(), Failure> {
        let Basis { telemetry, newest, stop, .. } = self.basis;
        let port = AdminPort::open(self.listen, telemetry, newest);
        let port = runtime.block_on(port).map_err(|error| {
            Failure::new(Failure::CONFIG, error.to_string())
                .hint("`admin.listen` sets the address; port 0 takes a free port and logs it")
        })?;
        let (stop_admin, mut stopped) = watch::channel(false);
        let mut admin = runtime.spawn(port.serve(async move { drop(stopped.changed().await) }));
        let outcome = until_stopped(&runtime, &stop, &mut admin, start);
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
    start: impl FnOnce(&Handle) -> Result<Threads, Failure> + Send + 'static,
) -> Result<(), Failure> {
    let mut signals = runtime.block_on(async { Signals::listen() })?;
    let handle = runtime.handle().clone();
    let mut starting = begin("start", move || start(&handle))?;
    let started = runtime.block_on(async {
        tokio::select! { () = signals.next() => None, started = &mut starting => Some(started) }
    });
    let mut threads = match started {
        Some(started) => started.unwrap_or(Err(Halt::Panicked.into()))?,
        None => return stop_at_start(runtime, stop, signals, starting),
    };
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

/// Ends a process that a signal stops while it starts.
fn stop_at_start(
    runtime: &Runtime,
    stop: &Stop,
    signals: Signals,
    starting: oneshot::Receiver<Result<Threads, Failure>>,
) -> Result<(), Failure> {
    info!(codes::STOPPING, "stopping; the start had not ended");
    stop.request();
    let at_once = runtime.spawn(signals.end_at_once());
    let started = runtime.block_on(async { tokio::time::timeout(START_LIMIT, starting).await });
    let settled = match started {
        Ok(Ok(Ok(threads))) => threads.settle(),
        // Whatever the start failed with, it was asked to end.
        Ok(Ok(Err(_))) => Settled::All,
        Ok(Err(_)) => Settled::Panicked,
        Err(_) => Settled::Cancelled,
    };
    at_once.abort();
    report(settled)
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
