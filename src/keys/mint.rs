//! Minting: a slot gets a key that seals. It is generated here, or adopted from the process that was first.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::envelope::{Dek, NONCE_LEN, SealKey, derive, random, wrap};
use crate::model::{Due, KekId, Millis, Retention, Slot, Token, earliest};

use super::standing::{Standing, open_gates_kek, standing};
use super::{Candidate, KekVault, Keks, KeyRow, KeyState, KeysError, Minted, SealStore, Seen, SlotRef};

/// A key that seals one slot, and the time until which it does.
pub struct HourKey {
    pub seal: SealKey,
    /// From this hour on, nothing is sealed under the key.
    pub due: Due,
}

/// The answer that a lane gets for a slot.
#[derive(Clone)]
pub enum Obtained {
    Key(Arc<HourKey>),
    /// The slot is due to be forgotten: its records are quarantined without content.
    Expired,
    /// The slot is fenced, below the floor, closed or erased: its records are quarantined without content.
    Erased,
}

/// Numbers of the answers for slots so far.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct MintStats {
    /// DEKs generated here that became their slot's DEK.
    pub minted: u64,
    /// DEKs that another process, or this process earlier, had minted.
    pub adopted: u64,
    /// Slots without a key: expired or erased.
    pub refused: u64,
}

/// Mints or adopts the DEKs of slots, a batch at a time.
pub struct Mint {
    store: Arc<dyn SealStore>,
    keks: Arc<Keks>,
    quarantine: Retention,
    minted: AtomicU64,
    adopted: AtomicU64,
    refused: AtomicU64,
}

/// A DEK generated for a slot. It seals nothing unless the store reports that it won.
struct Offer {
    /// Index of its slot in the batch.
    at: usize,
    seal: SealKey,
    candidate: Candidate,
}

/// The next step for a slot.
enum Next {
    Done(Obtained),
    Offer(Box<Offer>),
}

impl Mint {
    /// Maximum number of offers of a batch. It is wrapped again if another process has meanwhile written a
    /// gate with another due or KEK. An existing gate changes these two only when its hour gets new terms,
    /// so the second round is almost always the last. If all rounds fail, another program may write to
    /// the store.
    const ROUNDS: u32 = 4;

    /// `quarantine` is the retention of the reserved customer `~quarantine`.
    pub fn new(store: Arc<dyn SealStore>, vault: Arc<dyn KekVault>, quarantine: Retention) -> Self {
        let keks = Arc::new(Keks::new(store.clone(), vault));
        Self {
            store,
            keks,
            quarantine,
            minted: AtomicU64::new(0),
            adopted: AtomicU64::new(0),
            refused: AtomicU64::new(0),
        }
    }

    /// The KEKs that it has used.
    pub fn keks(&self) -> &Keks {
        &self.keks
    }

    pub fn stats(&self) -> MintStats {
        MintStats {
            minted: self.minted.load(Ordering::Relaxed),
            adopted: self.adopted.load(Ordering::Relaxed),
            refused: self.refused.load(Ordering::Relaxed),
        }
    }

    /// See [`ReadStore::token`](super::ReadStore::token).
    pub fn token(&self, slot: &Slot) -> Token {
        self.store.token(&slot.customer)
    }

    /// The key of each slot, in the order asked. `now` is the worker's clock. Each returned key is durable
    /// in the store.
    ///
    /// # Errors
    /// See [`KeysError`]. The whole batch waits, and a retry is safe.
    pub async fn obtain(&self, slots: &[Slot], now: Millis) -> Result<Vec<Obtained>, KeysError> {
        let places: Vec<SlotRef> = slots.iter().map(|slot| self.place(slot)).collect();
        let (store_now, meta, found) =
            tokio::try_join!(self.store.now(), self.store.meta(), self.store.fetch(&places))?;
        let earliest = earliest(now, store_now)?;
        let mut obtained: Vec<Option<Obtained>> = vec![None; slots.len()];
        let mut offers = Vec::new();
        for (at, (slot, found)) in slots.iter().zip(&found).enumerate() {
            let fallback = if slot.customer.is_reserved() { self.quarantine } else { meta.default_retention };
            let next = match standing(found, slot.hour, fallback, earliest)? {
                Standing::Erased => Next::Done(Obtained::Erased),
                Standing::Expired => Next::Done(Obtained::Expired),
                Standing::Minted { due, key } => Next::Done(self.adopt(slot, &key, due).await?),
                Standing::Unminted { due, kek } => {
                    self.offer(at, (slot, places[at]), (due, kek), found.seen.clone()).await?
                }
            };
            next.file(at, &mut obtained, &mut offers);
        }
        for _ in 0..Self::ROUNDS {
            if offers.is_empty() {
                break;
            }
            offers = self.round(slots, offers, earliest, now, &mut obtained).await?;
        }
        self.settled(obtained)
    }

    /// Offers candidates to the store. Returns those that were wrapped again for the next round.
    async fn round(
        &self,
        slots: &[Slot],
        offers: Vec<Offer>,
        earliest: Millis,
        now: Millis,
        obtained: &mut [Option<Obtained>],
    ) -> Result<Vec<Offer>, KeysError> {
        let candidates: Vec<Candidate> = offers.iter().map(|offer| offer.candidate.clone()).collect();
        let minted = self.store.mint(&candidates, now).await?;
        let mut again = Vec::new();
        for (offer, minted) in offers.into_iter().zip(minted) {
            let at = offer.at;
            let next = self.settle(&slots[at], offer, minted, earliest).await?;
            next.file(at, obtained, &mut again);
        }
        Ok(again)
    }

    /// The next step for an offer after the store's answer.
    async fn settle(
        &self,
        slot: &Slot,
        offer: Offer,
        minted: Minted,
        earliest: Millis,
    ) -> Result<Next, KeysError> {
        match minted {
            Minted::Won => Ok(Next::Done(self.won(offer))),
            Minted::Adopted { due, key } => Ok(Next::Done(self.adopt(slot, &key, due).await?)),
            Minted::Fenced(_) | Minted::BelowFloor(_) | Minted::Closed => Ok(Next::Done(Obtained::Erased)),
            Minted::GateDiffers(gate) if gate.due.reached(earliest) => Ok(Next::Done(Obtained::Expired)),
            Minted::GateDiffers(gate) => {
                let place = offer.candidate.slot;
                self.offer(offer.at, (slot, place), (gate.due, open_gates_kek(&gate)?), Seen::nothing()).await
            }
        }
    }

    /// Counts the refused slots and returns the batch, if every slot is settled.
    fn settled(&self, obtained: Vec<Option<Obtained>>) -> Result<Vec<Obtained>, KeysError> {
        let obtained: Vec<Obtained> =
            obtained.into_iter().collect::<Option<_>>().ok_or(KeysError::Contended(Self::ROUNDS))?;
        let refused = obtained.iter().filter(|it| !matches!(it, Obtained::Key(_))).count();
        self.refused.fetch_add(refused as u64, Ordering::Relaxed);
        Ok(obtained)
    }

    fn place(&self, slot: &Slot) -> SlotRef {
        SlotRef { token: self.token(slot), hour: slot.hour, generation: slot.generation }
    }

    /// Generates a DEK for a slot and wraps it. If its KEK is destroyed, no key of that hour can be kept:
    /// the slot counts as erased.
    async fn offer(
        &self,
        at: usize,
        (slot, place): (&Slot, SlotRef),
        (due, kek_id): (Due, KekId),
        seen: Seen,
    ) -> Result<Next, KeysError> {
        let kek = match self.keks.sealing(&*self.store, &kek_id).await {
            Ok(kek) => kek,
            Err(KeysError::KekDestroyed(_)) => return Ok(Next::Done(Obtained::Erased)),
            Err(error) => return Err(error),
        };
        let Slot { customer, hour, generation } = slot;
        let mut nonce = [0; NONCE_LEN];
        random(&mut nonce);
        let dek = Dek::random();
        let seal = derive(&dek, customer, *hour, *generation);
        let commitment = *seal.commitment();
        let wrapped = wrap(&dek, &kek, &kek_id, customer, *hour, *generation, &commitment, nonce);
        let customer = customer.clone();
        let candidate = Candidate { slot: place, customer, due, kek: kek_id, commitment, wrapped, seen };
        Ok(Next::Offer(Box::new(Offer { at, seal, candidate })))
    }

    fn won(&self, offer: Offer) -> Obtained {
        self.minted.fetch_add(1, Ordering::Relaxed);
        Obtained::Key(Arc::new(HourKey { seal: offer.seal, due: offer.candidate.due }))
    }

    /// The key of an existing row.
    async fn adopt(&self, slot: &Slot, row: &KeyRow, due: Due) -> Result<Obtained, KeysError> {
        if row.state != KeyState::Live {
            return Ok(Obtained::Erased);
        }
        match self.keks.open(slot, row).await {
            Ok(seal) => {
                self.adopted.fetch_add(1, Ordering::Relaxed);
                Ok(Obtained::Key(Arc::new(HourKey { seal, due })))
            }
            Err(KeysError::KekDestroyed(_)) => Ok(Obtained::Erased),
            Err(error) => Err(error),
        }
    }
}

impl Next {
    /// Stores a slot's answer at its index, or adds its offer to the others.
    fn file(self, at: usize, obtained: &mut [Option<Obtained>], offers: &mut Vec<Offer>) {
        match self {
            Self::Done(answer) => obtained[at] = Some(answer),
            Self::Offer(offer) => offers.push(*offer),
        }
    }
}
