//! SIGHUP: the process reads its settings again, and changes what it can change while it runs.
//!
//! Promise: SIGHUP never ends the process. Settings that are refused change nothing. One log line says which
//! settings are in force, and which need a restart.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::signal::unix::Signal;

use super::login::password;
use super::threads::blocking;
use super::trust::read_trust;
use crate::config::{Config, ConfigError, Control, Entry, files_read_once};
use crate::edge::kafka::Login;
use crate::edge::supervisor::Supervisor;
use crate::telemetry::{LogLevel, Logging, codes, info, warn};

/// Reads every layer of the settings.
pub type ReadSettings = dyn Fn() -> Result<(Config, Vec<Entry>), ConfigError> + Send + Sync;

/// The means of a process to read its settings again.
pub struct Rereading {
    /// The settings at the start, each with the origin of its value.
    pub started_with: Vec<Entry>,
    pub read: Box<ReadSettings>,
    pub logging: Logging,
}

/// The settings and files at the start, to compare with.
pub(super) struct Reload {
    source: Rereading,
    files: Vec<(String, PathBuf, Option<Stamp>)>,
    /// The settings of this process's executor, if it has a trust store.
    control: Option<Control>,
    /// The login of every client of this process.
    login: Login,
}

const PASSWORD_FILE: &str = "kafka.sasl_password_file";
/// The settings whose new value takes effect at once.
const IN_FORCE: [&str; 2] = ["log.level", PASSWORD_FILE];

/// Tells whether a file was replaced or written: when it was last written, its length and its number.
type Stamp = (i64, i64, u64, u64);

impl Reload {
    /// `control`: the settings of this process's executor, if it has one.
    pub(super) fn new(source: Rereading, control: Option<Control>, login: Login) -> Self {
        let files = files_read_once(&source.started_with).into_iter();
        let files = files.map(|(setting, path)| (setting, stamp(&path), path));
        let files = files.map(|(setting, stamp, path)| (setting, path, stamp)).collect();
        Self { source, files, control: control.filter(|control| control.trust_store_file.is_some()), login }
    }

    /// Reads the settings again at each SIGHUP.
    pub(super) async fn at_each(self, mut hangup: Signal, supervisor: Arc<Supervisor>) {
        let this = Arc::new(self);
        while hangup.recv().await.is_some() {
            supervisor.is_reloading();
            let this = Arc::clone(&this);
            blocking(move || this.reload()).await;
            supervisor.is_ready();
        }
    }

    fn reload(&self) {
        let (config, entries) = match (self.source.read)() {
            Ok(read) => read,
            Err(error) => {
                let why = error.to_string().replace('\n', "; ");
                warn!(
                    codes::SETTINGS_REFUSED,
                    why, "the settings are refused, and the old ones stay in force"
                );
                return;
            }
        };
        let mut in_force = vec!["log.level"];
        if let Some(control) = &self.control {
            match read_trust(control) {
                Ok(_) => in_force.push("control.trust_store_file"),
                Err(why) => {
                    warn!(codes::SETTINGS_REFUSED, %why, "commands wait for a usable trust store");
                }
            }
        }
        if let Some(password) = password(&config) {
            self.login.set_password(password);
            in_force.push(PASSWORD_FILE);
        }
        let after = self.after_a_restart(&entries);
        let restart = if after.is_empty() { "nothing".to_owned() } else { after.join(", ") };
        let level = config.log.level;
        let is_quieter = matches!(level, LogLevel::Error | LogLevel::Warn);
        if !is_quieter {
            self.source.logging.set_level(level);
        }
        info!(
            codes::SETTINGS_READ,
            in_force = in_force.join(", "),
            needs_restart = restart,
            "the settings were read again"
        );
        if is_quieter {
            self.source.logging.set_level(level);
        }
    }

    /// The settings that have another value or another file than at the start.
    fn after_a_restart(&self, entries: &[Entry]) -> Vec<String> {
        let files = self.files.iter().filter(|(_, path, was)| was.is_some() && stamp(path) != *was);
        let mut names = changed(&self.source.started_with, entries);
        names.extend(files.map(|(setting, ..)| setting.clone()));
        names.sort();
        names.dedup();
        names
    }
}

/// The settings whose values differ, except those that take effect at once.
fn changed(before: &[Entry], after: &[Entry]) -> Vec<String> {
    let values = |entries: &[Entry]| -> BTreeMap<String, Option<String>> {
        entries.iter().map(|entry| (entry.name(), entry.value.clone())).collect()
    };
    let (before, after) = (values(before), values(after));
    let differs =
        |name: &&String| before.get(*name) != after.get(*name) && !IN_FORCE.contains(&name.as_str());
    before.keys().chain(after.keys()).filter(differs).cloned().collect()
}

/// `None` = there is no such file, or it cannot be reached.
fn stamp(path: &Path) -> Option<Stamp> {
    let found = std::fs::metadata(path).ok()?;
    Some((found.mtime(), found.mtime_nsec(), found.size(), found.ino()))
}
