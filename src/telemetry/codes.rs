//! Every event code that a log line can carry. A code is never reused for another meaning.
//!
//! The codes are private to this crate, so that the compiler warns of a code that no line carries.
//!
//! The comments are the text of `docs/logs.md`, which a test generates. `Action:` begins what an operator
//! does.
//!
//! HS10xx the process · HS11xx configuration and topics · HS12xx lanes · HS13xx keys and store · HS14xx
//! forgetting · HS15xx the admin port · HS20xx the client libraries.

#![cfg_attr(not(feature = "edges"), allow(dead_code, reason = "the edges write most of the lines"))]

use std::fmt;

/// A log line's event code, such as `HS1001`. Only this file creates codes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Code {
    text: &'static str,
    always: bool,
}

impl Code {
    pub const fn as_str(self) -> &'static str {
        self.text
    }

    /// Whether each of its lines tells something else, and is written. Of the others, the log leaves out
    /// those that come within a second.
    pub(super) fn is_always_written(self) -> bool {
        self.always
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text)
    }
}

/// The code with this text.
pub(super) fn find(text: &str) -> Option<Code> {
    ALL.iter().find(|code| code.text == text).copied()
}

/// The code of a line that a library wrote, by its module.
pub(super) fn of_library(module: &str) -> Code {
    if module.starts_with("scylla") { STORE_DRIVER } else { OTHER_LIBRARY }
}

/// `always`: the log leaves out none of its lines.
macro_rules! codes {
    (@) => { false };
    (@ always) => { true };
    ($($(#[doc = $doc:literal])+ $name:ident = $code:literal $($always:ident)?;)+) => {
        $(
            $(#[doc = $doc])+
            pub(crate) const $name: Code = Code { text: $code, always: codes!(@ $($always)?) };
        )+

        const ALL: &[Code] = &[$($name),+];
    };
}

codes! {
    /// The process starts.
    STARTED = "HS1001";
    /// All parts are built, and the lanes start.
    RUNNING = "HS1002";
    /// A signal asks the process to stop.
    STOPPING = "HS1003";
    /// Every batch is settled, and the process ends.
    STOPPED = "HS1004";
    /// A second signal ends the process at once.
    STOPPED_AT_ONCE = "HS1005" always;
    /// The last line of a process that ends by itself. The process does not repair this fault.
    /// Action: fix the reason that the line names. `hint` says how, and `exit` is the exit code of
    /// `docs/process.md`.
    GAVE_UP = "HS1006" always;
    /// A call is stuck although a broker answers.
    /// Action: let the supervisor restart the process. Report it if it happens again.
    WATCHDOG = "HS1007" always;
    /// Memory that holds keys could not be locked.
    /// Action: raise the limit of locked memory, for example `LimitMEMLOCK=` of systemd.
    MEMORY_NOT_LOCKED = "HS1008";
    /// The clocks of worker and key store disagree by more than 30 s.
    /// Action: synchronise the clocks of the worker and of the key store.
    CLOCKS_DISAGREE = "HS1009";
    /// Core dumps or debuggers can read keys.
    /// Action: allow what the line names, or set `process.dumpable = false`.
    EXPOSED = "HS1010" always;
    /// SIGHUP: the settings were read again. The line names those in force, and those that need a restart.
    SETTINGS_READ = "HS1011";
    /// SIGHUP: the settings or the trust store cannot be used. The line says what the process does instead.
    /// Action: fix the settings, then send SIGHUP again.
    SETTINGS_REFUSED = "HS1012" always;
    /// The supervisor that `NOTIFY_SOCKET` names, such as systemd, does not receive messages.
    /// Action: check the unit: the supervisor does not see that the process is ready.
    SUPERVISOR_AWAY = "HS1013";
    /// A thread or task panicked. The process ends, and HS1006 follows.
    /// Action: report it. It is a bug.
    PANICKED = "HS1014" always;
    /// A variable of the environment has almost the name of a setting, and is ignored.
    /// Action: rename it as the line says.
    VARIABLE_IGNORED = "HS1015" always;

    /// Topics were created.
    TOPICS_CREATED = "HS1101";
    /// States over how many partitions of an output topic the records are placed.
    PLACED = "HS1102";
    /// A broker does not say whether it verifies transactions.
    /// Action: check that the brokers verify transactions (`transaction.partition.verification.enable`).
    BROKER_UNTOLD = "HS1104";

    /// A lane's assignment changed.
    LANE_ASSIGNED = "HS1202";
    /// A lane waits for something and keeps its group.
    /// Action: see HoursealLaneWaits in the runbook if it lasts.
    LANE_WAITS = "HS1203";
    /// A lane continues after waiting.
    LANE_RESUMES = "HS1204";
    /// A transaction was aborted, and the lane reprocesses its batch.
    /// Action: see HoursealTransactionsFail in the runbook if it repeats.
    BATCH_REDONE = "HS1205";
    /// A lane's producer is replaced.
    /// Action: see HoursealTransactionsFail in the runbook if it repeats.
    PRODUCER_RENEWED = "HS1207";
    /// Records of a batch went to the quarantine.
    /// Action: `hourseal quarantine ls` shows the records. After a fix, `hourseal quarantine redrive` seals
    /// them.
    QUARANTINED = "HS1210";

    /// A key store was opened.
    STORE_OPENED = "HS1302";
    /// The key store does not answer.
    /// Action: check the key store and the way to it. Lanes wait and lose nothing.
    STORE_AWAY = "HS1303";
    /// The key store answers again.
    STORE_BACK = "HS1304";
    /// The lease expired, so cached keys are not used.
    /// Action: check the broker and the rights on the receipts topic.
    LEASE_LOST = "HS1307";
    /// The lease holds again.
    LEASE_BACK = "HS1308";
    /// The next hour's keys cannot be obtained for now. Lanes do not wait for them.
    /// Action: check the key store if it lasts until the next hour.
    PREMINT_WAITS = "HS1310";
    /// The fail-safe overwrote keys that were overdue for a week, because no process swept them.
    /// Action: see HoursealKeysOverdue in the runbook: find out why no sweep ran.
    KEYS_EXPIRED = "HS1311";
    /// The fail-safe cannot look for overdue keys for now.
    /// Action: check the key store.
    FAILSAFE_WAITS = "HS1312";
    /// A root key was generated.
    /// Action: protect it. Without it, no key of the vault can be opened. Do not copy it (SECURITY.md, A2).
    ROOT_KEY_CREATED = "HS1313";
    /// A vault was created.
    VAULT_CREATED = "HS1314";
    /// A key store was created.
    STORE_CREATED = "HS1315";
    /// The key store's schema was upgraded.
    STORE_UPGRADED = "HS1316";

    /// A receipt was published.
    RECEIPT_PUBLISHED = "HS1403";
    /// A record of the control topic is not a command.
    /// Action: find the producer that writes to the control topic.
    COMMAND_UNREADABLE = "HS1404";
    /// This process starts to execute commands.
    EXECUTOR_STARTED = "HS1405";
    /// This process no longer executes commands.
    EXECUTOR_ENDED = "HS1406";
    /// The store is behind the receipts, so a receipt is applied again.
    /// Action: see HoursealStoreRestored in the runbook: the store may come from a backup.
    STORE_BEHIND = "HS1407";
    /// No trusted signer has signed a command.
    /// Action: find the sender, or add its key to the trust store.
    COMMAND_UNVERIFIED = "HS1408";
    /// Unsigned commands are accepted, or no command can be accepted at all.
    /// Action: set `control.trust_store_file`.
    CONTROL_OPEN = "HS1409";
    /// The trust store was changed, and its new content is in force.
    TRUST_READ = "HS1410";
    /// Hours that were due were swept, and their receipt was published.
    SWEPT = "HS1411";
    /// The due hours cannot be read for now, or their sweep cannot be requested.
    /// Action: see HoursealSweepLags in the runbook if it repeats.
    SWEEP_WAITS = "HS1412";
    /// A KEK whose day has ended was destroyed.
    KEK_DESTROYED = "HS1413";
    /// KEKs whose day has ended cannot be looked for or destroyed for now.
    /// Action: see HoursealKeksOverdue in the runbook if it repeats.
    KEKS_WAIT = "HS1414";
    /// A change of a retention left an hour as it was. A person has to look at its keys.
    /// Action: look at the keys of that hour with `hourseal keys show`.
    TERMS_KEPT = "HS1415" always;
    /// States the time for which the input topic keeps plaintext that is already sealed.
    PLAINTEXT_WINDOW = "HS1416";
    /// The input's sealed plaintext cannot be deleted for now, or its age is not known.
    /// Action: fix the reason that the line names. Plaintext stays in the input until then.
    SCRUB_WAITS = "HS1417";
    /// An event of the canary that was opened before does not open any more.
    CANARY_FORGOTTEN = "HS1418";
    /// An event of the canary that has been due for a long time still opens.
    /// Action: see HoursealCanaryOpens in the runbook.
    CANARY_OPENS = "HS1419" always;
    /// An event of the canary could not be sealed, opened or checked.
    /// Action: fix the reason that the line names.
    CANARY_FAILED = "HS1420";
    /// Records that nobody can open any more were deleted from the output.
    RECLAIMED = "HS1421";
    /// Records that nobody can open any more cannot be deleted from the output for now.
    /// Action: fix the reason that the line names. Records stay in the output until then.
    RECLAIM_WAITS = "HS1422";
    /// A record of the receipts topic is not a receipt.
    /// Action: find the producer that writes to the receipts topic.
    RECEIPT_DOUBTED = "HS1423";
    /// A partition is parked: it stops, and the others continue.
    /// Action: `docs/parked-partitions.md` explains each reason.
    PARTITION_PARKED = "HS1424" always;
    /// A parked partition flows again.
    PARTITION_FLOWS = "HS1425";
    /// The operator accepted a gap. The line tells from which offset to which one records may be missing.
    GAP_ACCEPTED = "HS1426" always;
    /// A topic was deleted, or its settings or partitions have changed.
    /// Action: run `hourseal topics check`.
    TOPICS_WRONG = "HS1427" always;
    /// The topics are as required again.
    TOPICS_RIGHT = "HS1428";
    /// A command ended with the receipt `incomplete`, because a row or a KEK is not usable.
    /// Action: see HoursealErasureIncomplete in the runbook.
    COMMAND_INCOMPLETE = "HS1429" always;
    /// Members of the group are not Hourseal. Nobody handles the records that they read.
    /// Action: see HoursealForeignMember in the runbook.
    FOREIGN_MEMBERS = "HS1430" always;
    /// Every member of the group is Hourseal again.
    FOREIGN_MEMBERS_GONE = "HS1431";

    /// This process signs the log of receipts. The line carries the verifier key.
    LOG_KEPT = "HS1451";
    /// A checkpoint of the log of receipts is published.
    CHECKPOINT_PUBLISHED = "HS1452";
    /// The receipts topic contradicts a published checkpoint, so this process signs nothing.
    /// Action: see HoursealCheckpointStale in the runbook.
    LOG_REFUSED = "HS1453";
    /// The log of receipts cannot be read or signed for now.
    /// Action: fix the reason that the line names.
    LOG_WAITS = "HS1454";

    /// The admin port listens.
    ADMIN_LISTENS = "HS1501";
    /// A connection of the admin port failed.
    /// Action: if it is a warning: raise the limit of open files.
    ADMIN_CONNECTION = "HS1502";

    /// A warning of Kafka's client library.
    /// Action: check the broker that the line names if it repeats.
    KAFKA_WARNS = "HS2001";
    /// An information line of Kafka's client library.
    KAFKA_INFORMS = "HS2002";
    /// A consumer reported an error that needs no decision.
    KAFKA_CONSUMER = "HS2003";
    /// The process starts, and no broker answers yet. The line says why.
    /// Action: fix the reason that the line names.
    KAFKA_AWAITED = "HS2004";
    /// A line of the CQL driver. Its text is the driver's.
    /// Action: check the node that the line names if a warning repeats.
    STORE_DRIVER = "HS2005";
    /// A line of another library. Its text is the library's.
    OTHER_LIBRARY = "HS2006";
    /// The token of SASL/OAUTHBEARER could not be renewed. The worker tries again, at least each 8 s.
    /// Action: read the reason in the line: the token file, or the identity provider and its address.
    KAFKA_TOKEN = "HS2007";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_unique_and_of_one_form() {
        let mut codes: Vec<_> = ALL.iter().map(|code| code.text).collect();
        assert!(codes.iter().all(|code| code.len() == 6 && code.starts_with("HS")));
        codes.sort_unstable();
        codes.dedup();
        assert_eq!(codes.len(), ALL.len());
    }
}
