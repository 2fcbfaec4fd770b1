//! The records of one transaction of the control topic, and their outcomes.

use std::collections::BTreeMap;

use super::answer::Answer;
use super::request::Request;
use crate::forget::command::error::NotACommand;
use crate::forget::command::kind::Kind;
use crate::forget::receipt::content::Receipt;
use crate::forget::receipt::deed::{Deed, Outcome};
use crate::model::Digest;
use crate::stream::Input;
use crate::telemetry::{codes, info, warn};

/// The outcomes of a batch, counted.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct Tally {
    /// Commands and calls that ended with a receipt, by kind and outcome.
    pub receipts: BTreeMap<(Kind, Outcome), u64>,
    /// Records that are neither a command nor a call.
    pub unreadable: u64,
    /// Commands that no trusted key has signed.
    pub unverified: u64,
    /// Copies of earlier records, which have their receipt already.
    pub copies: u64,
    /// Keys that commands and sweeps have erased, by kind.
    pub erased_keys: BTreeMap<Kind, u64>,
    /// Hours that sweeps have forgotten.
    pub swept_hours: u64,
    /// Calls that found nothing to do, by kind.
    pub idle: BTreeMap<Kind, u64>,
}

impl Tally {
    fn add(&mut self, receipt: &Receipt) {
        let kind = receipt.deed.kind();
        *self.receipts.entry((kind, receipt.outcome)).or_default() += 1;
        if receipt.deed.erases() {
            *self.erased_keys.entry(kind).or_default() += receipt.key_count;
        }
    }
}

/// The records of one transaction.
#[derive(Default)]
pub(super) struct Batch {
    /// In the order of the topic.
    pub requests: Vec<(i32, Request)>,
    /// The answers to the requests, in the same order. `None`: the request has no answer yet.
    pub answers: Vec<Option<Answer>>,
    unreadable: u64,
    /// Offset of the first unreadable record, and what is wrong with it.
    first_unreadable: Option<(i64, NotACommand)>,
}

impl Batch {
    /// Adds a record to the batch.
    pub fn admit(&mut self, input: &Input<'_>) {
        match Request::read(input.offset, input.value, input.timestamp) {
            Ok(request) => {
                self.requests.push((input.partition, request));
                self.answers.push(None);
            }
            Err(why) => {
                self.unreadable += 1;
                self.first_unreadable.get_or_insert((input.offset, why));
            }
        }
    }

    /// Answers the request that was admitted last, if it is the one of this digest.
    pub fn answer_last(&mut self, digest: Digest, of_before: Answer) {
        if let (Some((_, request)), Some(answer)) = (self.requests.last(), self.answers.last_mut())
            && request.digest == digest
        {
            *answer = Some(of_before);
        }
    }

    pub fn is_answered(&self) -> bool {
        self.answers.iter().all(Option::is_some)
    }

    /// The requests that have no answer yet.
    pub fn open(&self) -> impl Iterator<Item = &Request> {
        let open = self.requests.iter().zip(&self.answers).filter(|(_, answer)| answer.is_none());
        open.map(|((_, request), _)| request)
    }

    /// Takes the answers to the first of the open requests.
    pub fn take(&mut self, answers: Vec<Option<Answer>>) {
        let open = self.answers.iter_mut().filter(|answer| answer.is_none());
        for (place, answer) in open.zip(answers) {
            *place = answer;
        }
    }

    /// The requests that have an answer, each with its partition.
    pub fn answered(&self) -> impl Iterator<Item = (i32, &Request, &Answer)> {
        let both = self.requests.iter().zip(&self.answers);
        both.filter_map(|((partition, request), answer)| Some((*partition, request, answer.as_ref()?)))
    }

    /// Drops the requests of these partitions together with their answers.
    pub fn drop_partitions(&mut self, partitions: &[i32]) {
        let stays: Vec<bool> =
            self.requests.iter().map(|(partition, _)| !partitions.contains(partition)).collect();
        let (mut of_request, mut of_answer) = (stays.iter(), stays.iter());
        self.requests.retain(|_| of_request.next() == Some(&true));
        self.answers.retain(|_| of_answer.next() == Some(&true));
    }

    pub fn tally(&self) -> Tally {
        let mut tally = Tally { unreadable: self.unreadable, ..Tally::default() };
        for answer in self.answers.iter().flatten() {
            match answer {
                Answer::Receipt(receipt) => tally.add(receipt),
                Answer::Swept(sweep) => {
                    tally.add(&sweep.receipt);
                    tally.swept_hours += sweep.hours.len() as u64;
                }
                Answer::NothingDue(kind) => *tally.idle.entry(*kind).or_default() += 1,
                Answer::Copy => tally.copies += 1,
                Answer::Unverified => tally.unverified += 1,
            }
        }
        tally
    }

    pub fn log_receipts(&self) {
        for answer in self.answers.iter().flatten() {
            let (receipt, hours) = match answer {
                Answer::Receipt(receipt) => (&**receipt, None),
                Answer::Swept(sweep) => (&sweep.receipt, Some(sweep.hours.len())),
                Answer::NothingDue(_) | Answer::Copy | Answer::Unverified => continue,
            };
            let (outcome, keys) = (receipt.outcome.code(), receipt.key_count);
            if let Deed::DestroyKek { kek, evidence, held } = &receipt.deed {
                info!(
                    codes::KEK_DESTROYED,
                    receipt = %receipt.id, %kek, evidence, held, "KEK destroyed, receipt published"
                );
                continue;
            }
            match hours {
                None => {
                    let why = receipt.why.map_or("", |why| why.code());
                    info!(
                        codes::RECEIPT_PUBLISHED,
                        receipt = %receipt.id, outcome, why, keys, "receipt published"
                    );
                }
                Some(hours) => {
                    info!(
                        codes::SWEPT,
                        receipt = %receipt.id, hours, keys, "due hours swept, receipt published"
                    );
                }
            }
        }
    }

    /// Logs at most one line of each kind per batch: otherwise a client that may write to the topic could
    /// fill the log.
    pub fn log_the_rest(&self) {
        if let Some((offset, why)) = self.first_unreadable {
            let records = self.unreadable;
            warn!(
                codes::COMMAND_UNREADABLE,
                records, offset, %why, "skipped control records that are not commands; offset of the first"
            );
        }
        let is_unverified = |(_, _, answer): &(_, _, &Answer)| matches!(answer, Answer::Unverified);
        let mut unverified = self.answered().filter(is_unverified).map(|(_, request, _)| request.offset);
        if let Some(offset) = unverified.next() {
            let commands = 1 + unverified.count();
            warn!(
                codes::COMMAND_UNVERIFIED,
                commands, offset, "ignored commands that no trusted key has signed; offset of the first"
            );
        }
    }
}
