//! Whose commands are carried out: read before each batch of commands, and said aloud where that is more, or fewer, than one would think.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use super::Failure;
use crate::config::Control;
use crate::forget::{Trust, TrustSource};
use crate::telemetry::{Readiness, codes, info, warn};

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
    Ok(read_both(path)?.1)
}

/// The text and what it says.
fn read_both(path: &Path) -> Result<(String, Trust), Failure> {
    let failed = |why| Failure::new(Failure::CONFIG, why);
    let text = read_text(path).map_err(failed)?;
    let trust = parse(path, &text).map_err(failed)?;
    Ok((text, trust))
}

fn read_text(path: &Path) -> Result<String, String> {
    std::fs::read_to_string(path).map_err(|error| unusable(path, &error))
}

fn parse(path: &Path, text: &str) -> Result<Trust, String> {
    Trust::parse(text).map_err(|error| unusable(path, &error))
}

fn unusable(path: &Path, what: &dyn std::fmt::Display) -> String {
    format!("the trust store {} cannot be used: {what}", path.display())
}

/// The trust store's file, read whenever it is asked for. While it cannot be used, nobody is trusted and commands wait.
pub(super) struct TrustFile {
    path: PathBuf,
    /// What was read last, and what it says.
    last: Mutex<(String, Arc<Trust>)>,
}

impl TrustFile {
    /// # Errors
    /// A [`Failure`] of configuration: a process does not start with a file that it cannot use.
    pub(super) fn open(path: &Path) -> Result<Self, Failure> {
        let (text, trust) = read_both(path)?;
        Ok(Self { path: path.to_owned(), last: Mutex::new((text, Arc::new(trust))) })
    }
}

impl TrustSource for TrustFile {
    fn trust(&self) -> Result<Option<Arc<Trust>>, String> {
        let text = read_text(&self.path)?;
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if last.0 != text {
            *last = (text.clone(), Arc::new(parse(&self.path, &text)?));
            info!(codes::TRUST_READ, file = %self.path.display(), "the trust store was changed and counts from here on");
        }
        Ok(Some(Arc::clone(&last.1)))
    }
}

/// Where a process that executes has its trust store from.
///
/// # Errors
/// As [`TrustFile::open`].
pub(super) fn trust_source(control: &Control) -> Result<Arc<dyn TrustSource>, Failure> {
    Ok(match &control.trust_store_file {
        Some(path) => Arc::new(TrustFile::open(path)?),
        None => Arc::new(None::<Arc<Trust>>),
    })
}

pub(super) fn announce(control: &Control, readiness: &Readiness) {
    let what = match (control.require_signatures, control.trust_store_file.is_some()) {
        (false, _) => UNSIGNED,
        (true, false) => NOBODY,
        (true, true) => return,
    };
    warn!(codes::CONTROL_OPEN, "{what}");
    readiness.note(what);
}
