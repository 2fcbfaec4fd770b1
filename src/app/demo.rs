//! `hourseal demo`: the lane of `run` against a broker within the process, on a clock that runs ahead.
//!
//! The broker is librdkafka's mock cluster, which does not isolate transactions: a new producer would
//! duplicate records, so the demo fails then.

mod act;
mod clock;
mod stage;

use std::path::PathBuf;

use super::Failure;
use act::Act;
use stage::Stage;

/// Options of the demo.
#[derive(Clone, Debug)]
pub struct DemoOptions {
    /// Path of the folder to keep; `None` = a temporary folder, removed at the end.
    pub keep: Option<PathBuf>,
    /// Events, spread over all customers and hours.
    pub events: u64,
}

/// Counts of the demo.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DemoSummary {
    /// Events written to the input topic.
    pub produced: u64,
    /// Records that the lane says it has committed.
    pub committed: u64,
    /// Sealed records that opened to the event that was written.
    pub opened: u64,
    /// Sealed records that no longer open after the erasure.
    pub erased: u64,
}

/// Runs the demo. Passes each line of its output to `say`.
///
/// # Errors
/// Any result that is not as expected: the demo proves something or fails.
pub fn demo(options: &DemoOptions, say: &mut dyn FnMut(String)) -> Result<DemoSummary, Failure> {
    let folder = Folder::new(options.keep.clone())?;
    let stage = Stage::build(&folder.path)?;
    let act = Act::new(&stage, options.events, &folder.path);
    let summary = act.play(say);
    stage.close();
    let summary = summary?;
    if options.keep.is_some() {
        folder.tell(say);
    }
    Ok(summary)
}

/// The demo's folder, removed at the end unless it is kept.
struct Folder {
    path: PathBuf,
    _temporary: Option<tempfile::TempDir>,
}

impl Folder {
    fn new(keep: Option<PathBuf>) -> Result<Self, Failure> {
        let failed = |error: std::io::Error| {
            Failure::new(Failure::CONFIG, format!("cannot create the demo's folder: {error}"))
        };
        match keep {
            Some(path) => {
                std::fs::create_dir(&path).map_err(failed)?;
                Ok(Self { path, _temporary: None })
            }
            None => {
                let temporary = tempfile::TempDir::with_prefix("hourseal-demo-").map_err(failed)?;
                Ok(Self { path: temporary.path().to_owned(), _temporary: Some(temporary) })
            }
        }
    }

    fn tell(&self, say: &mut dyn FnMut(String)) {
        let path = self.path.display();
        say(format!("kept in {path}: hourseal.toml, the keys and sealed.jsonl. To look at them:"));
        say(format!("  hourseal open --config {path}/hourseal.toml --file {path}/sealed.jsonl"));
        say(format!("  hourseal keys ls --config {path}/hourseal.toml"));
    }
}
