//! Whose commands are carried out: read at the start, and said aloud where that is more, or fewer, than one would think.

use std::path::Path;

use super::Failure;
use crate::config::Control;
use crate::forget::Trust;
use crate::telemetry::{Readiness, codes, warn};

const UNSIGNED: &str = "commands are accepted that nobody has signed: whoever writes to the control topic can erase what is due \
                        (control.require_signatures = false)";
const NOBODY: &str =
    "no command can be verified: control.trust_store_file is not set, and control.require_signatures is";

/// The trust store that the settings name.
///
/// # Errors
/// A [`Failure`] of configuration, with what is wrong with it.
pub fn read_trust(control: &Control) -> Result<Option<Trust>, Failure> {
    control.trust_store_file.as_deref().map(read).transpose()
}

fn read(path: &Path) -> Result<Trust, Failure> {
    let wrong = |what: &dyn std::fmt::Display| {
        Failure::new(Failure::CONFIG, format!("the trust store {} cannot be used: {what}", path.display()))
    };
    let text = std::fs::read_to_string(path).map_err(|error| wrong(&error))?;
    Trust::parse(&text).map_err(|error| wrong(&error))
}

pub(super) fn announce(control: &Control, is_trusting: bool, readiness: &Readiness) {
    let what = match (control.require_signatures, is_trusting) {
        (false, _) => UNSIGNED,
        (true, false) => NOBODY,
        (true, true) => return,
    };
    warn!(codes::CONTROL_OPEN, "{what}");
    readiness.note(what);
}
