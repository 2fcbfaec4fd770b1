//! The requests of a transaction, from the write to the socket until the answer (KAFKA-17754).
//!
//! A request that was sent and has no answer may reach the broker late. Under transaction protocol 1,
//! nothing shows the broker that it is late. Within the same producer epoch, it acts on the transaction that
//! is open by then:
//!
//! | late request | effect on a later transaction |
//! |---|---|
//! | `EndTxn` | ends it |
//! | `TxnOffsetCommit` | replaces its offsets: older ones duplicate records, newer ones lose them |
//! | `AddPartitionsToTxn`, `AddOffsetsToTxn` | opens one that stays open; the broker fences its producer |
//! | `Produce` | none: the broker refuses its sequence number |
//! | `InitProducerId` | fences the live producer; no epoch helps against it |
//!
//! So after the first request without an answer, the producer must not begin another transaction. A request
//! that was never written to a socket, because no connection could be opened, does not count.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Instant;

use super::outage::Outages;

/// API keys of the Kafka protocol.
const PRODUCE: i16 = 0;
const INIT_PRODUCER_ID: i16 = 22;
/// Without `InitProducerId`: a new producer would send the next one.
const OF_A_TRANSACTION: [i16; 5] = [PRODUCE, 24, 25, 26, 28];

/// The state of one producer's requests. librdkafka's threads write it.
pub(super) struct Requests {
    /// Number of requests that were sent and have not ended, by API key. The keys that matter are below 32.
    under_way: [AtomicU32; 32],
    reported: AtomicBool,
    unanswered: AtomicBool,
    outages: Outages,
}

impl Requests {
    pub(super) fn new(outages: Outages) -> Self {
        Self { under_way: Default::default(), reported: false.into(), unanswered: false.into(), outages }
    }

    /// Whether a request of a transaction ended without an answer.
    pub(super) fn has_unanswered(&self) -> bool {
        self.unanswered.load(Ordering::Acquire)
    }

    /// Whether librdkafka has reported any request. If it has not, it would not report a lost one either.
    pub(super) fn are_reported(&self) -> bool {
        self.reported.load(Ordering::Acquire)
    }

    pub(super) fn sent(&self, api: i16) {
        self.reported.store(true, Ordering::Release);
        if let Some(under_way) = self.of(api) {
            under_way.fetch_add(1, Ordering::AcqRel);
        }
    }

    pub(super) fn answered(&self, api: i16) {
        self.end(api);
    }

    /// The connection was closed, or the request timed out. A request that was never sent does not count.
    pub(super) fn unanswered(&self, api: i16) {
        if !self.end(api) {
            return;
        }
        let now = Instant::now();
        if OF_A_TRANSACTION.contains(&api) {
            self.unanswered.store(true, Ordering::Release);
            self.outages.seen(now);
        } else if api == INIT_PRODUCER_ID {
            self.outages.init_unanswered(now);
        }
    }

    fn of(&self, api: i16) -> Option<&AtomicU32> {
        usize::try_from(api).ok().and_then(|api| self.under_way.get(api))
    }

    /// Ends a request, and returns whether one was under way. librdkafka reports some ends twice. For those
    /// APIs it has one request under way at a time and sends the next one after the second report, so no
    /// request is under way at that time.
    fn end(&self, api: i16) -> bool {
        let ends = |count: u32| if api == PRODUCE { count.checked_sub(1) } else { (count > 0).then_some(0) };
        self.of(api).is_some_and(|under_way| {
            under_way.fetch_update(Ordering::AcqRel, Ordering::Acquire, ends).is_ok()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const END_TXN: i16 = 26;
    const METADATA: i16 = 3;

    fn requests() -> Requests {
        Requests::new(Outages::default())
    }

    #[test]
    fn each_request_of_a_transaction_that_ends_without_an_answer_is_remembered() {
        for api in OF_A_TRANSACTION {
            let requests = requests();
            requests.sent(api);
            requests.answered(api);
            assert!(!requests.has_unanswered(), "{api}");
            requests.sent(api);
            requests.unanswered(api);
            requests.sent(api);
            requests.answered(api);
            assert!(requests.has_unanswered(), "{api}: an answer to its retry changes nothing");
        }
    }

    #[test]
    fn a_request_that_was_never_sent_and_one_of_no_transaction_do_not_count() {
        let requests = requests();
        requests.unanswered(END_TXN);
        requests.sent(METADATA);
        requests.unanswered(METADATA);
        assert!(!requests.has_unanswered());
        assert!(!requests.outages.explain(Instant::now()));
    }

    #[test]
    fn an_end_that_is_told_twice_counts_once() {
        let requests = requests();
        requests.sent(END_TXN);
        requests.answered(END_TXN);
        requests.unanswered(END_TXN);
        assert!(!requests.has_unanswered());
    }

    #[test]
    fn of_several_batches_under_way_each_is_counted() {
        let requests = requests();
        requests.sent(PRODUCE);
        requests.sent(PRODUCE);
        requests.answered(PRODUCE);
        requests.unanswered(PRODUCE);
        assert!(requests.has_unanswered());
    }

    #[test]
    fn an_unanswered_init_explains_one_fence_and_taints_nothing() {
        let requests = requests();
        requests.sent(INIT_PRODUCER_ID);
        requests.unanswered(INIT_PRODUCER_ID);
        assert!(!requests.has_unanswered());
        assert!(requests.outages.take_unanswered_init(Instant::now()));
        assert!(!requests.outages.take_unanswered_init(Instant::now()));
    }
}
