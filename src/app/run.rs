//! `hourseal run`: the worker.

use super::basis::Basis;
use super::process::Process;
use super::service::Service;
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
pub fn run(config: &Config, options: RunOptions) -> Result<(), Failure> {
    info!(codes::STARTED, version = env!("CARGO_PKG_VERSION"), instance = config.instance, "starting");
    let basis = Basis::of_service(config);
    let service = Service { listen: config.admin.listen, basis: basis.clone() };
    let config = config.clone();
    service.run(build::runtime()?, move |runtime| {
        let process = Process::for_run(&config, options, basis.clone(), runtime, true)?;
        let threads = process.start(runtime, &|_| None)?;
        basis.started();
        info!(codes::RUNNING, lanes = config.lane.count, "sealing");
        Ok(threads)
    })
}
