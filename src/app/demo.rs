//! `hourseal demo`: the lane of `run` against a broker within the process, on a clock that runs ahead.
//!
//! The broker is librdkafka's mock cluster, which isolates no transaction: a producer made anew would double records, so it
//! fails the demo.

mod act;
mod clock;
mod stage;

use std::path::PathBuf;

use super::Failure;
use act::Act;
use stage::Stage;

/// What the demo is asked for.
#[derive(Clone, Debug)]
pub struct DemoOptions {
    /// Where the folder stays; `None` = it is removed at the end.
    pub keep: Option<PathBuf>,
    /// Events, spread over all customers and hours.
    pub events: u64,
}

/// What the demo did.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DemoSummary {
    /// Events written to the input topic.
    pub produced: u64,
    /// Records that the lane says it has committed.
    pub committed: u64,
    /// Sealed records that opened to the event that was written.
    pub opened: u64,
    /// Sealed records that do not open any more after the erasure.
    pub erased: u64,
}

/// Runs the demo and tells it line by line.
///
/// # Errors
/// Anything that did not come out as it should: the demo proves something or fails.
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
        say(format!("kept in {path}: hourseal.toml, the keys, and sealed.jsonl. Look into it:"));
        say(format!("  hourseal open --config {path}/hourseal.toml --file {path}/sealed.jsonl"));
        say(format!("  hourseal keys ls --config {path}/hourseal.toml"));
    }
}
