//! The frame of a process that serves until it is stopped: the admin port, signals, the first fault, and an
//! orderly end.

use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::{Handle, Runtime};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;

use super::Failure;
use super::basis::Basis;
use super::reload::{Reload, Rereading};
use super::supervision::supervise;
use super::threads::{Settled, Threads, begin};
use crate::config::{Config, Control};
use crate::edge::http::AdminPort;
use crate::edge::supervisor::Supervisor;
use crate::stream::Halt;
use crate::telemetry::{REVISION, codes, end_log, error, info, warn};

/// After a signal, the longest time for the start to end. It may wait for a key store on a cluster.
const START_LIMIT: Duration = Duration::from_secs(10);

/// A process that serves until it is stopped.
pub(super) struct Service {
    listen: std::net::SocketAddr,
    pub(super) basis: Basis,
    reload: Reload,
    supervisor: Supervisor,
}

/// The surroundings of a process that serves. The command line provides them.
pub struct Host {
    pub rereading: Rereading,
    pub supervisor: Supervisor,
}

/// The result of the start.
type Started = Result<Threads, Failure>;

impl Service {
    /// Logs that the process starts. `control`: of a process that executes commands.
    pub(super) fn new(config: &Config, host: Host, control: Option<Control>) -> Self {
        let (version, revision) = (env!("CARGO_PKG_VERSION"), REVISION);
        info!(codes::STARTED, version, revision, instance = config.instance, "starting");
        let basis = Basis::of_service(config);
        Self {
            listen: config.admin.listen,
            reload: Reload::new(host.rereading, control, basis.client.login.clone()),
            basis,
            supervisor: host.supervisor,
        }
    }

    /// Listens for signals, opens the admin port, starts the threads, waits for a signal or the first fault,
    /// and ends in order. `start` may take its time: meanwhile the port answers, and a signal ends the
    /// process.
    ///
    /// # Errors
    /// The first fault, with its exit code.
    pub(super) fn run(
        self,
        runtime: Runtime,
        start: impl FnOnce(&Handle) -> Started + Send + 'static,
    ) -> Result<(), Failure> {
        let (signals, hangup) =
            runtime.block_on(async { Ok::<_, Failure>((Signals::listen()?, hangup()?)) })?;
        let Self { listen, basis, reload, supervisor } = self;
        let (telemetry, supervisor) = (basis.telemetry.clone(), Arc::new(supervisor));
        let supervising =
            supervise(Arc::clone(&supervisor), telemetry.readiness.clone(), basis.heart.clone());
        let port = runtime.block_on(AdminPort::open(listen, telemetry, basis.newest.clone()));
        let port = port.map_err(|error| {
            Failure::new(Failure::CONFIG, error.to_string())
                .hint("`admin.listen` sets the address; port 0 takes a free port and logs it")
        })?;
        let (stop_admin, mut stopped) = watch::channel(false);
        let mut admin = runtime.spawn(port.serve(async move { drop(stopped.changed().await) }));
        let supervising = runtime.spawn(supervising);
        let started = || {
            basis.started();
            supervisor.is_ready();
            runtime.spawn(reload.at_each(hangup, Arc::clone(&supervisor)))
        };
        let stopping = || {
            basis.stop.request();
            supervising.abort();
            supervisor.is_stopping();
        };
        let outcome = until_stopped(&runtime, signals, &mut admin, start, (started, stopping));
        // A closed channel stops the port as well.
        let _ = stop_admin.send(true);
        if !admin.is_finished() {
            let _ = runtime.block_on(admin);
        }
        runtime.shutdown_timeout(Duration::from_secs(2));
        outcome
    }
}

/// Starts the threads and waits for the first reason to end. A SIGHUP during the start is heard after it:
/// `started` returns the task that hears it.
fn until_stopped(
    runtime: &Runtime,
    mut signals: Signals,
    admin: &mut JoinHandle<()>,
    start: impl FnOnce(&Handle) -> Started + Send + 'static,
    (started, stopping): (impl FnOnce() -> JoinHandle<()>, impl FnOnce()),
) -> Result<(), Failure> {
    let handle = runtime.handle().clone();
    let mut starting = begin("start", move || start(&handle))?;
    let outcome = runtime.block_on(async {
        tokio::select! { () = signals.next() => None, outcome = &mut starting => Some(outcome) }
    });
    let Some(outcome) = outcome else {
        info!(codes::STOPPING, "stopping; the start had not ended");
        stopping();
        return stop_at_start(runtime, signals, starting);
    };
    let mut threads = outcome.unwrap_or(Err(Halt::Panicked.into()))?;
    let mut reloading = started();
    let fault = runtime.block_on(signals.or_fault(&mut threads, admin, &mut reloading));
    info!(codes::STOPPING, "stopping; batches in work are settled first");
    stopping();
    let at_once = runtime.spawn(signals.end_at_once());
    let settled = threads.settle();
    at_once.abort();
    reloading.abort();
    match fault {
        Some((thread, halt)) => Err(Failure::from(halt).of(&thread)),
        None => report(settled),
    }
}

/// Ends a process that a signal stops while it starts.
fn stop_at_start(
    runtime: &Runtime,
    signals: Signals,
    starting: oneshot::Receiver<Started>,
) -> Result<(), Failure> {
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

/// SIGHUP, which no longer ends the process.
fn hangup() -> Result<Signal, Failure> {
    signal(SignalKind::hangup()).map_err(deaf)
}

fn deaf(error: std::io::Error) -> Failure {
    Failure::new(Failure::BUG, format!("cannot listen for signals: {error}"))
}

impl Signals {
    fn listen() -> Result<Self, Failure> {
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
        reloading: &mut JoinHandle<()>,
    ) -> Option<(String, Halt)> {
        tokio::select! {
            () = self.next() => None,
            fault = threads.fault() => Some(fault),
            // Both last until the stop: an earlier end is a fault.
            _ = admin => Some(("the admin port".to_owned(), Halt::Panicked)),
            _ = reloading => Some(("the reading of settings".to_owned(), Halt::Panicked)),
        }
    }

    /// Ends the process at once at a second signal. Exactly-once makes that safe.
    async fn end_at_once(mut self) {
        self.next().await;
        error!(codes::STOPPED_AT_ONCE, "second signal: exiting at once");
        end_log();
        std::process::exit(i32::from(Failure::DEPENDENCY));
    }
}
