//! Changing how long a customer's data is kept: the rule for hours to come, and new terms for those that are not due yet.
//!
//! Promise: an hour that was due when the change was decided stays due, and no hour falls due at once: at the soonest with the
//! full hour that follows the decision. It stays so when its rows have faded, or if it never had any: the customer's floor is moved
//! up behind what was due by the rule before. A KEK's day never ends before what it wraps is due; where the retention becomes
//! shorter, keys stay under the KEK that copies of them are wrapped by, so that what receipts say of these copies holds.

use std::sync::Arc;
use std::time::Duration;

use super::context::{Desk, Trouble, time};
use super::once;
use crate::forget::decide::change::Change;
use crate::keys::{DecisionStore, KekVault, Keks, KeysError, Ring, Store, rewrap};
use crate::model::{Hour, KekId, Millis};
use crate::telemetry::{codes, warn};

/// How long a change waits before it looks for hours once more: whoever read the old rule has minted by then, or has given up.
pub const SETTLES_IN: Duration = Ring::LONGEST_FLIGHT.saturating_add(Duration::from_secs(5));

impl Change {
    /// The floor, so that what was due is not kept for longer by the new rule. Then the rule, so that whatever is minted by it from then on has its terms; then every hour that there is. False where
    /// keys of an hour do not open, and it keeps what it has.
    pub async fn make(&self, store: &dyn Store, keks: &Keks, now: Millis) -> Result<bool, Trouble> {
        let before = match self.before {
            Some(before) => before,
            None => store.meta().await?.default_retention,
        };
        let rows = store.hours(self.token, Hour(0), Hour(u32::MAX)).await?;
        store.raise_floor(self.token, self.floor(&rows, before)).await?;
        failpoint!("retention-floored");
        if !store.set_retention(self.token, self.before, Some(self.retention)).await? {
            return Ok(true);
        }
        failpoint!("retention-ruled");
        let only = Some((self.token, self.retention));
        let mut is_whole = true;
        for row in store.hours(self.token, Hour(0), Hour(u32::MAX)).await? {
            if let Some(due) = self.fence_until(&row) {
                store.keep_fence(row.token, row.hour, due, now).await?;
            }
            let Some(terms) = self.terms(&row).filter(|terms| !terms.are_of(&row)) else { continue };
            // A day is looked through for what is due because it has a KEK.
            keks.sealing(store, &KekId::of_due(terms.due)).await?;
            match rewrap(store, keks, (row.token, row.hour), |row| self.terms(row), only, now).await {
                Ok(()) => {}
                // From a backup that is older than the end of its day: there is nothing left to keep.
                Err(KeysError::KekDestroyed(_)) => {}
                // No waiting mends it, and commands do not wait for it.
                Err(error) if is_of_the_hour(&error) => {
                    is_whole = false;
                    warn!(codes::TERMS_KEPT, %error, "an hour keeps its due: its keys cannot be wrapped anew");
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(is_whole)
    }

    /// Once more, and then remembers that it is made: it is never made again, because hours that came later have terms of
    /// their own.
    pub async fn settle(&self, store: &dyn Store, keks: &Keks, now: Millis) -> Result<(), Trouble> {
        if !self.make(store, keks, now).await? {
            return Ok(());
        }
        failpoint!("retention-made");
        once::made(store, self.command).await?;
        failpoint!("retention-settled");
        Ok(())
    }

    pub async fn is_made(&self, store: &dyn DecisionStore) -> Result<bool, Trouble> {
        Ok(once::is_made(store, self.command).await?)
    }
}

/// What a person has to look at, and what concerns no other hour.
fn is_of_the_hour(error: &KeysError) -> bool {
    use KeysError::{Contradiction, KekDiffers, KekMissing, WrongKey};
    matches!(error, Contradiction(_) | KekDiffers(_) | KekMissing(_) | WrongKey(_))
}

/// Makes changes, and settles them together: each waits for whoever had read the rule before it.
pub(in crate::forget) struct Changes<'a> {
    desk: &'a Desk,
    keks: Keks,
    open: Vec<Change>,
}

impl<'a> Changes<'a> {
    pub fn new(desk: &'a Desk) -> Self {
        let keks = Keks::new(desk.store.clone(), Arc::clone(&desk.vault));
        Self { desk, keks, open: Vec::new() }
    }

    /// Two changes of one customer are made one after the other. False where an hour keeps what it has.
    pub async fn make(&mut self, change: Change) -> Result<bool, Trouble> {
        if change.is_made(&*self.desk.store).await? {
            return Ok(true);
        }
        if self.open.iter().any(|open| open.token == change.token) {
            self.settle().await?;
        }
        let is_whole = change.make(&*self.desk.store, &self.keks, self.now().await?).await?;
        self.open.push(change);
        Ok(is_whole)
    }

    pub fn are_settled(&self) -> bool {
        self.open.is_empty()
    }

    /// Waits, looks once more, and remembers.
    pub async fn settle(&mut self) -> Result<(), Trouble> {
        if self.open.is_empty() {
            return Ok(());
        }
        tokio::time::sleep(self.desk.settles_in).await;
        for change in std::mem::take(&mut self.open) {
            change.settle(&*self.desk.store, &self.keks, self.now().await?).await?;
        }
        Ok(())
    }

    async fn now(&self) -> Result<Millis, Trouble> {
        time(&*self.desk.store, &*self.desk.clock).await
    }
}

/// For a store that is behind its receipts: nobody mints by it yet.
pub(in crate::forget) async fn restore_change(
    store: &Arc<dyn Store>,
    vault: &Arc<dyn KekVault>,
    change: &Change,
    now: Millis,
) -> Result<bool, Trouble> {
    if change.is_made(&**store).await? {
        return Ok(false);
    }
    let keks = Keks::new(store.clone(), Arc::clone(vault));
    change.settle(&**store, &keks, now).await.map(|()| true)
}
