//! Shields the process before a command reads its first key.

use super::failure;
use crate::config::Process;
use crate::edge::process;
use crate::telemetry::{codes, warn};

/// Shields a command that prints. Reports on stderr what the system refused.
pub fn shield(settings: &Process) {
    if !settings.dumpable {
        process::shield().iter().for_each(|exposure| failure::warn(&exposure.to_string()));
    }
}

/// Shields `run`. Logs what the system refused, or that the settings disable the shield.
pub fn shield_and_log(settings: &Process) {
    if settings.dumpable {
        warn!(
            codes::EXPOSED,
            "`process.dumpable` is true: core dumps and debuggers of this user can read keys"
        );
        return;
    }
    for exposure in process::shield() {
        warn!(codes::EXPOSED, "{exposure}");
    }
}
