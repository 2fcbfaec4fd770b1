//! `hourseal demo`: the lane of `run` against a broker within the process, on a clock that runs ahead.
//!
//! The broker is librdkafka's mock cluster, which does not isolate transactions: a new producer would
//! duplicate records, so the demo fails then.

mod act;
mod clock;
mod stage;

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::Failure;
use crate::stream::Stop;
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

/// Runs the demo. Passes each line of its output to `say`, and the number of sealed events to `report`.
///
/// # Errors
/// Any result that is not as expected, and a stop before the end: the demo proves something or fails.
pub fn demo(
    options: &DemoOptions,
    stop: &Stop,
    say: &mut dyn FnMut(String),
    report: &mut dyn FnMut(u64),
) -> Result<DemoSummary, Failure> {
    let folder = Folder::new(options.keep.clone())?;
    folder.announce(say);
    let stage = Stage::build(&folder.path, stop.clone())?;
    let act = Act::new(&stage, options.events, &folder.path);
    let summary = act.play(say, report);
    stage.close();
    let summary = summary?;
    folder.tell(say);
    Ok(summary)
}

/// The demo's folder, removed at the end unless it is kept.
struct Folder {
    path: PathBuf,
    temporary: Option<tempfile::TempDir>,
}

impl Folder {
    fn new(keep: Option<PathBuf>) -> Result<Self, Failure> {
        match keep {
            Some(path) => {
                std::fs::create_dir(&path).map_err(|error| Self::refused(&path, &error))?;
                Ok(Self { path, temporary: None })
            }
            None => {
                // The error names the path.
                let temporary = tempfile::TempDir::with_prefix("hourseal-demo-").map_err(|error| {
                    Failure::new(Failure::IO, format!("cannot create the demo's folder: {error}"))
                        .hint("TMPDIR names another place for it")
                })?;
                Ok(Self { path: temporary.path().to_owned(), temporary: Some(temporary) })
            }
        }
    }

    fn refused(path: &Path, error: &std::io::Error) -> Failure {
        let failure = Failure::io("cannot create the demo's folder", path, error);
        match error.kind() {
            ErrorKind::AlreadyExists => failure.hint(
                "an earlier `demo --keep` has left it there: remove it, or start the demo somewhere else",
            ),
            _ => failure,
        }
    }

    /// Says what the demo is about to do: starting a broker and a key store takes seconds.
    fn announce(&self, say: &mut dyn FnMut(String)) {
        let until = if self.temporary.is_some() { ", removed at the end; --keep keeps it" } else { "" };
        say("starting   a broker within this process (librdkafka's mock, without the transaction isolation \
             that `run` has on Kafka), a key store and a worker"
            .into());
        say(format!("folder     {}{until}", self.path.display()));
    }

    fn tell(&self, say: &mut dyn FnMut(String)) {
        if self.temporary.is_some() {
            say("next       hourseal run --bootstrap HOST:9092, on your Kafka; hourseal produce-sample"
                .into());
            return;
        }
        let path = self.path.display();
        say(format!("kept in {path}: hourseal.toml, the keys and sealed.jsonl. To look at them:"));
        say(format!("  hourseal open --config {path}/hourseal.toml --file {path}/sealed.jsonl"));
        say(format!("  hourseal keys ls --config {path}/hourseal.toml"));
    }
}
