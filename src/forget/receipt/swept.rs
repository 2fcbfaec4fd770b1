//! The hours that a sweep forgot: the leaves of its receipt's tree, and the record's header that holds them.

use std::ffi::CStr;

use super::key::ErasedKey;
use crate::forget::merkle::{Frontier, Hash, Tree, leaf_hash};
use crate::keys::{HourRow, KeyState};
use crate::model::{Digest, Generation, Hour, KekId, KeyId, Token};

/// The header of a sweep's receipt: every [`SweptHour`], each after its length (4 bytes, big-endian).
pub const SWEPT_HEADER: &CStr = c"hourseal-swept";

/// Largest number of keys of one hour whose ids are listed.
const MOST_LISTED: usize = 1_000;

/// An hour that a sweep has forgotten.
///
/// A leaf is token (16 bytes) ‖ hour (4) ‖ number of keys (4) ‖ the keys, each generation (2) ‖ key id (16) ‖
/// length of the KEK's id (1) ‖ that id. Numbers are big-endian. A leaf lists all keys of its hour, or none
/// if they are too many.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SweptHour {
    pub token: Token,
    pub hour: Hour,
    pub key_count: u32,
    /// Empty, or `key_count` keys.
    pub keys: Vec<ErasedKey>,
}

/// The number and the root of the hours in the header, as the receipt states them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SweptBatch {
    /// Number of leaves.
    pub hours: u32,
    /// The root of the Merkle tree (RFC 6962 §2.1). The leaves are in the order of the header.
    pub root: Hash,
}

/// A header does not belong to its receipt.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("the swept hours are missing, or are not those of the receipt")]
pub struct NotSwept;

impl SweptHour {
    /// Returns an hour as it was read back after `sweep`; `None` if that sweep did not forget it. Then keys
    /// are live, or another command forgot the hour.
    pub(in crate::forget) fn of(row: &HourRow, sweep: Digest) -> Option<Self> {
        let ours = |command: Option<Digest>| command == Some(sweep);
        let fenced_by_us = ours(row.gate.command);
        let gone = row.keys.iter().filter(|key| match key.state {
            KeyState::Erased => ours(key.command),
            // The fail-safe erased these keys earlier. No receipt lists them yet.
            KeyState::ErasedByTtl => fenced_by_us,
            KeyState::Live => false,
        });
        let keys: Vec<ErasedKey> = gone.map(|key| ErasedKey::of(row.hour, key)).collect();
        let forgotten = row.gate.fenced && row.keys.iter().all(|key| key.state != KeyState::Live);
        (forgotten && (fenced_by_us || !keys.is_empty())).then(|| Self {
            token: row.token,
            hour: row.hour,
            key_count: u32::try_from(keys.len()).unwrap_or(u32::MAX),
            keys: if keys.len() > MOST_LISTED { Vec::new() } else { keys },
        })
    }

    pub fn without_keys(mut self) -> Self {
        self.keys = Vec::new();
        self
    }

    /// Returns its bytes in the header and in the tree.
    pub fn leaf(&self) -> Vec<u8> {
        let mut leaf = self.token.0.to_vec();
        leaf.extend(self.hour.0.to_be_bytes());
        leaf.extend(self.key_count.to_be_bytes());
        for key in &self.keys {
            let kek = key.kek.as_str().as_bytes();
            leaf.extend(key.generation.0.to_be_bytes());
            leaf.extend(key.key_id.0);
            leaf.push(u8::try_from(kek.len()).expect("a KEK's id is short"));
            leaf.extend(kek);
        }
        leaf
    }

    /// Reads an hour from its bytes; `None` if they are not those of an hour.
    pub fn parse(leaf: &[u8]) -> Option<Self> {
        let (token, rest) = leaf.split_first_chunk::<16>()?;
        let (hour, rest) = rest.split_first_chunk::<4>()?;
        let (count, mut rest) = rest.split_first_chunk::<4>()?;
        let (hour, key_count) = (Hour(u32::from_be_bytes(*hour)), u32::from_be_bytes(*count));
        let mut keys = Vec::new();
        while !rest.is_empty() {
            let (generation, more) = rest.split_first_chunk::<2>()?;
            let (key_id, more) = more.split_first_chunk::<16>()?;
            let (&length, more) = more.split_first()?;
            let (kek, more) = more.split_at_checked(usize::from(length))?;
            rest = more;
            keys.push(ErasedKey {
                hour,
                generation: Generation(u16::from_be_bytes(*generation)),
                key_id: KeyId(*key_id),
                kek: KekId::parse(str::from_utf8(kek).ok()?)?,
            });
        }
        let all_or_none = keys.is_empty() || keys.len() as u64 == u64::from(key_count);
        all_or_none.then_some(Self { token: Token(*token), hour, key_count, keys })
    }
}

impl SweptBatch {
    pub fn of<'a>(hours: impl IntoIterator<Item = &'a SweptHour>) -> Self {
        let mut tree = Frontier::default();
        hours.into_iter().for_each(|hour| tree.append(leaf_hash(&hour.leaf())));
        Self { hours: u32::try_from(tree.size()).unwrap_or(u32::MAX), root: tree.root() }
    }

    /// Returns the path from the sibling of the leaf at `index` to the child of the root; `None` if the
    /// leaf does not exist.
    pub fn path(hours: &[SweptHour], index: usize) -> Option<Vec<Hash>> {
        let mut tree = Tree::default();
        hours.iter().for_each(|hour| tree.append(leaf_hash(&hour.leaf())));
        tree.inclusion_path(index as u64, tree.size())
    }

    /// Returns the header's value.
    pub fn header(hours: &[SweptHour]) -> Vec<u8> {
        let mut header = Vec::new();
        for leaf in hours.iter().map(SweptHour::leaf) {
            header.extend(u32::try_from(leaf.len()).expect("at most a thousand keys").to_be_bytes());
            header.extend(leaf);
        }
        header
    }

    /// Returns the hours in a header, without a comparison with its receipt; `None` if it is malformed.
    pub fn parse(header: &[u8]) -> Option<Vec<SweptHour>> {
        let (mut hours, mut header) = (Vec::new(), header);
        while !header.is_empty() {
            let (length, rest) = header.split_first_chunk::<4>()?;
            let (leaf, rest) = rest.split_at_checked(usize::try_from(u32::from_be_bytes(*length)).ok()?)?;
            hours.push(SweptHour::parse(leaf)?);
            header = rest;
        }
        Some(hours)
    }

    /// Returns the hours in a header, if they are those that the receipt's root covers.
    ///
    /// # Errors
    /// [`NotSwept`]
    pub fn read(self, header: Option<&[u8]>) -> Result<Vec<SweptHour>, NotSwept> {
        let hours = header.and_then(Self::parse).ok_or(NotSwept)?;
        if Self::of(&hours) == self { Ok(hours) } else { Err(NotSwept) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::{Gate, KeyRow};
    use crate::model::{Due, Millis};

    const SWEEP: Digest = Digest([5; 32]);
    const COMMAND: Digest = Digest([6; 32]);

    fn key(generation: u16, state: KeyState, command: Option<Digest>) -> KeyRow {
        KeyRow {
            generation: Generation(generation),
            state,
            key_id: KeyId([generation as u8; 16]),
            commitment: [0; 32],
            kek: KekId::of_due(Due(9)),
            wrapped: None,
            minted_at: Millis(0),
            erased_at: None,
            command,
        }
    }

    fn row(fenced_by: Option<Digest>, keys: Vec<KeyRow>) -> HourRow {
        let gate =
            Gate { due: Due(9), kek: None, fenced: fenced_by.is_some(), hold: None, command: fenced_by };
        HourRow { token: Token([1; 16]), hour: Hour(8), gate, keys }
    }

    #[test]
    fn an_hour_is_swept_by_whoever_fenced_it_or_erased_its_keys() {
        let swept = |fenced_by, keys| SweptHour::of(&row(fenced_by, keys), SWEEP).map(|hour| hour.key_count);
        let erased = |by| key(0, KeyState::Erased, Some(by));
        let live = || key(1, KeyState::Live, None);
        let by_ttl = || key(2, KeyState::ErasedByTtl, None);
        assert_eq!(swept(Some(SWEEP), vec![erased(SWEEP), by_ttl()]), Some(2));
        assert_eq!(swept(Some(SWEEP), vec![]), Some(0), "an hour in which nothing came");
        assert_eq!(
            swept(Some(COMMAND), vec![erased(SWEEP)]),
            Some(1),
            "a command got no further than its fence"
        );
        assert_eq!(swept(Some(COMMAND), vec![erased(COMMAND), by_ttl()]), None, "that has its receipt");
        assert_eq!(swept(Some(SWEEP), vec![erased(SWEEP), live()]), None);
        assert_eq!(swept(None, vec![by_ttl()]), None);
    }

    fn hours() -> Vec<SweptHour> {
        let of = |keys: Vec<KeyRow>| SweptHour::of(&row(Some(SWEEP), keys), SWEEP).expect("swept");
        let erased = |generation| key(generation, KeyState::Erased, Some(SWEEP));
        vec![of(vec![erased(0)]), of(vec![]), of(vec![erased(1), erased(300)]).without_keys()]
    }

    #[test]
    fn the_header_is_read_back_and_only_with_its_receipt() {
        let (batch, header) = (SweptBatch::of(&hours()), SweptBatch::header(&hours()));
        assert_eq!(header.len(), 3 * (4 + 24) + 2 + 16 + 1 + "day/1970-01-01".len());
        assert_eq!(batch.read(Some(&header)), Ok(hours()));
        assert_eq!(batch.read(None), Err(NotSwept));
        assert_eq!(batch.read(Some(&header[..header.len() - 1])), Err(NotSwept));
        assert_eq!(SweptBatch { hours: 2, ..batch }.read(Some(&header)), Err(NotSwept));
        for byte in 0..header.len() {
            let mut other = header.clone();
            other[byte] ^= 1;
            assert_eq!(batch.read(Some(&other)), Err(NotSwept), "byte {byte}");
        }
    }

    #[test]
    fn a_leaf_lists_all_its_keys_or_none() {
        let [one, _, two] = &hours()[..] else { panic!("three hours") };
        let short = SweptHour { key_count: 2, ..one.clone() };
        assert_eq!(SweptHour::parse(&short.leaf()), None);
        assert_eq!(SweptHour::parse(&two.leaf()).as_ref(), Some(two));
        let many = (0..1_001).map(|generation| key(generation, KeyState::Erased, Some(SWEEP))).collect();
        let many = SweptHour::of(&row(Some(SWEEP), many), SWEEP).expect("swept");
        assert_eq!((many.key_count, many.keys.len()), (1_001, 0));
    }
}
