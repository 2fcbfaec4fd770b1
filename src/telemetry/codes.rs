//! Every event code that a log line can carry. A code is never reused for another meaning.
//!
//! The codes are private to this crate, so that the compiler warns of a code that no line carries.
//!
//! HS10xx the process · HS11xx configuration and topics · HS12xx lanes · HS13xx keys and store · HS14xx
//! forgetting · HS15xx the admin port · HS20xx the client libraries.

#![cfg_attr(not(feature = "edges"), allow(dead_code, reason = "the edges write most of the lines"))]

use std::fmt;

/// A log line's event code, such as `HS1001`. Only this file creates codes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Code(&'static str);

impl Code {
    pub const fn as_str(self) -> &'static str {
        self.0
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

macro_rules! codes {
    ($($(#[doc = $doc:literal])+ $name:ident = $code:literal;)+) => {
        $($(#[doc = $doc])+ pub(crate) const $name: Code = Code($code);)+

        #[cfg(test)]
        const ALL: &[&str] = &[$($code),+];
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
    STOPPED_AT_ONCE = "HS1005";
    /// The process ends because of a fault that it cannot repair itself.
    GAVE_UP = "HS1006";
    /// A call is stuck although a broker answers.
    WATCHDOG = "HS1007";
    /// Memory that holds keys could not be locked.
    MEMORY_NOT_LOCKED = "HS1008";
    /// The clocks of worker and key store disagree by more than 30 s.
    CLOCKS_DISAGREE = "HS1009";
    /// Core dumps or debuggers can read keys.
    EXPOSED = "HS1010";
    /// SIGHUP: the settings were read again. The line names those in force, and those that need a restart.
    SETTINGS_READ = "HS1011";
    /// SIGHUP: the settings or the trust store cannot be used. The line says what the process does instead.
    SETTINGS_REFUSED = "HS1012";
    /// The supervisor that `NOTIFY_SOCKET` names, such as systemd, does not receive messages.
    SUPERVISOR_AWAY = "HS1013";

    /// Topics were created.
    TOPICS_CREATED = "HS1101";
    /// Over how many partitions of an output topic the records are placed.
    PLACED = "HS1102";
    /// A broker does not say whether it verifies transactions.
    BROKER_UNTOLD = "HS1104";

    /// A lane's assignment changed.
    LANE_ASSIGNED = "HS1202";
    /// A lane waits for something and keeps its group.
    LANE_WAITS = "HS1203";
    /// A lane continues after waiting.
    LANE_RESUMES = "HS1204";
    /// A transaction was aborted, and the lane reprocesses its batch.
    BATCH_REDONE = "HS1205";
    /// A lane's producer is replaced.
    PRODUCER_RENEWED = "HS1207";
    /// Records of a batch went to the quarantine.
    QUARANTINED = "HS1210";

    /// A key store was opened.
    STORE_OPENED = "HS1302";
    /// The key store does not answer.
    STORE_AWAY = "HS1303";
    /// The key store answers again.
    STORE_BACK = "HS1304";
    /// The lease expired, so cached keys are not used.
    LEASE_LOST = "HS1307";
    /// The lease holds again.
    LEASE_BACK = "HS1308";
    /// The next hour's keys cannot be obtained for now. Lanes do not wait for them.
    PREMINT_WAITS = "HS1310";
    /// The fail-safe overwrote keys that were overdue for a week, because no process swept them.
    KEYS_EXPIRED = "HS1311";
    /// The fail-safe cannot look for overdue keys for now.
    FAILSAFE_WAITS = "HS1312";

    /// A receipt was published.
    RECEIPT_PUBLISHED = "HS1403";
    /// A record of the control topic is not a command.
    COMMAND_UNREADABLE = "HS1404";
    /// This process starts to execute commands.
    EXECUTOR_STARTED = "HS1405";
    /// This process no longer executes commands.
    EXECUTOR_ENDED = "HS1406";
    /// The store is behind the receipts, so a receipt is applied again.
    STORE_BEHIND = "HS1407";
    /// No trusted signer has signed a command.
    COMMAND_UNVERIFIED = "HS1408";
    /// Unsigned commands are accepted, or no command can be accepted at all.
    CONTROL_OPEN = "HS1409";
    /// The trust store was changed, and its new content is in force.
    TRUST_READ = "HS1410";
    /// Hours that were due were swept, and their receipt was published.
    SWEPT = "HS1411";
    /// The due hours cannot be read for now, or their sweep cannot be requested.
    SWEEP_WAITS = "HS1412";
    /// A KEK whose day has ended was destroyed.
    KEK_DESTROYED = "HS1413";
    /// KEKs whose day has ended cannot be looked for or destroyed for now.
    KEKS_WAIT = "HS1414";
    /// A change of a retention left an hour as it was. A person has to look at its keys.
    TERMS_KEPT = "HS1415";
    /// States the time for which the input topic keeps plaintext that is already sealed.
    PLAINTEXT_WINDOW = "HS1416";
    /// The input's sealed plaintext cannot be deleted for now, or its age is not known.
    SCRUB_WAITS = "HS1417";
    /// An event of the canary that was opened before does not open any more.
    CANARY_FORGOTTEN = "HS1418";
    /// An event of the canary that has been due for a long time still opens.
    CANARY_OPENS = "HS1419";
    /// An event of the canary could not be sealed, opened or checked.
    CANARY_FAILED = "HS1420";
    /// Records that nobody can open any more were deleted from the output.
    RECLAIMED = "HS1421";
    /// Records that nobody can open any more cannot be deleted from the output for now.
    RECLAIM_WAITS = "HS1422";
    /// A record of the receipts topic is not a receipt.
    RECEIPT_DOUBTED = "HS1423";
    /// A partition is parked: it stops, and the others continue.
    PARTITION_PARKED = "HS1424";
    /// A parked partition flows again.
    PARTITION_FLOWS = "HS1425";
    /// The operator accepted a gap. The line tells from which offset to which one records may be missing.
    GAP_ACCEPTED = "HS1426";
    /// A topic was deleted, or its settings or partitions have changed.
    TOPICS_WRONG = "HS1427";
    /// The topics are as required again.
    TOPICS_RIGHT = "HS1428";
    /// A command ended with the receipt `incomplete`, because a row or a KEK is not usable.
    COMMAND_INCOMPLETE = "HS1429";
    /// Members of the group are not Hourseal. Nobody handles the records that they read.
    FOREIGN_MEMBERS = "HS1430";
    /// Every member of the group is Hourseal again.
    FOREIGN_MEMBERS_GONE = "HS1431";

    /// This process signs the log of receipts. The line carries the verifier key.
    LOG_KEPT = "HS1451";
    /// A checkpoint of the log of receipts is published.
    CHECKPOINT_PUBLISHED = "HS1452";
    /// The receipts topic contradicts a published checkpoint, so this process signs nothing.
    LOG_REFUSED = "HS1453";
    /// The log of receipts cannot be read or signed for now.
    LOG_WAITS = "HS1454";

    /// The admin port listens.
    ADMIN_LISTENS = "HS1501";
    /// A connection of the admin port failed.
    ADMIN_CONNECTION = "HS1502";

    /// A warning of Kafka's client library.
    KAFKA_WARNS = "HS2001";
    /// An information line of Kafka's client library.
    KAFKA_INFORMS = "HS2002";
    /// A consumer reported an error that needs no decision.
    KAFKA_CONSUMER = "HS2003";
    /// The process starts, and no broker answers yet. The line says why.
    KAFKA_AWAITED = "HS2004";
    /// The token of SASL/OAUTHBEARER could not be renewed. The worker tries again, at least each 8 s.
    KAFKA_TOKEN = "HS2050";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_unique_and_of_one_form() {
        let mut codes = ALL.to_vec();
        assert!(codes.iter().all(|code| code.len() == 6 && code.starts_with("HS")));
        codes.sort_unstable();
        codes.dedup();
        assert_eq!(codes.len(), ALL.len());
    }
}
