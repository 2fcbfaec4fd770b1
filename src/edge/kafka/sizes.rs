//! The sizes that a producer is configured with. librdkafka cannot change them while the producer exists.

use std::fmt;

use rdkafka::ClientConfig;

use crate::lane::MaxMessageBytes;

/// The smallest `max.message.bytes` that a batch is made for. A topic that accepts less takes no record, so
/// smaller batches would only slow down the other topics.
const LEAST: usize = 1_000;
/// Largest `batch.size` of librdkafka that is used, in bytes.
const LARGEST_BATCH: usize = 1_000_000;
/// Largest `message.max.bytes` that librdkafka accepts, in bytes.
const LARGEST_MESSAGE: usize = 1_000_000_000;
/// Size of a message for topics whose settings are not known, in bytes.
const UNKNOWN: usize = 1 << 20;

/// The sizes of one producer, in bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct ProducerSizes {
    /// `batch.size`. A broker refuses a batch that is larger than its topic's `max.message.bytes`, although
    /// each record would fit.
    batch: usize,
    /// `message.max.bytes`. It never becomes smaller: only the broker decides that a record is too large.
    message: usize,
}

impl ProducerSizes {
    /// The sizes for a producer that writes to topics with these `max.message.bytes`.
    pub(super) fn of(topics: &[MaxMessageBytes]) -> Self {
        let batch = topics.iter().map(MaxMessageBytes::now).filter(|bytes| *bytes >= LEAST).min();
        let message = topics.iter().map(MaxMessageBytes::largest).max();
        Self {
            batch: batch.unwrap_or(LARGEST_BATCH).min(LARGEST_BATCH),
            message: message.unwrap_or(UNKNOWN).clamp(LEAST, LARGEST_MESSAGE),
        }
    }

    pub(super) fn configure(self, config: &mut ClientConfig) {
        config.set("message.max.bytes", self.message.to_string());
        config.set("batch.size", self.batch.to_string());
    }
}

impl fmt::Display for ProducerSizes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "batches of {} bytes and records of {} bytes", self.batch, self.message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_follows_the_smallest_topic_that_takes_records() {
        let (output, quarantine) = (MaxMessageBytes::new(900_000), MaxMessageBytes::new(2_000_000));
        let topics = [output.clone(), quarantine.clone()];
        let sizes = || ProducerSizes::of(&topics);
        assert_eq!(sizes(), ProducerSizes { batch: 900_000, message: 2_000_000 });
        output.set(20_000);
        assert_eq!(sizes().batch, 20_000);
        quarantine.set(120);
        assert_eq!(sizes().batch, 20_000, "the quarantine takes no record");
        output.set(1_500_000);
        assert_eq!(sizes().batch, LARGEST_BATCH);
    }

    #[test]
    fn a_record_may_be_as_large_as_the_largest_topic_ever_took() {
        let topic = MaxMessageBytes::new(50_000);
        let message = || ProducerSizes::of(std::slice::from_ref(&topic)).message;
        topic.set(2_000);
        assert_eq!(message(), 50_000);
        topic.set(60_000);
        assert_eq!(message(), 60_000);
    }

    #[test]
    fn topics_without_known_sizes_have_usual_sizes() {
        assert_eq!(ProducerSizes::of(&[]), ProducerSizes { batch: LARGEST_BATCH, message: UNKNOWN });
    }
}
