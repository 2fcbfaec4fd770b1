//! The frame of a process that serves until it is stopped: the admin port, signals, the first fault, and an
//! orderly end.

use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Runtime;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;

use super::Failure;
use super::reload::{Reload, Rereading};
use super::supervision::{Heart, supervise};
use super::threads::{Settled, Threads};
use crate::edge::http::AdminPort;
use crate::edge::supervisor::Supervisor;
use crate::forget::log::NewestCheckpoint;
use crate::stream::{Halt, Stop};
use crate::telemetry::{Telemetry, codes, error, info, warn};

/// A process that serves until it is stopped.
pub(super) struct Service {
    pub(super) listen: std::net::SocketAddr,
    pub(super) frame: Frame,
    pub(super) reload: Reload,
    pub(super) supervisor: Supervisor,
}

/// The surroundings of a process that serves. The command line provides them.
pub struct Host {
    pub rereading: Rereading,
    pub supervisor: Supervisor,
}

/// The parts that exist before the start. The process shares them with its frame.
#[derive(Clone, Default)]
pub(super) struct Frame {
    pub(super) telemetry: Telemetry,
    /// For `/checkpoint`.
    pub(super) newest: NewestCheckpoint,
    pub(super) stop: Stop,
    pub(super) heart: Heart,
}

impl Service {
    /// Listens for signals, opens the admin port, starts the threads, waits for a signal or the first fault,
    /// and ends in order.
    ///
    /// # Errors
    /// The first fault, with its exit code.
    pub(super) fn run(
        self,
        runtime: Runtime,
        start: impl FnOnce(&Runtime) -> Result<Threads, Failure> + Send,
    ) -> Result<(), Failure> {
        let (signals, hangup) =
            runtime.block_on(async { Ok::<_, Failure>((Signals::listen()?, hangup()?)) })?;
        let Self { listen, frame, reload, supervisor } = self;
        let Frame { telemetry, newest, stop, heart } = frame;
        let (readiness, supervisor) = (telemetry.readiness.clone(), Arc::new(supervisor));
        let port = AdminPort::open(listen, telemetry, newest);
        let port = runtime.block_on(port).map_err(|error| {
            Failure::new(Failure::CONFIG, error.to_string())
                .hint("`admin.listen` sets the address; port 0 takes a free port and logs it")
        })?;
        let (stop_admin, mut stopped) = watch::channel(false);
        let mut admin = runtime.spawn(port.serve(async move { drop(stopped.changed().await) }));
        let supervising = runtime.spawn(supervise(Arc::clone(&supervisor), readiness.clone(), heart));
        let started = |signals: &mut Signals| {
            let threads = started(&runtime, signals, start)?;
            readiness.start_is_over();
            supervisor.is_ready();
            Ok((threads, runtime.spawn(reload.at_each(hangup, Arc::clone(&supervisor)))))
        };
        let stopping = || {
            stop.request();
            supervising.abort();
            supervisor.is_stopping();
        };
        let outcome = until_stopped(&runtime, signals, &mut admin, started, stopping);
        // A closed channel stops the port as well.
        let _ = stop_admin.send(true);
        if !admin.is_finished() {
            let _ = runtime.block_on(admin);
        }
        runtime.shutdown_timeout(Duration::from_secs(2));
        outcome
    }
}

/// Starts the threads and waits for the first reason to end. A SIGHUP during the start is heard after it.
/// `start` returns the task that hears it.
fn until_stopped(
    runtime: &Runtime,
    mut signals: Signals,
    admin: &mut JoinHandle<()>,
    start: impl FnOnce(&mut Signals) -> Result<(Threads, JoinHandle<()>), Failure>,
    stopping: impl FnOnce(),
) -> Result<(), Failure> {
    let (mut threads, mut reloading) = start(&mut signals)?;
    let fault = runtime.block_on(signals.or_fault(&mut threads, admin, &mut reloading));
    info!(codes::STOPPING, "stopping; batches in work are settled first");
    stopping();
    let at_once = runtime.spawn(signals.end_at_once());
    let settled = threads.settle();
    at_once.abort();
    reloading.abort();
    match fault {
        Some((thread, halt)) => {
            error!(codes::GAVE_UP, thread, "{halt}");
            Err(halt.into())
        }
        None => report(settled),
    }
}

/// Starts the threads, on a thread of its own: signals are heard meanwhile. A signal then ends the process at
/// once, because no batch is in work.
fn started(
    runtime: &Runtime,
    signals: &mut Signals,
    start: impl FnOnce(&Runtime) -> Result<Threads, Failure> + Send,
) -> Result<Threads, Failure> {
    let (send, outcome) = oneshot::channel();
    std::thread::scope(|scope| {
        let thread = scope.spawn(move || drop(send.send(start(runtime))));
        let started = runtime.block_on(async {
            tokio::select! {
                started = outcome => started,
                () = signals.next() => {
                    info!(codes::STOPPED, "a signal has ended the process before it began its work");
                    std::process::exit(0);
                }
            }
        });
        started.unwrap_or_else(|_| {
            // The panic has printed its reason.
            let _ = thread.join();
            Err(Halt::Panicked.into())
        })
    })
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
        std::process::exit(i32::from(Failure::DEPENDENCY));
    }
}
