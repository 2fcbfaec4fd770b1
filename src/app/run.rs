//! `hourseal run`: build everything, start the threads, wait for the stop or the first fault, end in order.

use std::time::Duration;

use tokio::runtime::Runtime;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::process::Process;
use super::threads::{Settled, Threads};
use super::{Failure, build};
use crate::config::Config;
use crate::edge::http::AdminPort;
use crate::stream::Halt;
use crate::telemetry::{codes, error, info, warn};

/// What the command line adds to the settings.
#[derive(Clone, Copy, Default, Debug)]
pub struct RunOptions {
    /// Go on at the log's start where committed offsets are missing or out of range.
    pub accept_gap: bool,
}

/// Runs until a signal or a fault.
///
/// # Errors
/// The first fault, with its exit code.
pub fn run(config: &Config, options: RunOptions) -> Result<(), Failure> {
    info!(codes::STARTED, version = env!("CARGO_PKG_VERSION"), instance = config.instance, "starting");
    let runtime = build::runtime()?;
    let process = Process::for_run(config, options, &runtime, true)?;
    let port = runtime.block_on(AdminPort::open(
        config.admin.listen,
        process.telemetry.clone(),
        process.newest.clone(),
    ));
    let port = port.map_err(|error| {
        Failure::new(Failure::CONFIG, error.to_string())
            .hint("`admin.listen` says where; port 0 takes any free one and logs it")
    })?;
    let (stop_admin, mut stopped) = watch::channel(false);
    let mut admin = runtime.spawn(port.serve(async move { drop(stopped.changed().await) }));
    let outcome = live(&process, &runtime, &mut admin);
    // A closed channel stops the port as well.
    let _ = stop_admin.send(true);
    if !admin.is_finished() {
        let _ = runtime.block_on(admin);
    }
    runtime.shutdown_timeout(Duration::from_secs(2));
    outcome
}

/// Starts the threads and waits for the first reason to end.
fn live(process: &Process, runtime: &Runtime, admin: &mut JoinHandle<()>) -> Result<(), Failure> {
    let mut signals = runtime.block_on(async { Signals::listen() })?;
    let mut threads = process.start(runtime, &|_| None)?;
    info!(codes::RUNNING, lanes = process.config.lane.count, "sealing");
    let fault = runtime.block_on(signals.or_fault(&mut threads, admin));
    info!(codes::STOPPING, "stopping: batches at hand are settled");
    process.stop.request();
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

/// What a stop without a fault comes to.
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
            |error: std::io::Error| Failure::new(Failure::BUG, format!("cannot hear signals: {error}"));
        let terminate = signal(SignalKind::terminate()).map_err(deaf)?;
        let interrupt = signal(SignalKind::interrupt()).map_err(deaf)?;
        Ok(Self { terminate, interrupt })
    }

    async fn next(&mut self) {
        tokio::select! { _ = self.terminate.recv() => {}, _ = self.interrupt.recv() => {} }
    }

    /// Waits for a signal (`None`), or for the first thread that halts: its name and why.
    async fn or_fault(
        &mut self,
        threads: &mut Threads,
        admin: &mut JoinHandle<()>,
    ) -> Option<(String, Halt)> {
        tokio::select! {
            () = self.next() => None,
            fault = threads.fault() => Some(fault),
            // It serves until it is told to stop.
            _ = admin => Some(("the admin port".to_owned(), Halt::Panicked)),
        }
    }

    /// A second signal ends the process at once, which exactly-once makes safe.
    async fn end_at_once(mut self) {
        self.next().await;
        error!(codes::STOPPED_AT_ONCE, "second signal: ending at once");
        std::process::exit(i32::from(Failure::DEPENDENCY));
    }
}
