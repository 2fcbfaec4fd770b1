//! Progress of long work, on a terminal only: a count with its rate, and the time left if the total is known.
//! Its line is written over, and cleared at the end.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::failure;
use super::terminal::shows_progress;

/// Most work ends before its progress is shown.
const SOON: Duration = Duration::from_millis(500);
/// Times a second that the line is written.
const RATE: u8 = 4;
const COUNTED: &str = "{human_pos} {msg}, {per_sec}";
const OF_A_TOTAL: &str = "{human_pos} of {human_len} {msg}, {per_sec}, {eta} left";
const WAIT: &str = "{msg}";

/// The line that is shown now.
static SHOWN: Mutex<Option<ProgressBar>> = Mutex::new(None);

fn shown() -> MutexGuard<'static, Option<ProgressBar>> {
    SHOWN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Writes something else: the line of the progress is cleared before, and written again afterwards.
pub fn beside<T>(write: impl FnOnce() -> T) -> T {
    match &*shown() {
        Some(bar) => bar.suspend(write),
        None => write(),
    }
}

fn bar(total: Option<u64>, template: &str) -> ProgressBar {
    let bar = ProgressBar::with_draw_target(total, ProgressDrawTarget::hidden());
    bar.with_style(ProgressStyle::with_template(template).expect("the template is one of this file"))
}

fn show(bar: &ProgressBar) {
    bar.set_draw_target(ProgressDrawTarget::stderr_with_hz(RATE));
    if let Some(before) = shown().replace(bar.clone()) {
        before.finish_and_clear();
    }
}

/// Clears the line, for good.
pub fn clear() {
    if let Some(bar) = shown().take() {
        bar.finish_and_clear();
    }
}

/// The progress of counted work.
pub struct Progress {
    /// `None` if stderr is not a terminal.
    bar: Option<ProgressBar>,
    begun: Instant,
    is_shown: bool,
    /// The last printed reason why the work waits.
    why: Option<String>,
}

impl Progress {
    /// `what`: the unit of the count, such as `records read`.
    pub fn new(what: &'static str) -> Self {
        Self::with(None, what)
    }

    /// As [`Progress::new`], for work of which the total is known.
    pub fn of(total: u64, what: &'static str) -> Self {
        Self::with(Some(total), what)
    }

    fn with(total: Option<u64>, what: &'static str) -> Self {
        let template = if total.is_some() { OF_A_TOTAL } else { COUNTED };
        let bar = shows_progress().then(|| bar(total, template).with_message(what));
        Self { bar, begun: Instant::now(), is_shown: false, why: None }
    }

    pub fn at(&mut self, count: u64) {
        let Some(bar) = &self.bar else { return };
        bar.set_position(count);
        if !self.is_shown && self.begun.elapsed() >= SOON {
            self.is_shown = true;
            show(bar);
        }
    }

    /// Prints why the work waits, once for each reason in a row.
    pub fn waits(&mut self, why: Option<&str>) {
        if self.why.as_deref() != why {
            self.why = why.map(str::to_owned);
            why.iter().for_each(|why| failure::say(&format!("waiting: {why}")));
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.is_shown {
            clear();
        }
    }
}

/// Shows what the command waits for, in place of the text before. An empty text clears the line.
pub fn wait(text: &str) {
    if !shows_progress() {
        return;
    }
    if text.is_empty() {
        return clear();
    }
    let waiting = shown().clone();
    match waiting {
        Some(bar) if bar.length().is_none() && bar.position() == 0 => bar.set_message(text.to_owned()),
        _ => show(&bar(None, WAIT).with_message(text.to_owned())),
    }
}
