//! Opens records, slot by slot.

use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;

use super::Record;
use crate::envelope::{Context, Header, OpenError, Opened, StreamName, open, tidily};
use crate::keys::{Finder, Lookup};
use crate::model::{CustomerId, Digest, Generation, Hour, KeyId, Slot};

/// Finds keys. The key room implements it. An answer comes within its own time limit, so a store that is away
/// does not block the caller.
#[async_trait]
pub trait FindKey: Send + Sync + 'static {
    async fn find(&self, customer: &CustomerId, hour: Hour, generation: Generation, key_id: KeyId) -> Lookup;
}

#[async_trait]
impl FindKey for Finder {
    async fn find(&self, customer: &CustomerId, hour: Hour, generation: Generation, key_id: KeyId) -> Lookup {
        Self::find(self, customer, hour, generation, key_id).await
    }
}

/// The result of opening a record.
pub enum Outcome {
    Opened(Opened),
    /// The key was erased. The receipt is that of the command with this digest.
    Erased {
        receipt: Digest,
    },
    /// The fail-safe erased the key, without a command.
    ErasedByTtl,
    /// The hour is below the customer's floor.
    Gone,
    /// As far as the store knows, such a key never existed.
    NoSuchKey,
    /// The slot's key is not the key that the envelope names.
    WrongKey,
    /// The key refuses the envelope, or the frame is not canonical.
    Tampered,
    UnknownSuite,
    /// The record is not an envelope, or does not name exactly one customer.
    NotAnEnvelope,
    /// The store did not answer. The record may open later.
    Unavailable,
}

impl Outcome {
    /// The outcome's name in JSON and in `tests/vectors`.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Opened(_) => "opened",
            Self::Erased { .. } => "erased",
            Self::ErasedByTtl => "erased-by-ttl",
            Self::Gone => "gone",
            Self::NoSuchKey => "no-such-key",
            Self::WrongKey => "wrong-key",
            Self::Tampered => "tampered",
            Self::UnknownSuite => "unknown-suite",
            Self::NotAnEnvelope => "not-an-envelope",
            Self::Unavailable => "unavailable",
        }
    }
}

impl From<OpenError> for Outcome {
    fn from(error: OpenError) -> Self {
        match error {
            OpenError::NotAnEnvelope => Self::NotAnEnvelope,
            OpenError::UnknownSuite(_) => Self::UnknownSuite,
            OpenError::WrongKey => Self::WrongKey,
            OpenError::Tampered => Self::Tampered,
        }
    }
}

/// A record's outcome, with its customer and header. They are only claims unless the record opened.
pub struct Reading {
    pub customer: Option<CustomerId>,
    pub header: Option<Header>,
    pub outcome: Outcome,
}

/// Opens the records of one stream. Its quarantine topic needs another opener, of [`StreamName::quarantine`].
pub struct Opener {
    keys: Arc<dyn FindKey>,
    stream: StreamName,
}

impl Opener {
    pub fn new(keys: Arc<dyn FindKey>, stream: StreamName) -> Self {
        Self { keys, stream }
    }

    /// Opens one record.
    pub async fn open(&self, record: Record<'_>) -> Reading {
        self.open_batch(&[record]).await.pop().expect("one record has one reading")
    }

    /// Opens records and answers in their order.
    ///
    /// Asks for a key once per slot, uses it for all records of the slot at once, and drops it. No key
    /// outlives its answer, so no record is opened later than a lease would allow. After the store has failed
    /// to answer, the call does not ask it again.
    pub async fn open_batch(&self, records: &[Record<'_>]) -> Vec<Reading> {
        let mut readings: Vec<Reading> = records.iter().map(claims).collect();
        for (named, members) in group(&readings) {
            let lookup = self.find(&named).await;
            if matches!(lookup, Lookup::Unavailable(_)) {
                break;
            }
            let context = Context::new(&named.slot.customer, &self.stream);
            tidily(|| {
                for at in members {
                    readings[at].outcome = outcome(&lookup, records[at].value.unwrap_or_default(), &context);
                }
            });
        }
        readings
    }

    async fn find(&self, named: &Named) -> Lookup {
        let Slot { customer, hour, generation } = &named.slot;
        self.keys.find(customer, *hour, *generation, named.key_id).await
    }
}

/// The key that an envelope names.
#[derive(PartialEq, Eq, Hash)]
struct Named {
    slot: Slot,
    key_id: KeyId,
}

/// Reads a record's claims, with the outcome that it has until its key is found. The customer is checked
/// first: a record that names none is not an envelope, whatever its suite.
fn claims(record: &Record<'_>) -> Reading {
    let customer = record.customer();
    let header = match customer {
        Some(_) => Header::parse(record.value.unwrap_or_default()),
        None => Err(OpenError::NotAnEnvelope),
    };
    match header {
        Ok(header) => Reading { customer, header: Some(header), outcome: Outcome::Unavailable },
        Err(error) => Reading { customer, header: None, outcome: error.into() },
    }
}

/// Groups the positions of the records by key. The keys are in the order of their first record.
fn group(readings: &[Reading]) -> Vec<(Named, Vec<usize>)> {
    let mut groups: HashMap<Named, Vec<usize>> = HashMap::new();
    for (at, reading) in readings.iter().enumerate() {
        if let (Some(customer), Some(header)) = (&reading.customer, &reading.header) {
            let slot = Slot { customer: customer.clone(), hour: header.hour, generation: header.generation };
            groups.entry(Named { slot, key_id: header.key_id }).or_default().push(at);
        }
    }
    let mut groups: Vec<_> = groups.into_iter().collect();
    groups.sort_by_key(|(_, members)| members[0]);
    groups
}

fn outcome(lookup: &Lookup, envelope: &[u8], context: &Context) -> Outcome {
    match lookup {
        Lookup::Key(key) => open(envelope, key, context).map_or_else(Outcome::from, Outcome::Opened),
        Lookup::Erased { command } => Outcome::Erased { receipt: *command },
        Lookup::ErasedByTtl => Outcome::ErasedByTtl,
        Lookup::Gone => Outcome::Gone,
        Lookup::NoSuchKey => Outcome::NoSuchKey,
        Lookup::WrongKey => Outcome::WrongKey,
        Lookup::Unavailable(_) => Outcome::Unavailable,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::envelope::SealKey;
    use crate::envelope::{Dek, OVERHEAD, Plain, Sealer, derive};
    use crate::keys::StoreError;

    const HOUR: Hour = Hour(494_000);

    fn customer(id: &str) -> CustomerId {
        CustomerId::parse(id).expect("a valid id")
    }

    fn stream() -> StreamName {
        StreamName::parse("jobs").expect("a valid name")
    }

    fn key(id: &str) -> SealKey {
        derive(&Dek::take(&mut [7; 32]), &customer(id), HOUR, Generation(0))
    }

    fn sealed(id: &str, payload: &str) -> Vec<u8> {
        let (key, context) = (key(id), Context::new(&customer(id), &stream()));
        let sealer = Sealer { key: &key, context: &context, hour: HOUR, generation: Generation(0) };
        let plain = Plain { milliseconds: 1, key: None, payload: Some(payload.as_bytes()) };
        let mut arena = Vec::new();
        sealer.append(&mut arena, &[9; 24], &plain, []).expect("it fits");
        arena
    }

    fn record<'a>(key: &'a str, value: &'a [u8]) -> Record<'a> {
        Record { key: Some(key.as_bytes()), value: Some(value), headers: &[] }
    }

    /// Answers by the customer's name, and counts the requests.
    #[derive(Default)]
    struct World {
        asked: AtomicUsize,
    }

    #[async_trait]
    impl FindKey for World {
        async fn find(&self, customer: &CustomerId, _: Hour, _: Generation, _: KeyId) -> Lookup {
            self.asked.fetch_add(1, Ordering::Relaxed);
            match customer.as_str() {
                "erased" => Lookup::Erased { command: Digest([0xcd; 32]) },
                "ttl" => Lookup::ErasedByTtl,
                "gone" => Lookup::Gone,
                "unknown" => Lookup::NoSuchKey,
                "wrong" => Lookup::WrongKey,
                "away" => Lookup::Unavailable(StoreError::Unavailable("it is away".to_owned()).into()),
                id => Lookup::Key(key(id)),
            }
        }
    }

    fn opener() -> (Arc<World>, Opener) {
        let world = Arc::new(World::default());
        (world.clone(), Opener::new(world, stream()))
    }

    async fn outcome_of(record: Record<'_>) -> &'static str {
        opener().1.open(record).await.outcome.name()
    }

    fn payload(reading: &Reading) -> &[u8] {
        match &reading.outcome {
            Outcome::Opened(opened) => opened.frame().payload().expect("a payload"),
            other => panic!("{}", other.name()),
        }
    }

    #[tokio::test]
    async fn every_answer_has_its_outcome() {
        for (id, expected) in [
            ("acme", "opened"),
            ("erased", "erased"),
            ("ttl", "erased-by-ttl"),
            ("gone", "gone"),
            ("unknown", "no-such-key"),
            ("wrong", "wrong-key"),
            ("away", "unavailable"),
        ] {
            assert_eq!(outcome_of(record(id, &sealed(id, "{}"))).await, expected);
        }
    }

    #[tokio::test]
    async fn what_is_no_envelope_asks_for_no_key() {
        let (world, opener) = opener();
        let good = sealed("acme", "{}");
        let suite_2 = [&good[..1], &[2], &good[2..]].concat();
        let records = [
            record("acme", b"{}"),
            record("acme", &good[..OVERHEAD - 1]),
            record("~", &good),
            Record { value: None, ..record("acme", b"") },
            record("~", &suite_2),
            record("acme", &suite_2),
            record("acme", &suite_2[..2]),
        ];
        let readings = opener.open_batch(&records).await;
        let names: Vec<_> = readings.iter().map(|reading| reading.outcome.name()).collect();
        assert_eq!(names[..5], ["not-an-envelope"; 5]);
        assert_eq!(names[5..], ["unknown-suite"; 2]);
        assert_eq!(world.asked.load(Ordering::Relaxed), 0);
    }

    #[tokio::test]
    async fn a_record_under_another_name_does_not_open() {
        assert_eq!(outcome_of(record("ajax", &sealed("acme", "{}"))).await, "wrong-key");
        let mut last = sealed("acme", "{}");
        *last.last_mut().expect("a tag") ^= 1;
        assert_eq!(outcome_of(record("acme", &last)).await, "tampered");
        let world = Arc::new(World::default());
        let quarantine = Opener::new(world, stream().quarantine());
        assert_eq!(quarantine.open(record("acme", &sealed("acme", "{}"))).await.outcome.name(), "tampered");
    }

    #[tokio::test]
    async fn a_batch_is_answered_in_order_and_asks_once_per_key() {
        let (world, opener) = opener();
        let values: Vec<_> = (0..30)
            .map(|i| {
                let id = ["acme", "ajax", "zeta"][i % 3];
                (id, sealed(id, &i.to_string()))
            })
            .collect();
        let records: Vec<_> = values.iter().map(|(id, value)| record(id, value)).collect();
        let readings = opener.open_batch(&records).await;
        for (i, reading) in readings.iter().enumerate() {
            assert_eq!(payload(reading), i.to_string().as_bytes());
        }
        assert_eq!(world.asked.load(Ordering::Relaxed), 3);
    }

    #[tokio::test]
    async fn nothing_is_kept_from_one_batch_to_the_next() {
        let (world, opener) = opener();
        let value = sealed("acme", "{}");
        for _ in 0..2 {
            opener.open(record("acme", &value)).await;
        }
        assert_eq!(world.asked.load(Ordering::Relaxed), 2);
    }

    #[tokio::test]
    async fn a_store_that_is_away_is_asked_once_per_batch() {
        let (world, opener) = opener();
        let values = [sealed("acme", "{}"), sealed("away", "{}"), sealed("ajax", "{}"), sealed("zeta", "{}")];
        let records: Vec<_> = ["acme", "away", "ajax", "zeta"]
            .iter()
            .zip(&values)
            .map(|(id, value)| record(id, value))
            .collect();
        let readings = opener.open_batch(&records).await;
        let names: Vec<_> = readings.iter().map(|reading| reading.outcome.name()).collect();
        assert_eq!(names, ["opened", "unavailable", "unavailable", "unavailable"]);
        assert_eq!(world.asked.load(Ordering::Relaxed), 2);
    }

    #[tokio::test]
    async fn what_did_not_open_still_says_what_it_claims() {
        let reading = opener().1.open(record("erased", &sealed("erased", "{}"))).await;
        assert_eq!(reading.customer, Some(customer("erased")));
        assert_eq!(reading.header.map(|header| header.hour), Some(HOUR));
    }
}
