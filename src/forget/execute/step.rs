//! The executor: a [`Step`] over the control topic that carries out its commands, in their order.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use tokio::runtime::Handle;
use tokio::task::AbortHandle;

use super::answer::Answer;
use super::batch::{Batch, Tally};
use super::context::Context;
use super::error::ExecuteError;
use super::request::Request;
use super::run::{Report, execute_all};
use crate::forget::command::trust::TrustSource;
use crate::forget::receipt::content::Receipt;
use crate::forget::receipt::record::{ReceiptBytes, ReceiptRecord};
use crate::keys::{KekVault, Keks, Store};
use crate::model::{Clock, Digest};
use crate::stream::{
    ErrorClass, Event, Filling, Input, NextOffset, Park, Ready, Sink, Stage, Step, StreamError, Take, Txn,
    Wait, Waiting, committed_text,
};
use crate::telemetry::{codes, info, warn};

/// Maximum number of requests of one transaction.
const MOST: usize = 1_000;
/// Pause before a batch that met an error is continued.
const RETRY: Duration = Duration::from_millis(if cfg!(test) { 10 } else { 500 });
/// Number of tries on rows and KEKs that are not usable, for all requests of a batch together. After that,
/// each such request ends as it is. With the pauses, one customer delays the others by 10 s: long enough for
/// a repair that is under way, and far below the hour that a sweep may lag before an alert.
const TRIES: u32 = 20;
/// Number of looks at an unreadable trust store after which the waiting batch is read again, together with
/// the records that were written since, so that calls among them are executed. With the pauses, 5 s.
const LOOKS: u32 = 10;

/// The parts of an executor.
pub struct ExecutorParts {
    pub store: Arc<dyn Store>,
    pub vault: Arc<dyn KekVault>,
    pub clock: Arc<dyn Clock>,
    /// The runtime for calls to the store.
    pub runtime: Handle,
    pub trust: Arc<dyn TrustSource>,
    /// `control.require_signatures`: an unsigned command is not verified.
    pub signatures_required: bool,
    /// Maximum length of a receipt, in bytes: the receipts topic's `max.message.bytes` minus what a record
    /// needs.
    pub receipt_bytes: usize,
    /// The assumptions of receipts besides [`ASSUMPTIONS`](crate::forget::ASSUMPTIONS), such as the promise
    /// of the KEK vault.
    pub assumptions: Vec<String>,
    /// [`SETTLES_IN`](crate::forget::SETTLES_IN). Tests that do not depend on time set it shorter.
    pub settles_in: Duration,
    pub observer: Box<dyn Observer>,
}

/// Receives each event of the executor, with the counts of its batch.
pub trait Observer: Send {
    fn observe(&mut self, event: &Event<'_>, tally: &Tally);
}

/// Executes commands and calls. Only one process of a deployment does so: the owner of the control topic's
/// partition.
pub struct Executor {
    ctx: Context,
    trust: Arc<dyn TrustSource>,
    runtime: Handle,
    receipt_bytes: usize,
    observer: Box<dyn Observer>,
    batch: Batch,
    run: Option<Running>,
    /// The reason why the batch is not finished, after an error.
    waits_for: Option<Waiting>,
    /// Number of tries of the batch that an unusable row or KEK stopped.
    tries: u32,
    /// The reason why the trust store could not be read at the last look. It is reported until a look
    /// succeeds, even if no command waits.
    distrust: Option<String>,
    /// Number of looks at the trust store for which the batch's commands have waited.
    looks: u32,
    /// The batch is given back to be read again, because commands wait for the trust store.
    reads_again: bool,
    /// Answers of a batch that is read again, by partition and offset.
    kept: HashMap<(i32, i64), (Digest, Answer)>,
    /// Offsets of requests whose receipt the broker rejected. They are sent again without their list of keys.
    refused: HashSet<i64>,
    waiting: bool,
    retry: Duration,
}

/// A task that executes the batch's open requests. Dropping it aborts the task: a redo obeys what the task
/// stored.
struct Running {
    task: AbortHandle,
    report: Receiver<(Report, Option<String>)>,
}

impl Executor {
    pub fn new(parts: ExecutorParts) -> Self {
        let ExecutorParts { store, vault, clock, trust, signatures_required, assumptions, .. } = parts;
        let settles_in = parts.settles_in;
        let keks = Arc::new(Keks::new(store.clone(), Arc::clone(&vault)));
        Self {
            ctx: Context {
                store,
                vault,
                clock,
                keks,
                trust: Ok(None),
                is_last_try: false,
                signatures_required,
                assumptions,
                settles_in,
            },
            trust,
            runtime: parts.runtime,
            receipt_bytes: parts.receipt_bytes,
            observer: parts.observer,
            batch: Batch::default(),
            run: None,
            waits_for: None,
            tries: 0,
            distrust: None,
            looks: 0,
            reads_again: false,
            kept: HashMap::new(),
            refused: HashSet::new(),
            waiting: false,
            retry: RETRY,
        }
    }

    /// Starts the open requests, after a pause if there was an error.
    fn start(&self) -> Running {
        let pause = if self.waits_for.is_some() { self.retry } else { Duration::ZERO };
        let requests: Vec<Request> = self.batch.open().cloned().collect();
        let (ctx, source) = (self.ctx.clone(), Arc::clone(&self.trust));
        let is_last_try = self.tries + 1 >= TRIES;
        let (tell, report) = mpsc::sync_channel(1);
        let task = self.runtime.spawn(async move {
            tokio::time::sleep(pause).await;
            // The receiver is gone if the batch was dropped.
            let trust = source.trust();
            let distrust = trust.as_ref().err().cloned();
            let report = execute_all(&ctx.for_run(trust, is_last_try), &requests).await;
            let _ = tell.send((report, distrust));
        });
        Running { task: task.abort_handle(), report }
    }

    /// Takes what a run has done.
    fn take(&mut self, Report { answers, error }: Report) -> Ready {
        self.batch.take(answers);
        self.tries += u32::from(error.as_ref().is_some_and(ExecuteError::is_of_one_customer));
        self.looks += u32::from(matches!(error, Some(ExecuteError::Trust(_))));
        self.reads_again = self.looks >= LOOKS;
        self.waits_for = error.map(|error| error.waiting());
        match &self.waits_for {
            Some(waits_for) if !self.reads_again => Ready::Wait(waits_for.clone()),
            _ => Ready::Yes,
        }
    }

    fn tell(&mut self, event: &Event<'_>) {
        self.log(event);
        self.observer.observe(event, &self.batch.tally());
    }

    /// Reports after a batch whether the trust store can be read.
    fn tell_distrust(&mut self) {
        match self.distrust.clone() {
            Some(why) => self.tell(&Event::Waiting(&ExecuteError::Trust(why).waiting())),
            None if self.waiting => self.tell(&Event::Resumed),
            None => {}
        }
    }

    fn log(&mut self, event: &Event<'_>) {
        match event {
            Event::Committed { .. } => {
                self.batch.log_receipts();
                self.batch.log_the_rest();
            }
            Event::Assigned([]) => info!(codes::EXECUTOR_ENDED, "another process executes commands"),
            Event::Assigned(_) => info!(codes::EXECUTOR_STARTED, "this process executes commands"),
            Event::Waiting(Waiting { cause, reason }) => {
                if !std::mem::replace(&mut self.waiting, true) {
                    let cause = cause.code();
                    warn!(
                        codes::LANE_WAITS,
                        lane = "control",
                        cause,
                        why = reason,
                        "commands wait; none is lost"
                    );
                }
            }
            Event::Resumed => {
                if std::mem::replace(&mut self.waiting, false) {
                    info!(codes::LANE_RESUMES, lane = "control", "commands are executed again");
                }
            }
            Event::Aborted(error) => {
                warn!(
                    codes::BATCH_REDONE,
                    lane = "control", %error, "nothing committed; the batch is read again"
                );
            }
            Event::Reincarnated(why, _) => {
                warn!(
                    codes::PRODUCER_RENEWED,
                    lane = "control",
                    why,
                    "the producer is replaced; the lane continues at the broker's committed offsets"
                );
            }
            Event::Rejoined(error) => {
                warn!(codes::PRODUCER_RENEWED, lane = "control", %error, "joining the group again");
            }
            Event::Parked { partition, why } => {
                let (reason, text) = (why.code(), why.text(*partition));
                warn!(codes::PARTITION_PARKED, lane = "control", partition, reason, text, "commands stop");
            }
            Event::Flows(partition) => {
                info!(codes::PARTITION_FLOWS, lane = "control", partition, "commands flow again");
            }
            Event::GapAccepted { partition, committed, at } => {
                let from = committed_text(*committed);
                warn!(
                    codes::GAP_ACCEPTED,
                    lane = "control",
                    partition,
                    from,
                    to = at,
                    "commands in this gap are given up"
                );
            }
            Event::ForeignMembers(_) | Event::Lag(_) => {}
        }
    }
}

impl Step for Executor {
    fn admit(&mut self, input: &Input<'_>) -> Result<Take, Park> {
        self.batch.admit(input);
        if let Some((digest, answer)) = self.kept.remove(&(input.partition, input.offset)) {
            self.batch.answer_last(digest, answer);
        }
        Ok(if self.batch.requests.len() < MOST { Take::More } else { Take::Enough })
    }

    fn prepare(&mut self, deadline: Instant) -> Ready {
        if self.batch.is_answered() {
            return Ready::Yes;
        }
        let run = self.run.take().unwrap_or_else(|| self.start());
        let (report, distrust) =
            match run.report.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(report) => report,
                Err(RecvTimeoutError::Disconnected) => {
                    let error = Some(ExecuteError::TaskEnded);
                    (Report { answers: Vec::new(), error }, self.distrust.clone())
                }
                Err(RecvTimeoutError::Timeout) => {
                    self.run = Some(run);
                    let busy = || Waiting::new(Wait::Pending, "commands are being executed");
                    return Ready::Wait(self.waits_for.clone().unwrap_or_else(busy));
                }
            };
        self.distrust = distrust;
        self.take(report)
    }

    fn emit<S: Sink>(&mut self, txn: &mut Txn<'_, S, Filling>) -> Result<(), StreamError> {
        if !self.batch.is_answered() {
            // The engine discards the batch and reads it again.
            let name = "a request has no answer yet".to_owned();
            return Err(StreamError { stage: Stage::Send, class: ErrorClass::Abortable, name });
        }
        let now = self.ctx.clock.now();
        for (_, request, answer) in self.batch.answered() {
            let limit = if self.refused.contains(&request.offset) { 0 } else { self.receipt_bytes };
            let bytes = match answer {
                Answer::Receipt(receipt) => ReceiptBytes::new(Receipt::clone(receipt).stamped(now), limit),
                Answer::Swept(sweep) => {
                    ReceiptBytes::of_sweep(sweep.receipt.clone().stamped(now), sweep.hours.clone(), limit)
                }
                Answer::NothingDue(_) | Answer::Copy | Answer::Unverified => continue,
            };
            txn.send(&ReceiptRecord::of(&bytes))?;
            failpoint!("sent");
        }
        Ok(())
    }

    fn drop_partitions(&mut self, partitions: &[i32]) {
        self.run = None;
        self.batch.drop_partitions(partitions);
    }

    fn clear(&mut self) {
        let batch = std::mem::take(&mut self.batch);
        let again = std::mem::take(&mut self.reads_again);
        let kept = batch.answered().filter(|_| again).map(|(partition, request, answer)| {
            ((partition, request.offset), (request.digest, answer.clone()))
        });
        self.kept = kept.collect();
        (self.run, self.waits_for, self.tries, self.looks) = (None, None, 0, 0);
    }

    fn origin(&self, place: usize) -> Option<(i32, i64)> {
        let mut sent = self.batch.answered().filter(|(_, _, answer)| answer.has_receipt());
        sent.nth(place).map(|(partition, request, _)| (partition, request.offset))
    }

    fn condemn(&mut self, _partition: i32, offset: i64, why: &StreamError) -> Result<(), Park> {
        if self.refused.insert(offset) {
            return Ok(());
        }
        Err(Park::RecordRefused { offset, name: why.name.clone() })
    }

    fn observe(&mut self, event: Event<'_>) {
        match event {
            // Commands still wait.
            Event::Resumed if self.distrust.is_some() => return,
            Event::Aborted(_) if self.reads_again => return,
            Event::Assigned([]) => self.distrust = None,
            _ => {}
        }
        self.tell(&event);
        if let Event::Committed { .. } = event {
            self.tell_distrust();
        }
        if let Event::Committed { offsets, .. } = event {
            failpoint!("committed");
            self.refused.retain(|offset| offsets.iter().all(|next: &NextOffset| *offset >= next.offset));
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.task.abort();
    }
}
