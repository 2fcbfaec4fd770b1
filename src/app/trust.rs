//! The keys whose commands are carried out. The executor reads the trust store before each batch of commands.
//! The process warns if it accepts unsigned commands, or cannot verify any.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use super::Failure;
use crate::config::Control;
use crate::forget::{Trust, TrustSource};
use crate::telemetry::{Readiness, codes, info, warn};

const UNSIGNED: &str = "unsigned commands are accepted: every client that may write to the control topic can \
                        erase what is due (control.require_signatures = false)";
const NOBODY: &str =
    "no command can be verified: control.require_signatures is set, but control.trust_store_file is not";

/// Reads the trust store that the settings name.
///
/// # Errors
/// A [`Failure`] of configuration, with the mistake.
pub fn read_trust(control: &Control) -> Result<Option<Trust>, Failure> {
    control.trust_store_file.as_deref().map(read).transpose()
}

fn read(path: &Path) -> Result<Trust, Failure> {
    Ok(read_both(path)?.1)
}

/// Returns the file's text and the trust store in it.
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

/// The trust store's file, read at each use. While the file cannot be used, no key is trusted and commands
/// wait.
pub(super) struct TrustFile {
    path: PathBuf,
    /// The text that was read last, and the trust store in it.
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
            info!(codes::TRUST_READ, file = %self.path.display(), "the changed trust store is in use");
        }
        Ok(Some(Arc::clone(&last.1)))
    }
}

/// Returns the trust source of a process that executes.
///
/// # Errors
/// Those of [`TrustFile::open`].
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
