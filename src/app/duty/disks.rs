//! The disks: measures the file systems of the key store and of the vault, for metrics.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{Duty, Who};
use crate::app::metrics::{DiskMetrics, DiskOf};
use crate::app::process::Process;
use crate::app::threads::blocking;
use crate::config::{Config, Store};
use crate::edge::disk;

const EVERY: Duration = Duration::from_secs(10);

pub(super) struct DiskDuty {
    folders: Vec<(DiskOf, PathBuf)>,
    metrics: DiskMetrics,
}

impl DiskDuty {
    pub(super) fn new(process: &Process) -> Self {
        Self { folders: folders(&process.config), metrics: process.metrics.disks.clone() }
    }
}

fn folders(config: &Config) -> Vec<(DiskOf, PathBuf)> {
    let mut folders = vec![(DiskOf::Vault, config.kek.path.clone())];
    if let Store::Sqlite { path } = &config.store {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        folders.push((DiskOf::Store, folder.unwrap_or(Path::new(".")).to_owned()));
    }
    folders
}

impl Duty for DiskDuty {
    const NAME: &'static str = "disks";
    const WHO: Who = Who::Everyone;
    const AFTER_RECEIPTS: bool = false;

    fn interval(&self) -> Duration {
        EVERY
    }

    async fn turn(&mut self) -> Result<Duration, String> {
        for (of, folder) in &self.folders {
            let folder = folder.clone();
            // A file system that does not answer must not hold a thread of the runtime.
            let space = blocking(move || disk::space(&folder)).await;
            self.metrics.has(*of, space.map_err(|error| error.to_string())?);
        }
        Ok(EVERY)
    }

    /// Logs nothing: readiness reports a store or vault that cannot be used.
    fn log_failure(&self, _why: &str) {}
}
