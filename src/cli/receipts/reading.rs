//! Reads the receipts topic from its first record to its end, and the checkpoint that covers it.

use std::time::Duration;

use super::{Failure, keystore, runtime};
use crate::cli::cluster;
use crate::cli::progress::Progress;
use crate::config::Config;
use crate::edge::kafka::scan::{Next, Range, Scan, Scanned};
use crate::edge::keyfile;
use crate::forget::log::{AnyProof, Checkpoint, HourProof, Origin, Proof, Tree, VerifierKey, leaf_hash};
use crate::forget::{NotAReceipt, Receipt, SWEPT_HEADER, SweptBatch, SweptHour};

/// A receipt and its place in the log.
pub struct Entry {
    pub index: u64,
    /// The record's value, byte for byte.
    pub value: Vec<u8>,
    pub receipt: Receipt,
    /// The hours of a sweep.
    pub swept: Vec<SweptHour>,
}

/// The log, as read from the topic.
pub struct Log {
    tree: Tree,
    /// The selected receipts, in the order of the log.
    pub entries: Vec<Entry>,
    /// Number of leaves that this program cannot read.
    pub unreadable: u64,
}

/// The log with a signed checkpoint.
pub struct SignedLog {
    pub log: Log,
    pub key: VerifierKey,
    pub checkpoint: Checkpoint,
}

/// Reads the whole topic and keeps the selected receipts.
pub fn read(config: &Config, wanted: impl Fn(&Receipt, &[SweptHour]) -> bool) -> anyhow::Result<Log> {
    let mut log = Log { tree: Tree::default(), entries: Vec::new(), unreadable: 0 };
    let mut progress = Progress::new("receipts read");
    each_value(config, &config.topics.receipts, |value, swept| {
        let index = log.tree.size();
        log.tree.append(leaf_hash(&value));
        match parse(&value, swept) {
            Ok((receipt, swept)) if wanted(&receipt, &swept) => {
                log.entries.push(Entry { index, value, receipt, swept });
            }
            Ok(_) => {}
            Err(_) => log.unreadable += 1,
        }
        progress.at(index + 1);
    })?;
    Ok(log)
}

/// Like [`read`], with the newest checkpoint of the log. The log's key is `key`, or else that of the
/// configuration.
pub fn read_signed(
    config: &Config,
    key: Option<&VerifierKey>,
    wanted: impl Fn(&Receipt, &[SweptHour]) -> bool,
) -> anyhow::Result<SignedLog> {
    let key = key.cloned().map_or_else(|| own_key(config), Ok)?;
    let mut newest: Option<Checkpoint> = None;
    each_value(config, &config.topics.checkpoints, |value, _| {
        let checkpoint = str::from_utf8(&value).ok().and_then(|text| Checkpoint::parse(text).ok());
        let checkpoint = checkpoint.filter(|checkpoint| checkpoint.verify(&key).is_ok());
        let size = newest.as_ref().map_or(0, |newest| newest.head().size);
        newest = checkpoint.filter(|checkpoint| checkpoint.head().size >= size).or(newest.take());
    })?;
    let checkpoint = newest.ok_or_else(|| {
        Failure::new(Failure::CONFIG, "no checkpoint of this log was published")
            .hint("a worker with `receipts.signing_key_file` publishes them; `--key` must be its key")
    })?;
    let log = read(config, wanted)?;
    let head = checkpoint.head();
    if log.tree.root_at(head.size) != Some(head.root) {
        let message = format!("the receipts topic does not lead to the signed checkpoint of {}", head.size);
        return Err(Failure::new(Failure::REFUSED, message)
            .hint("receipts are missing, or differ from those that were signed: nothing is proven")
            .into());
    }
    Ok(SignedLog { log, key, checkpoint })
}

impl SignedLog {
    /// Returns the verified proof of one receipt.
    ///
    /// # Errors
    /// 69 for a receipt that no checkpoint covers yet.
    pub fn proof(&self, entry: &Entry) -> Result<Proof, Failure> {
        let size = self.checkpoint.head().size;
        let path = self.log.tree.inclusion_path(entry.index, size).ok_or_else(|| {
            let message =
                format!("receipt {} is newer than the newest checkpoint, which covers {size}", entry.index);
            Failure::new(Failure::DEPENDENCY, message).hint("a worker signs within seconds: try again")
        })?;
        let (value, checkpoint) = (entry.value.clone(), self.checkpoint.clone());
        let proof = Proof { value, index: entry.index, path, checkpoint };
        proof.verify(&self.key).map_err(|error| Failure::new(Failure::BUG, error.to_string()))?;
        Ok(proof)
    }

    /// Returns the verified proof of one hour of a sweep.
    ///
    /// # Errors
    /// Those of [`SignedLog::proof`].
    pub fn hour_proof(&self, entry: &Entry, index: usize) -> Result<AnyProof, Failure> {
        let (receipt, hour) = (self.proof(entry)?, &entry.swept[index]);
        let path = SweptBatch::path(&entry.swept, index).expect("it is one of them");
        let proof = AnyProof::Hour(HourProof { leaf: hour.leaf(), index: index as u64, path, receipt });
        proof.verify(&self.key).map_err(|error| Failure::new(Failure::BUG, error.to_string()))?;
        Ok(proof)
    }
}

/// Parses a receipt with the hours of its sweep.
fn parse(value: &[u8], swept: Option<&[u8]>) -> Result<(Receipt, Vec<SweptHour>), NotAReceipt> {
    let receipt = Receipt::parse(value)?;
    let hours = receipt.swept(swept)?;
    Ok((receipt, hours))
}

/// Returns the verifier key of the configuration's signing key and store.
fn own_key(config: &Config) -> anyhow::Result<VerifierKey> {
    let refused = |why: String| Failure::new(Failure::CONFIG, why);
    let path = config.receipts.signing_key_file.as_ref().ok_or_else(|| {
        refused("the log's verifier key is not known".to_owned()).hint(
            "give `--key`, or `receipts.signing_key_file`; a worker logs the key when it starts (HS1451)",
        )
    })?;
    let key = keyfile::read(path).map_err(|error| refused(error.to_string()))?;
    let meta = runtime::block_on(keystore::store(config)?.meta())?.map_err(Failure::from)?;
    let origin = Origin::new(meta.store, &config.topics.receipts);
    Ok(VerifierKey::new(origin.as_str(), key.public()).map_err(|error| refused(error.to_string()))?)
}

/// Calls `each` with every committed value that a topic of one partition has now, and with the value's sweep
/// header.
fn each_value(
    config: &Config,
    topic: &str,
    mut each: impl FnMut(Vec<u8>, Option<&[u8]>),
) -> anyhow::Result<()> {
    let mut scan = Scan::begin(&cluster::client(config), topic, Range::Existing).map_err(Failure::from)?;
    loop {
        match scan.next(Duration::from_millis(100)).map_err(Failure::from)? {
            Next::Record(Scanned { value: Some(value), headers, .. }) => {
                let swept = headers.iter().find(|(name, _)| name == SWEPT_HEADER.to_bytes());
                each(value, swept.and_then(|(_, hours)| hours.as_deref()));
            }
            Next::Record(_) | Next::Idle => {}
            Next::End => return Ok(()),
        }
    }
}
