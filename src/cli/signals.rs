//! The signals that end a command in order: Ctrl-C, SIGTERM, and SIGHUP, which comes from a closed terminal.

use anyhow::Context as _;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::{Failure, runtime};
use crate::edge::process;
use crate::stream::Stop;

/// Returns a stop that the first signal requests. A second signal ends the process at once. Under `nohup`,
/// SIGHUP stays ignored.
pub fn stop() -> anyhow::Result<Stop> {
    let runtime = runtime::get()?;
    let signals = {
        let _on_its_driver = runtime.enter();
        Signals::listen().context("cannot listen for signals")?
    };
    let stop = Stop::default();
    runtime.spawn(signals.obey(stop.clone()));
    Ok(stop)
}

struct Signals {
    interrupt: Signal,
    terminate: Signal,
    /// `None` = ignored.
    hangup: Option<Signal>,
}

impl Signals {
    fn listen() -> std::io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: if process::ignores_hangup() { None } else { Some(signal(SignalKind::hangup())?) },
        })
    }

    async fn obey(mut self, stop: Stop) {
        self.next().await;
        stop.request();
        self.next().await;
        std::process::exit(i32::from(Failure::DEPENDENCY));
    }

    async fn next(&mut self) {
        let hangup = async {
            match &mut self.hangup {
                Some(hangup) => drop(hangup.recv().await),
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
            () = hangup => {}
        }
    }
}
