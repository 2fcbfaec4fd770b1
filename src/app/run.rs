//! `hourseal run`: the worker.

use super::process::Process;
use super::service::{Host, Service};
use super::{Failure, build};
use crate::config::Config;
use crate::stream::AcceptedGap;
use crate::telemetry::{codes, info};

/// Options from the command line that are not settings.
#[derive(Clone, Default, Debug)]
pub struct RunOptions {
    /// The gaps that the operator accepts, in the input, the control topic and the receipts.
    pub accepted_gaps: Vec<AcceptedGap>,
}

/// Runs until a signal or a fault.
///
/// # Errors
/// Returns the first fault, with its exit code.
pub fn run(config: &Config, options: RunOptions, host: Host) -> Result<(), Failure> {
    let executes = config.control.execute.then(|| config.control.clone());
    let service = Service::new(config, host, executes);
    let (basis, config) = (service.basis.clone(), config.clone());
    service.run(build::runtime()?, move |runtime| {
        let process = Process::for_run(&config, options, basis, runtime, true)?;
        let threads = process.start(runtime, &|_| None)?;
        info!(codes::RUNNING, lanes = config.lane.count, "sealing");
        Ok(threads)
    })
}
