//! Minting: a slot becomes a key that seals, drawn here or adopted from whoever was first.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::envelope::{Dek, NONCE_LEN, SealKey, derive, random, wrap};
use crate::model::{Due, KekId, Millis, Retention, Slot, Token, earliest};

use super::standing::{Standing, open_gates_kek, standing};
use super::{Candidate, KekVault, Keks, KeyRow, KeyState, KeysError, Minted, SealStore, Seen, SlotRef};

/// A key that seals one slot, and until when.
pub struct HourKey {
    pub seal: SealKey,
    /// From this hour on nothing is sealed under it.
    pub due: Due,
}

/// What a lane gets for a slot.
#[derive(Clone)]
pub enum Obtained {
    Key(Arc<HourKey>),
    /// Due to be forgotten: quarantined without content.
    Expired,
    /// Fenced, below the floor, closed or erased: quarantined without content.
    Erased,
}

/// How slots were answered so far.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct MintStats {
    /// DEKs drawn here that became their slot's.
    pub minted: u64,
    /// DEKs that another process, or this one earlier, had minted.
    pub adopted: u64,
    /// Slots that got no key: expired or erased.
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

/// A DEK drawn for a slot. It seals nothing unless the store says that it won.
struct Offer {
    /// Where in the batch its slot stands.
    at: usize,
    seal: SealKey,
    candidate: Candidate,
}

/// What is next for a slot.
enum Next {
    Done(Obtained),
    Offer(Box<Offer>),
}

impl Mint {
    /// How often a batch is wrapped anew because gates were written meanwhile with another due or KEK. A gate
    /// never changes these two, so the second time is the last; more means that somebody else writes to the
    /// store.
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

    /// The KEKs that it has met.
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

    /// The key of each slot, in the order asked; `now` is the worker's clock. What it gives is durable in the
    /// store.
    ///
    /// # Errors
    /// See [`KeysError`]: the whole batch waits, and asking again is safe.
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

    /// Offers candidates to the store; gives back those that must be wrapped anew.
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

    /// What becomes of an offer after the store's answer.
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

    /// Counts and gives the batch, when every slot is settled.
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

    /// Draws a DEK for a slot and wraps it. Where its KEK is destroyed nothing of that hour can be kept:
    /// erased.
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

    /// The key of a row that is already there.
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
    /// Puts a slot's answer in its place, or its offer with the others.
    fn file(self, at: usize, obtained: &mut [Option<Obtained>], offers: &mut Vec<Offer>) {
        match self {
            Self::Done(answer) => obtained[at] = Some(answer),
            Self::Offer(offer) => offers.push(*offer),
        }
    }
}
