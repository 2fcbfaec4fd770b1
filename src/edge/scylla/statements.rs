//! Every statement of `schemas/keystore.cql`'s tables, prepared once.
//!
//! `…_serial` reads finish what is under way on their partition. Conditional batches are prepared as one text, so that all
//! conditional statements go one way.

use scylla::client::execution_profile::ExecutionProfileHandle;
use scylla::client::session::Session;
use scylla::statement::Consistency;
use scylla::statement::prepared::PreparedStatement;

use super::session::Profiles;
use crate::keys::StoreError;

/// All of the store's settings.
pub(super) const META: &str = "SELECT name, value FROM meta WHERE part = 'store'";
const KEY_COLUMNS: &str = "hour, generation, state, kek, command, due, hold, kept, key_id, commitment, wrapped, \
                           TTL(wrapped) AS wrapped_ttl, minted_at, erased_at";
const AT_HOUR: &str = "\"token\" = ? AND day = ? AND hour = ?";

/// The prepared statements; the order of their values stands beside each.
pub(super) struct Statements {
    pub(super) now: PreparedStatement,
    /// id
    pub(super) probe: PreparedStatement,

    /// token
    pub(super) name: PreparedStatement,
    /// token
    pub(super) policy: PreparedStatement,
    pub(super) policy_serial: PreparedStatement,
    /// token, day, hour
    pub(super) hour: PreparedStatement,
    pub(super) hour_serial: PreparedStatement,
    /// token, day, from hour, to hour
    pub(super) day_serial: PreparedStatement,

    /// token, name, token, day, ttl
    pub(super) list_customer: PreparedStatement,
    /// token, day, ttl
    pub(super) list_day: PreparedStatement,
    /// due_day, shard, due, token, hour, ttl
    pub(super) list_due: PreparedStatement,
    /// due_day, shard, due, token, hour
    pub(super) unlist_due: PreparedStatement,

    /// KEY: token, day, hour, generation, key_id, commitment, kek, minted_at, marker; secret, wrapped, KEY's four first;
    /// marker, due, kek, hold, kept, token, day, hour
    pub(super) mint_open: PreparedStatement,
    /// as `mint_open` as far as KEY; marker, kek, token, day, hour, due, kek, kept
    pub(super) mint_join: PreparedStatement,

    /// marker, due, kek, command, token, day, hour, kept, due, kek
    pub(super) fence: PreparedStatement,
    /// marker, due, command, token, day, hour
    pub(super) fence_absent: PreparedStatement,
    /// as `fence`; then as `overwrite` from its second marker on
    pub(super) fence_and_overwrite: PreparedStatement,
    /// marker, due, token, day, hour, state; marker, state, erased_at, command, key_id, commitment, kek, minted_at,
    /// token, day, hour, generation, key_id
    pub(super) overwrite: PreparedStatement,
    /// state, due, kek, command, hold, token, day, hour, state, hold
    pub(super) gate_hold: PreparedStatement,
    /// key_id, commitment, kek, wrapped, minted_at, token, day, hour, generation, key_id
    pub(super) keep: PreparedStatement,
    /// marker, state, due, kek, kept, command, token, day, hour, state, due, kek, kept, command
    pub(super) gate_terms: PreparedStatement,
    /// marker, due, token, day, hour, state, kek, kept; marker, key_id, commitment, kek, minted_at, token, day, hour,
    /// generation, key_id, wrapped; secret, wrapped, token, day, hour, generation
    pub(super) rewrap: PreparedStatement,
    /// token, day, hour
    pub(super) delete_hour: PreparedStatement,

    /// id
    pub(super) hold_serial: PreparedStatement,
    pub(super) holds: PreparedStatement,
    /// id, token, from, to
    pub(super) place_hold: PreparedStatement,
    /// id
    pub(super) drop_hold: PreparedStatement,
    /// token, hold, from, to
    pub(super) policy_hold: PreparedStatement,
    /// token, hold
    pub(super) drop_policy_hold: PreparedStatement,
    /// new, token, old
    pub(super) set_retention: PreparedStatement,
    /// new, token, old
    pub(super) set_floor: PreparedStatement,
    /// token
    pub(super) close: PreparedStatement,

    /// id
    pub(super) kek: PreparedStatement,
    pub(super) keks: PreparedStatement,
    pub(super) kek_serial: PreparedStatement,
    /// id, check_value
    pub(super) register_kek: PreparedStatement,
    /// new, id, old
    pub(super) advance_kek: PreparedStatement,

    /// digest
    pub(super) verdict_serial: PreparedStatement,
    /// digest, body
    pub(super) store_verdict: PreparedStatement,
    /// id
    pub(super) command_serial: PreparedStatement,
    /// id, digest
    pub(super) store_command: PreparedStatement,

    pub(super) meta: PreparedStatement,
    pub(super) mark: PreparedStatement,
    pub(super) mark_serial: PreparedStatement,
    /// offset
    pub(super) first_mark: PreparedStatement,
    /// new, old
    pub(super) move_mark: PreparedStatement,

    /// input
    pub(super) started: PreparedStatement,
    /// input, partition
    pub(super) mark_started: PreparedStatement,

    /// limit
    pub(super) customers: PreparedStatement,
    /// token, limit
    pub(super) customers_after: PreparedStatement,
    /// token, from day, to day
    pub(super) days: PreparedStatement,
    /// due_day, shard, due, token, hour, due, token, hour, limit
    pub(super) due: PreparedStatement,
    pub(super) states: PreparedStatement,
}

/// Prepares statements with one of the two profiles.
struct Press<'s> {
    session: &'s Session,
    profiles: &'s Profiles,
}

impl Press<'_> {
    /// A read or an idempotent write.
    async fn plain(&self, text: &str) -> Result<PreparedStatement, StoreError> {
        let mut statement = self.prepare(text, &self.profiles.read).await?;
        statement.set_is_idempotent(true);
        Ok(statement)
    }

    async fn serial(&self, text: &str) -> Result<PreparedStatement, StoreError> {
        let mut statement = self.prepare(text, &self.profiles.lwt).await?;
        statement.set_consistency(Consistency::Serial);
        Ok(statement)
    }

    /// A conditional statement: never idempotent, so that nobody sends it twice.
    async fn cas(&self, text: &str) -> Result<PreparedStatement, StoreError> {
        self.prepare(text, &self.profiles.lwt).await
    }

    async fn prepare(
        &self,
        text: &str,
        profile: &ExecutionProfileHandle,
    ) -> Result<PreparedStatement, StoreError> {
        let mut statement = self.session.prepare(text).await?;
        statement.set_execution_profile_handle(Some(profile.clone()));
        Ok(statement)
    }
}

impl Statements {
    /// # Errors
    /// [`StoreError::Unusable`] for a schema that they do not fit, or missing rights.
    pub(super) async fn prepare(session: &Session, profiles: &Profiles) -> Result<Self, StoreError> {
        let press = Press { session, profiles };
        let hour = format!("SELECT {KEY_COLUMNS} FROM key WHERE {AT_HOUR}");
        let policy =
            "SELECT hold, retention, floor, status, from_hour, to_hour FROM policy WHERE \"token\" = ?";
        let kek = "SELECT id, check_value, state FROM kek WHERE id = ?";
        let mark = "SELECT \"offset\" FROM receipt_mark WHERE part = 'store'";
        let minted = format!(
            "INSERT INTO key (\"token\", day, hour, generation, state, key_id, commitment, kek, minted_at)
               VALUES (?, ?, ?, ?, 1, ?, ?, ?, ?) IF NOT EXISTS USING TTL ?;
             UPDATE key USING TTL ? SET wrapped = ? WHERE {AT_HOUR} AND generation = ?;"
        );
        let fenced = format!(
            "UPDATE key USING TTL ? SET state = 2, due = ?, kek = ?, command = ?
               WHERE {AT_HOUR} AND generation = -1 IF state = 1 AND hold = null AND kept = ? AND due = ? AND kek = ?"
        );
        let overwritten = format!(
            "UPDATE key USING TTL ? SET state = ?, wrapped = 0x, erased_at = ?, command = ?,
                 key_id = ?, commitment = ?, kek = ?, minted_at = ?
               WHERE {AT_HOUR} AND generation = ? IF state = 1 AND key_id = ?"
        );
        Ok(Self {
            now: press.plain("SELECT toTimestamp(now()) AS now FROM system.local").await?,
            probe: press
                .cas("INSERT INTO probe (id, part, value) VALUES (?, 0, 0) IF NOT EXISTS USING TTL 60")
                .await?,
            name: press.plain("SELECT name FROM customer WHERE \"token\" = ? LIMIT 1").await?,
            policy: press.plain(policy).await?,
            policy_serial: press.serial(policy).await?,
            hour: press.plain(&hour).await?,
            hour_serial: press.serial(&hour).await?,
            day_serial: press
                .serial(&format!(
                    "SELECT {KEY_COLUMNS} FROM key WHERE \"token\" = ? AND day = ? AND hour >= ? AND hour <= ?"
                ))
                .await?,
            list_customer: press
                .plain(
                    "BEGIN UNLOGGED BATCH
                     INSERT INTO customer (\"token\", name) VALUES (?, ?);
                     INSERT INTO customer (\"token\", day) VALUES (?, ?) USING TTL ?;
                     APPLY BATCH",
                )
                .await?,
            list_day: press.plain("INSERT INTO customer (\"token\", day) VALUES (?, ?) USING TTL ?").await?,
            list_due: press
                .plain("INSERT INTO due (due_day, shard, due, \"token\", hour) VALUES (?, ?, ?, ?, ?) USING TTL ?")
                .await?,
            unlist_due: press
                .plain("DELETE FROM due WHERE due_day = ? AND shard = ? AND due = ? AND \"token\" = ? AND hour = ?")
                .await?,
            mint_open: press
                .cas(&format!(
                    "BEGIN BATCH {minted}
                     UPDATE key USING TTL ? SET state = 1, due = ?, kek = ?, hold = ?, kept = ?
                       WHERE {AT_HOUR} AND generation = -1 IF state = null;
                     APPLY BATCH"
                ))
                .await?,
            mint_join: press
                .cas(&format!(
                    "BEGIN BATCH {minted}
                     UPDATE key USING TTL ? SET kek = ?
                       WHERE {AT_HOUR} AND generation = -1 IF state = 1 AND due = ? AND kek = ? AND kept = ?;
                     APPLY BATCH"
                ))
                .await?,
            fence: press.cas(&fenced).await?,
            fence_and_overwrite: press
                .cas(&format!("BEGIN BATCH {fenced}; {overwritten}; APPLY BATCH"))
                .await?,
            fence_absent: press
                .cas(&format!(
                    "UPDATE key USING TTL ? SET state = 2, due = ?, kek = '', command = ?, kept = false
                       WHERE {AT_HOUR} AND generation = -1 IF state = null"
                ))
                .await?,
            overwrite: press
                .cas(&format!(
                    "BEGIN BATCH
                     UPDATE key USING TTL ? SET due = ?
                       WHERE {AT_HOUR} AND generation = -1 IF state = ? AND hold = null;
                     {overwritten};
                     APPLY BATCH"
                ))
                .await?,
            gate_hold: press
                .cas(&format!(
                    "UPDATE key USING TTL 0 SET state = ?, due = ?, kek = ?, command = ?, hold = ?, kept = true
                       WHERE {AT_HOUR} AND generation = -1 IF state = ? AND hold = ?"
                ))
                .await?,
            keep: press
                .cas(&format!(
                    "UPDATE key USING TTL 0 SET state = 1, key_id = ?, commitment = ?, kek = ?, wrapped = ?, minted_at = ?
                       WHERE {AT_HOUR} AND generation = ? IF state = 1 AND key_id = ?"
                ))
                .await?,
            gate_terms: press
                .cas(&format!(
                    "UPDATE key USING TTL ? SET state = ?, due = ?, kek = ?, kept = ?, command = ?
                       WHERE {AT_HOUR} AND generation = -1
                       IF state = ? AND due = ? AND kek = ? AND kept = ? AND command = ?"
                ))
                .await?,
            rewrap: press
                .cas(&format!(
                    "BEGIN BATCH
                     UPDATE key USING TTL ? SET due = ?
                       WHERE {AT_HOUR} AND generation = -1 IF state = ? AND kek = ? AND kept = ?;
                     UPDATE key USING TTL ? SET state = 1, key_id = ?, commitment = ?, kek = ?, minted_at = ?
                       WHERE {AT_HOUR} AND generation = ? IF state = 1 AND key_id = ? AND wrapped = ?;
                     UPDATE key USING TTL ? SET wrapped = ? WHERE {AT_HOUR} AND generation = ?;
                     APPLY BATCH"
                ))
                .await?,
            delete_hour: press.cas(&format!("DELETE FROM key WHERE {AT_HOUR} AND generation = ? IF state = ?")).await?,
            hold_serial: press.serial("SELECT id, \"token\", from_hour, to_hour FROM hold WHERE id = ?").await?,
            holds: press.plain("SELECT id, \"token\", from_hour, to_hour FROM hold").await?,
            place_hold: press
                .cas("INSERT INTO hold (id, \"token\", from_hour, to_hour) VALUES (?, ?, ?, ?) IF NOT EXISTS")
                .await?,
            drop_hold: press.cas("DELETE FROM hold WHERE id = ? IF EXISTS").await?,
            policy_hold: press
                .cas("INSERT INTO policy (\"token\", hold, from_hour, to_hour) VALUES (?, ?, ?, ?) IF NOT EXISTS")
                .await?,
            drop_policy_hold: press.cas("DELETE FROM policy WHERE \"token\" = ? AND hold = ? IF EXISTS").await?,
            set_retention: press.cas("UPDATE policy SET retention = ? WHERE \"token\" = ? IF retention = ?").await?,
            set_floor: press.cas("UPDATE policy SET floor = ? WHERE \"token\" = ? IF floor = ?").await?,
            close: press.cas("UPDATE policy SET status = 1 WHERE \"token\" = ? IF status = null").await?,
            kek: press.plain(kek).await?,
            keks: press.plain("SELECT id, check_value, state FROM kek").await?,
            kek_serial: press.serial(kek).await?,
            register_kek: press
                .cas("INSERT INTO kek (id, check_value, state) VALUES (?, ?, 1) IF NOT EXISTS")
                .await?,
            advance_kek: press.cas("UPDATE kek SET state = ? WHERE id = ? IF state = ?").await?,
            verdict_serial: press.serial("SELECT body FROM verdict WHERE digest = ?").await?,
            store_verdict: press.cas("INSERT INTO verdict (digest, body) VALUES (?, ?) IF NOT EXISTS").await?,
            command_serial: press.serial("SELECT digest FROM command WHERE id = ?").await?,
            store_command: press.cas("INSERT INTO command (id, digest) VALUES (?, ?) IF NOT EXISTS").await?,
            meta: press.plain(META).await?,
            mark: press.plain(mark).await?,
            mark_serial: press.serial(mark).await?,
            first_mark: press
                .cas("INSERT INTO receipt_mark (part, \"offset\") VALUES ('store', ?) IF NOT EXISTS")
                .await?,
            move_mark: press
                .cas("UPDATE receipt_mark SET \"offset\" = ? WHERE part = 'store' IF \"offset\" = ?")
                .await?,
            started: press.plain("SELECT partition FROM started WHERE input = ?").await?,
            mark_started: press.plain("INSERT INTO started (input, partition) VALUES (?, ?)").await?,
            customers: press.plain("SELECT DISTINCT \"token\", name FROM customer LIMIT ?").await?,
            customers_after: press
                .plain("SELECT DISTINCT \"token\", name FROM customer WHERE token(\"token\") > token(?) LIMIT ?")
                .await?,
            days: press
                .plain("SELECT day FROM customer WHERE \"token\" = ? AND day >= ? AND day <= ?")
                .await?,
            due: press
                .plain(
                    "SELECT due, \"token\", hour FROM due WHERE due_day = ? AND shard = ?
                       AND (due, \"token\", hour) > (?, ?, ?) AND (due, \"token\", hour) <= (?, ?, ?) LIMIT ?",
                )
                .await?,
            states: press
                .plain("SELECT \"token\", hour, generation, state, kek, writetime(wrapped) AS wrapped_at FROM key")
                .await?,
        })
    }
}
