//! Fences and erases one of many hours, as a sweep does, with few statements for each hour.

use super::ScyllaStore;
use super::ask::{Attempts, Cas};
use super::metrics::Settled;
use super::overwrite::{By, live};
use super::rows::HourRows;
use super::seen::fresh;
use crate::keys::{DueHour, HourRow, KeyState, StoreError};
use crate::model::{Digest, Due, Hour, Millis, Token};

impl ScyllaStore {
    /// Returns the rows that the last read at SERIAL saw; the caller unlists the hour by them. The first rows
    /// are not read at SERIAL and may come from the list of due hours. They only say what to write, and the
    /// conditions decide. The read of the customer's holds is not at SERIAL either, and comes after the gate
    /// was seen. A hold is learned at QUORUM before it is put on the gates. So a hold that this read misses
    /// still reaches the gate, and the conditions meet it.
    pub(super) async fn forget_hour(
        &self,
        DueHour { token, hour, due, seen }: DueHour,
        command: Digest,
        now: Millis,
    ) -> Result<Option<HourRow>, StoreError> {
        let mut attempts = Attempts::new(&self.ask);
        let mut rows = match fresh::<HourRows>(&seen) {
            Some(rows) => rows.clone(),
            None => self.read_hour(token, hour).await?,
        };
        let mut is_serial = false;
        loop {
            let free = rows.gate.as_ref().filter(|row| row.gate.hold.is_none());
            let is_done = free.is_some_and(|row| row.gate.fenced) && live(&rows).is_none();
            attempts.settle(if is_done { Settled::Won } else { Settled::None });
            let stays = free.is_none() || is_done || self.read_policy(token).await?.hold_over(hour).is_some();
            if stays && is_serial {
                return Ok(rows.into_hour(token, hour));
            }
            if !stays && let Some(cas) = self.forget_rows((token, hour), rows, due, command, now).await? {
                attempts.again(&cas).await?;
            }
            (rows, is_serial) = (self.read_hour_serial(token, hour).await?, true);
        }
    }

    /// Fences the hour and then overwrites each live key, all on the condition that the rows are as seen.
    /// Returns the first write that was not applied. The next read sees a key that was minted before the
    /// fence was in place.
    async fn forget_rows(
        &self,
        at: (Token, Hour),
        mut seen: HourRows,
        due: Due,
        command: Digest,
        now: Millis,
    ) -> Result<Option<Cas>, StoreError> {
        let mut done = None;
        if !seen.is_fenced() {
            let cas = match (&seen.gate, live(&seen)) {
                (Some(row), Some(key)) => {
                    done = Some(key.generation);
                    self.fence_and_overwrite(at, row, key, command, now).await?
                }
                _ => self.write_fence(at, &seen, due, command, now).await?,
            };
            if !matches!(cas, Cas::Applied) {
                return Ok(Some(cas));
            }
            seen.gate.iter_mut().for_each(|row| row.gate.fenced = true);
        }
        let keys = seen.keys.iter().map(|stored| &stored.key);
        for key in keys.filter(|key| key.state == KeyState::Live && Some(key.generation) != done) {
            let cas = self.overwrite(at, &seen, key, By::Command(command), now).await?;
            if !matches!(cas, Cas::Applied) {
                return Ok(Some(cas));
            }
        }
        Ok(None)
    }
}
