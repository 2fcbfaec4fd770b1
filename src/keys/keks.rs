//! KEKs in memory, each checked against the store's `kek` table before its first use.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::envelope::{Kek, SealKey, derive, hkdf, unwrap};
use crate::model::{KekId, Slot};

use super::{KekRow, KekState, KekVault, KeyRow, KeysError, ReadStore, SealStore};

/// check value = HKDF-SHA256(ikm = KEK, salt = "", info = "hourseal/1 check" ‖ u16 len ‖ kek id, 16 bytes)
/// (`schemas/kek-file.md`). It is public: it distinguishes KEKs and reveals nothing of them.
pub fn check_value(kek: &Kek, id: &KekId) -> [u8; 16] {
    let id = id.as_str().as_bytes();
    let len = u16::try_from(id.len()).expect("a KEK id is short").to_be_bytes();
    let mut check = [0; 16];
    hkdf(kek.expose(), &[b"hourseal/1 check", &len, id], &mut check);
    check
}

/// The KEKs that this process has used, at most 4,096. The days that end soonest are removed first.
pub struct Keks {
    store: Arc<dyn ReadStore>,
    vault: Arc<dyn KekVault>,
    cache: Mutex<Cache>,
}

#[derive(Default)]
struct Cache {
    met: BTreeMap<KekId, Met>,
    /// Changes each time a KEK is forgotten. A KEK requested before the change is not kept after it.
    epoch: u64,
}

/// A KEK whose check value the store confirmed.
#[derive(Clone)]
struct Met {
    kek: Arc<Kek>,
    /// Whether the KEK was live when the store confirmed it. A day's KEK closes after its day, when no key
    /// due on that day is minted any more.
    live: bool,
}

impl Keks {
    /// More than the days of the longest retention (65,535 h = 2,731 days), so that all live ones fit.
    const CAPACITY: usize = 4_096;

    pub fn new(store: Arc<dyn ReadStore>, vault: Arc<dyn KekVault>) -> Self {
        Self { store, vault, cache: Mutex::default() }
    }

    /// The KEK that wraps new DEKs: found or created, registered and live. `registrar` is the store that
    /// registers a new one. A reader has no registrar.
    ///
    /// An id that the store knows is never created again, even if the vault lost its KEK.
    ///
    /// # Errors
    /// See [`KeysError`]. Returns a KEK only if store and vault agree on it.
    pub async fn sealing(&self, registrar: &dyn SealStore, id: &KekId) -> Result<Arc<Kek>, KeysError> {
        if let Some(met) = self.met(id).filter(|met| met.live) {
            return Ok(met.kek);
        }
        let epoch = self.cache().epoch;
        let met = match self.store.kek(id).await? {
            Some(row) => self.meet(row).await?,
            None => {
                let kek = self.vault.create(id).await?;
                let row = registrar.register_kek(id, check_value(&kek, id)).await?;
                agreed(kek, &row)?
            }
        };
        self.remember(id, &met, epoch);
        if met.live { Ok(met.kek) } else { Err(KeysError::KekClosing(id.clone())) }
    }

    /// The KEK that unwraps a row's DEK. It is found, never created.
    ///
    /// # Errors
    /// See [`KeysError`].
    pub async fn opening(&self, id: &KekId) -> Result<Arc<Kek>, KeysError> {
        if let Some(met) = self.met(id) {
            return Ok(met.kek);
        }
        let epoch = self.cache().epoch;
        let row =
            self.store.kek(id).await?.ok_or(KeysError::Contradiction("its KEK was never registered"))?;
        let met = self.meet(row).await?;
        self.remember(id, &met, epoch);
        Ok(met.kek)
    }

    /// Forgets a KEK. The next request for it asks the store first.
    pub fn forget(&self, id: &KekId) {
        let mut cache = self.cache();
        cache.met.remove(id);
        cache.epoch += 1;
    }

    /// Forgets all KEKs.
    pub fn clear(&self) {
        let mut cache = self.cache();
        cache.met.clear();
        cache.epoch += 1;
    }

    /// Unwraps a live row's DEK and proves, in constant time, that it is the one that the row commits to.
    ///
    /// # Errors
    /// [`KeysError::WrongKey`] if it is not, or if the row belongs to another slot or KEK.
    pub async fn open(&self, slot: &Slot, row: &KeyRow) -> Result<SealKey, KeysError> {
        let Slot { customer, hour, generation } = slot;
        let wrapped = row.wrapped.as_ref().ok_or(KeysError::Contradiction("a live key without its bytes"))?;
        let kek = self.opening(&row.kek).await?;
        let dek = unwrap(wrapped, &kek, &row.kek, customer, *hour, *generation, &row.commitment)
            .map_err(|_| KeysError::WrongKey(row.key_id))?;
        let seal = derive(&dek, customer, *hour, *generation);
        if seal.commits_to(&row.commitment) && seal.is_named(row.key_id) {
            Ok(seal)
        } else {
            Err(KeysError::WrongKey(row.key_id))
        }
    }

    async fn meet(&self, row: KekRow) -> Result<Met, KeysError> {
        if row.state == KekState::Destroyed {
            return Err(KeysError::KekDestroyed(row.id));
        }
        match self.vault.find(&row.id).await? {
            Some(kek) => agreed(kek, &row),
            None => Err(KeysError::KekMissing(row.id)),
        }
    }

    fn met(&self, id: &KekId) -> Option<Met> {
        self.cache().met.get(id).cloned()
    }

    fn remember(&self, id: &KekId, met: &Met, epoch: u64) {
        let mut cache = self.cache();
        if cache.epoch != epoch {
            return;
        }
        cache.met.insert(id.clone(), met.clone());
        if cache.met.len() > Self::CAPACITY {
            cache.met.pop_first();
        }
    }

    fn cache(&self) -> MutexGuard<'_, Cache> {
        self.cache.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Compares the vault's KEK with the one that the store registered.
fn agreed(kek: Kek, row: &KekRow) -> Result<Met, KeysError> {
    if check_value(&kek, &row.id) != row.check {
        return Err(KeysError::KekDiffers(row.id.clone()));
    }
    match row.state {
        KekState::Live => Ok(Met { kek: Arc::new(kek), live: true }),
        KekState::Closing => Ok(Met { kek: Arc::new(kek), live: false }),
        KekState::Destroyed => Err(KeysError::KekDestroyed(row.id.clone())),
    }
}
