//! The lane of `run`, with its key store in a temporary folder.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use hourseal::edge::clock::SystemClock;
use hourseal::edge::kek::FileVault;
use hourseal::edge::sqlite::{OpenOptions, STEPS, SqliteStore};
use hourseal::envelope::StreamName;
use hourseal::keys::{KekVault, Lease, Mint, Ring, SealStore};
use hourseal::lane::{
    Admit, Keys, LaneParts, Limits, MaxMessageBytes, Observer, OutputKey, Outputs, Partitioner, Placement,
    SealingLane, Skip, SlotLimits, Tally, TimestampBounds,
};
use hourseal::model::{Clock, Retention};
use hourseal::stream::Event;

use crate::broker::PARTITIONS;
use crate::measure::Round;

/// Keys under a lease that is proven once, because the follower of the receipts is not part of the pipeline.
pub struct Keyring {
    keys: Keys,
    clock: Arc<dyn Clock>,
    _runtime: tokio::runtime::Runtime,
}

impl Keyring {
    pub fn open(folder: &Path) -> Self {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let retention = Retention::hours(720).expect("not zero");
        let vault =
            FileVault::open_or_create(&folder.join("kek"), &folder.join("root.key")).expect("a vault");
        let vault: Arc<dyn KekVault> = Arc::new(vault);
        let options = OpenOptions {
            vault: vault.id(),
            default_retention: retention,
            max_lease_ms: 600_000,
            create: true,
            steps: STEPS,
            clock: Arc::clone(&clock),
        };
        let store = SqliteStore::open(&folder.join("data").join("keys.db"), options).expect("a store");
        let store: Arc<dyn SealStore> = Arc::new(store);
        let token_key = Arc::clone(store.token_key());
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.expect("a runtime");
        let lease = Arc::new(Lease::new(600_000, 600_000));
        lease.prove(clock.boot_ms());
        let mint = Mint::new(store, vault, retention);
        let ring = Ring::new(mint, lease, Arc::clone(&clock), 1_000_000, runtime.handle().clone());
        Self { keys: Keys { ring: Arc::new(ring), token_key }, clock, _runtime: runtime }
    }
}

struct Count(Arc<AtomicU64>);

impl Observer for Count {
    fn observe(&mut self, event: &Event<'_>, tally: &Tally) {
        if matches!(event, Event::Committed { .. }) {
            assert!(tally.quarantined.is_empty(), "every record of the bench can be sealed");
            self.0.fetch_add(tally.sealed, Ordering::Relaxed);
        }
    }
}

pub fn step(round: &Round<'_>, keyring: &Keyring) -> SealingLane {
    SealingLane::new(LaneParts {
        admit: Admit {
            customer: "json:/customer_id".parse().expect("a pointer"),
            time: "json:/occurred_at".parse().expect("a pointer"),
            skip: Skip::None,
            limits: Limits {
                max_future_ms: 300_000,
                grace_ms: 300_000,
                max_event_bytes: 1 << 20,
                output_bytes: MaxMessageBytes::new(1 << 20),
                quarantine_bytes: MaxMessageBytes::new(1 << 20),
                timestamps: TimestampBounds::unlimited(),
            },
        },
        keys: keyring.keys.clone(),
        clock: Arc::clone(&keyring.clock),
        stream: StreamName::parse("bench").expect("a name"),
        input: round.input().to_owned(),
        outputs: Outputs { output: Placement::new(PARTITIONS), classes: Vec::new() },
        partitioner: Partitioner::CustomerHour,
        output_key: OutputKey::Customer,
        clear_headers: Vec::new(),
        batch_bytes: 16 << 20,
        slot_limits: SlotLimits::NONE,
        observer: Box::new(Count(round.count())),
    })
}
