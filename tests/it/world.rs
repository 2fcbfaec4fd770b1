//! Shared parts of the tests: a clock that does not move by itself, a store that can be watched and
//! blocked, small names.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use hourseal::edge::kek::FileVault;
use hourseal::edge::sqlite::{OpenOptions, STEPS, SqliteStore};
use hourseal::keys::*;
use hourseal::model::*;
use tempfile::TempDir;
use tokio::sync::Semaphore;

/// The hour at which tests begin: 2026-11-24T00:00Z.
pub const HOUR: Hour = Hour(498_816);

pub const DAY: Retention = Retention::hours(24).expect("not zero");

/// Whether `tests/run --long` runs the tests.
pub fn long_tier() -> bool {
    std::env::var("HOURSEAL_TIER").is_ok_and(|tier| tier == "long")
}

pub fn customer(id: &str) -> CustomerId {
    CustomerId::parse(id).expect("a valid id")
}

pub fn slot(id: &str, hour: Hour, generation: u16) -> Slot {
    Slot { customer: customer(id), hour, generation: Generation(generation) }
}

pub fn command(byte: u8) -> Digest {
    Digest([byte; 32])
}

pub fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    hourseal::envelope::random(&mut bytes);
    bytes
}

/// A clock that moves only when a test moves it.
pub struct StillClock {
    now: AtomicI64,
    boot: AtomicU64,
}

impl StillClock {
    pub fn at(hour: Hour) -> Arc<Self> {
        Arc::new(Self { now: AtomicI64::new(hour.start().0), boot: AtomicU64::new(1_000_000) })
    }

    /// Moves the calendar time and the boot time.
    pub fn advance(&self, milliseconds: i64) {
        self.now.fetch_add(milliseconds, Ordering::SeqCst);
        self.boot.fetch_add(milliseconds.unsigned_abs(), Ordering::SeqCst);
    }
}

impl Clock for StillClock {
    fn now(&self) -> Millis {
        Millis(self.now.load(Ordering::SeqCst))
    }

    fn boot_ms(&self) -> u64 {
        self.boot.load(Ordering::SeqCst)
    }
}

/// A folder with a vault and an embedded store, a clock for the process and one for the store, and a spy in
/// front of the store.
pub struct World {
    pub folder: TempDir,
    pub clock: Arc<StillClock>,
    pub store_clock: Arc<StillClock>,
    pub vault: Arc<FileVault>,
    pub spy: Arc<Spy>,
}

impl World {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let (clock, store_clock) = (StillClock::at(HOUR), StillClock::at(HOUR));
        let vault = FileVault::open_or_create(&folder.path().join("kek"), &folder.path().join("root.key"));
        let vault = Arc::new(vault.expect("a new vault"));
        let store = open_sqlite(&folder, vault.id(), store_clock.clone()).expect("a new store");
        Self { folder, clock, store_clock, vault, spy: Spy::on(Arc::new(store)) }
    }

    /// Creates a world with the keys in another store. That store uses this world's clock for the store.
    pub async fn on<S: Future<Output = Arc<dyn Store>>>(open: impl FnOnce(VaultId) -> S) -> Self {
        let world = Self::new();
        let spy = Spy::at(open(world.vault.id()).await, Some(world.store_clock.clone()));
        Self { spy, ..world }
    }

    pub fn store(&self) -> &dyn Store {
        &*self.spy.store
    }

    pub fn mint(&self) -> Mint {
        Mint::new(self.spy.clone(), self.vault.clone(), Retention::hours(48).expect("not zero"))
    }

    pub fn finder(&self) -> Finder {
        Finder::new(self.spy.clone(), self.vault.clone())
    }

    /// Runs SQL directly on the store's file, without the store.
    pub fn sql(&self, sql: &str) {
        let raw =
            rusqlite::Connection::open(self.folder.path().join("data/keys.db")).expect("the store's file");
        raw.execute_batch(sql).expect("valid SQL");
    }

    pub fn place(&self, slot: &Slot) -> SlotRef {
        SlotRef { token: self.store().token(&slot.customer), hour: slot.hour, generation: slot.generation }
    }

    /// Fences and erases the hour of a slot.
    pub async fn erase(&self, slot: &Slot, by: Digest) {
        let token = self.store().token(&slot.customer);
        let fence =
            self.store().fence(token, slot.hour, Due::of(slot.hour, DAY), by).await.expect("it answers");
        assert_eq!(fence, Fence::Fenced);
        let erasure = self.store().erase(token, slot.hour, by, slot.hour.start()).await.expect("it answers");
        assert!(matches!(erasure, Erasure::Erased(_)));
    }
}

pub fn open_sqlite(
    folder: &TempDir,
    vault: VaultId,
    clock: Arc<dyn Clock>,
) -> Result<SqliteStore, StoreError> {
    let options = OpenOptions {
        vault,
        default_retention: DAY,
        max_lease_ms: 60_000,
        create: true,
        steps: STEPS,
        clock,
    };
    SqliteStore::open(&folder.path().join("data/keys.db"), options)
}

/// Returns the key of an answer, or panics with the answer's name.
pub fn key(obtained: &Obtained) -> &Arc<HourKey> {
    match obtained {
        Obtained::Key(key) => key,
        Obtained::Expired => panic!("expired"),
        Obtained::Erased => panic!("erased"),
    }
}

/// A store that counts calls, and can be unavailable or delayed.
pub struct Spy {
    pub store: Arc<dyn Store>,
    pub fetched: AtomicU64,
    /// Number of slots of each fetch, in the order of the answers.
    pub fetches: Mutex<Vec<usize>>,
    /// Number of fetches that are not answered yet, and the largest number so far.
    flying: AtomicU64,
    most_flying: AtomicU64,
    pub minted: AtomicU64,
    /// Number of computed tokens, and number of requested KEKs.
    pub tokens: AtomicU64,
    pub keks: AtomicU64,
    pub away: AtomicBool,
    /// Each fetch waits for this lock after the store has answered it, and before it passes the answer on.
    pub held_up: tokio::sync::RwLock<()>,
    /// One permit for each fetch that may still be answered.
    passes: Semaphore,
    /// The candidate that another process mints just before the next mint.
    pub forestalled_by: Mutex<Option<Candidate>>,
    /// The clock that the store reports; `None` for the store's own clock.
    clock: Option<Arc<StillClock>>,
}

impl Spy {
    pub fn on(store: Arc<dyn Store>) -> Arc<Self> {
        Self::at(store, None)
    }

    fn at(store: Arc<dyn Store>, clock: Option<Arc<StillClock>>) -> Arc<Self> {
        Arc::new(Self {
            store,
            fetched: AtomicU64::new(0),
            fetches: Mutex::default(),
            flying: AtomicU64::new(0),
            most_flying: AtomicU64::new(0),
            minted: AtomicU64::new(0),
            tokens: AtomicU64::new(0),
            keks: AtomicU64::new(0),
            away: AtomicBool::new(false),
            held_up: tokio::sync::RwLock::new(()),
            passes: Semaphore::new(Semaphore::MAX_PERMITS),
            forestalled_by: Mutex::new(None),
            clock,
        })
    }

    /// Returns the number of slots that the store was asked for so far.
    pub fn fetched(&self) -> u64 {
        self.fetched.load(Ordering::SeqCst)
    }

    /// Returns the largest number of simultaneous fetches.
    pub fn most_flying(&self) -> u64 {
        self.most_flying.load(Ordering::SeqCst)
    }

    /// Answers this number of further fetches, and then none until the next call.
    pub fn answer_only(&self, fetches: usize) {
        self.passes.forget_permits(Semaphore::MAX_PERMITS);
        self.passes.add_permits(fetches);
    }

    fn there(&self) -> Result<&dyn Store, StoreError> {
        match self.away.load(Ordering::SeqCst) {
            true => Err(StoreError::Unavailable("it is away".to_owned())),
            false => Ok(&*self.store),
        }
    }
}

/// Passes calls on to the watched store.
macro_rules! passes_on {
    ($of:ident { $($own:tt)* } $($name:ident($($value:ident: $is:ty),*) -> $answer:ty;)*) => {
        #[async_trait]
        impl $of for Spy {
            $($own)*
            $(async fn $name(&self, $($value: $is),*) -> Result<$answer, StoreError> {
                self.there()?.$name($($value),*).await
            })*
        }
    };
}

passes_on! {
    ReadStore {
        async fn now(&self) -> Result<Millis, StoreError> {
            let now = self.there()?.now().await?;
            Ok(self.clock.as_ref().map_or(now, |clock| clock.now()))
        }
        fn token_key(&self) -> &Arc<TokenKey> {
            self.store.token_key()
        }
        fn token(&self, customer: &CustomerId) -> Token {
            self.tokens.fetch_add(1, Ordering::SeqCst);
            self.store.token(customer)
        }
        async fn fetch(&self, slots: &[SlotRef]) -> Result<Vec<Found>, StoreError> {
            let there = self.there()?;
            self.most_flying.fetch_max(self.flying.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            let found = there.fetch(slots).await;
            self.fetched.fetch_add(slots.len() as u64, Ordering::SeqCst);
            let _passes = self.held_up.read().await;
            self.passes.acquire().await.expect("never closed").forget();
            self.fetches.lock().expect("not poisoned").push(slots.len());
            self.flying.fetch_sub(1, Ordering::SeqCst);
            found
        }
        async fn kek(&self, id: &KekId) -> Result<Option<KekRow>, StoreError> {
            self.keks.fetch_add(1, Ordering::SeqCst);
            self.there()?.kek(id).await
        }
    }
    meta() -> Meta;
    keks() -> Vec<KekRow>;
    customer(token: Token) -> Option<Customer>;
    customers(after: Option<Token>, limit: usize) -> Vec<(Token, Customer)>;
    hours(token: Token, from: Hour, to: Hour) -> Vec<HourRow>;
    due_hours(until: Due, after: Option<&DueHour>, limit: usize) -> Vec<DueHour>;
    hold(id: &HoldId) -> Option<Hold>;
    holds() -> Vec<Hold>;
    live_keys() -> BTreeMap<KekId, u64>;
    hours_under(kek: &KekId, limit: usize) -> Vec<(Token, Hour)>;
    count_keys() -> (u64, u64, u64);
    placement(topic: &str) -> Option<i32>;
}

passes_on! {
    SealStore {
        async fn mint(&self, candidates: &[Candidate], now: Millis) -> Result<Vec<Minted>, StoreError> {
            let forestaller = self.forestalled_by.lock().expect("not poisoned").take();
            if let Some(forestaller) = forestaller {
                self.there()?.mint(&[forestaller], now).await?;
            }
            self.minted.fetch_add(candidates.len() as u64, Ordering::SeqCst);
            self.there()?.mint(candidates, now).await
        }
    }
    check_writable() -> ();
    register_kek(id: &KekId, check: [u8; 16]) -> KekRow;
    started(input: &str) -> Vec<Started>;
    mark_started(input: &str, partitions: &[Started]) -> ();
    set_placement(topic: &str, seen: Option<i32>, to: i32) -> i32;
}

passes_on! {
    EraseStore {}
    fence(token: Token, hour: Hour, due: Due, command: Digest) -> Fence;
    keep_fence(token: Token, hour: Hour, due: Due, now: Millis) -> ();
    erase(token: Token, hour: Hour, command: Digest, now: Millis) -> Erasure;
    forget(hours: &[DueHour], command: Digest, now: Millis) -> Vec<Option<HourRow>>;
    rewrap(terms: &Rewrap, now: Millis) -> Option<HourRow>;
    expire_markers(until: Due) -> u64;
    expire_secrets(until: Due, now: Millis) -> u64;
}

passes_on! {
    DecisionStore {}
    place_hold(hold: &Hold) -> Placed;
    release_hold(id: &HoldId) -> ();
    set_retention(token: Token, seen: Option<Retention>, to: Option<Retention>) -> bool;
    raise_floor(token: Token, floor: Hour) -> ();
    close_customer(token: Token) -> ();
    store_verdict(digest: Digest, id: &str, body: &[u8]) -> Stored;
    verdict(digest: Digest) -> Option<Vec<u8>>;
    applied_receipt(offset: i64) -> ();
    advance_kek(id: &KekId, to: KekState) -> Option<KekRow>;
}
