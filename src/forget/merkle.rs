//! The Merkle tree of RFC 6962 §2.1: leaf = SHA-256(0x00 ‖ value), node = SHA-256(0x01 ‖ left ‖ right).
//!
//! A process that only needs roots keeps a [`Frontier`]. A process that makes proofs keeps a [`Tree`]. Proofs
//! are made by the recursion of RFC 6962 and verified by the loops of RFC 9162 §2.1.3.2 and §2.1.4.2.
//!
//! We wrote these 200 lines ourselves. `tlog_tiles` 0.2 stores tiles, which a topic of receipts does not
//! need. It cannot read a `tlog-proof`, and its `signed_note` brings a second Ed25519 besides `ring`'s.

use ring::digest::{Context, SHA256, digest};

/// SHA-256 of a leaf, of a node, or of the empty string (the root of the empty tree).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Hash(pub [u8; 32]);

/// The leaf hash of a record's value.
pub fn leaf_hash(value: &[u8]) -> Hash {
    hash(&[&[0], value])
}

fn node_hash(left: Hash, right: Hash) -> Hash {
    hash(&[&[1], &left.0, &right.0])
}

fn hash(parts: &[&[u8]]) -> Hash {
    let mut context = Context::new(&SHA256);
    parts.iter().for_each(|part| context.update(part));
    Hash(context.finish().as_ref().try_into().expect("SHA-256 is 32 bytes"))
}

fn empty_root() -> Hash {
    Hash(digest(&SHA256, b"").as_ref().try_into().expect("SHA-256 is 32 bytes"))
}

/// The right edge of a growing tree: one root for each set bit of its size. O(log n) memory.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct Frontier {
    size: u64,
    /// Roots of the complete subtrees, the largest first.
    peaks: Vec<Hash>,
}

impl Frontier {
    pub fn size(&self) -> u64 {
        self.size
    }

    pub fn append(&mut self, leaf: Hash) {
        let mut node = leaf;
        for _ in 0..self.size.trailing_ones() {
            let left = self.peaks.pop().expect("a peak for each bit of the size");
            node = node_hash(left, node);
        }
        self.peaks.push(node);
        self.size += 1;
    }

    pub fn root(&self) -> Hash {
        let peaks = self.peaks.iter().rev().copied();
        peaks.reduce(|right, left| node_hash(left, right)).unwrap_or_else(empty_root)
    }
}

/// A whole tree that makes proofs: the root of every complete subtree, 64 bytes for each leaf.
#[derive(Clone, Default)]
pub struct Tree {
    /// `levels[h][i]` = root of the leaves `i * 2^h .. (i + 1) * 2^h`.
    levels: Vec<Vec<Hash>>,
}

impl Tree {
    pub fn size(&self) -> u64 {
        self.levels.first().map_or(0, |leaves| leaves.len() as u64)
    }

    pub fn append(&mut self, leaf: Hash) {
        let mut node = leaf;
        for level in 0.. {
            if level == self.levels.len() {
                self.levels.push(Vec::new());
            }
            let nodes = &mut self.levels[level];
            nodes.push(node);
            match nodes[..] {
                [.., left, right] if nodes.len().is_multiple_of(2) => node = node_hash(left, right),
                _ => return,
            }
        }
    }

    /// The root that the tree had at `size`; `None` if it never had so many leaves.
    pub fn root_at(&self, size: u64) -> Option<Hash> {
        match size {
            0 => Some(empty_root()),
            size if size <= self.size() => Some(self.subtree(0, size)),
            _ => None,
        }
    }

    /// `PATH(index, D[size])` of RFC 6962 §2.1.1, from the leaf's sibling upwards; `None` unless `index <
    /// size` and `size` is at most the tree's size.
    pub fn inclusion_path(&self, index: u64, size: u64) -> Option<Vec<Hash>> {
        if index >= size || size > self.size() {
            return None;
        }
        let (mut path, mut from, mut to) = (Vec::new(), 0, size);
        while to - from > 1 {
            let middle = from + split(to - from);
            if index < middle {
                path.push(self.subtree(middle, to));
                to = middle;
            } else {
                path.push(self.subtree(from, middle));
                from = middle;
            }
        }
        path.reverse();
        Some(path)
    }

    /// `PROOF(old, D[new])` of RFC 6962 §2.1.2; `None` unless `old <= new <=` the tree's size. Empty if `old`
    /// is 0 or equals `new`.
    pub fn consistency_path(&self, old: u64, new: u64) -> Option<Vec<Hash>> {
        if old > new || new > self.size() {
            return None;
        }
        let (mut path, mut from, mut to) = (Vec::new(), 0, new);
        if old == 0 || old == new {
            return Some(path);
        }
        while to != old {
            let middle = from + split(to - from);
            if old <= middle {
                path.push(self.subtree(middle, to));
                to = middle;
            } else {
                path.push(self.subtree(from, middle));
                from = middle;
            }
        }
        // If `from` is 0, this subtree is the whole old tree, and a verifier knows its root.
        if from > 0 {
            path.push(self.subtree(from, to));
        }
        path.reverse();
        Some(path)
    }

    /// MTH of the leaves `from .. to`. A subtree of that size must begin at `from`.
    fn subtree(&self, from: u64, to: u64) -> Hash {
        let leaves = to - from;
        if leaves.is_power_of_two() {
            let level = leaves.trailing_zeros();
            let index = usize::try_from(from >> level).expect("as many as fit in memory");
            return self.levels[level as usize][index];
        }
        let middle = from + split(leaves);
        node_hash(self.subtree(from, middle), self.subtree(middle, to))
    }
}

/// The largest power of two below `leaves`, which must be at least 2.
fn split(leaves: u64) -> u64 {
    1 << (leaves - 1).ilog2()
}

/// The proof does not show that the leaf is in the tree.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("the proof does not lead to the root")]
pub struct NotIncluded;

/// Checks that `path` leads from `leaf` at `index` to `root` (RFC 9162 §2.1.3.2).
///
/// # Errors
/// [`NotIncluded`], also for an index beyond the size and for a path of the wrong length.
pub fn verify_inclusion(
    leaf: Hash,
    index: u64,
    path: &[Hash],
    size: u64,
    root: Hash,
) -> Result<(), NotIncluded> {
    if index >= size {
        return Err(NotIncluded);
    }
    let (mut node, mut at, mut last) = (leaf, index, size - 1);
    for sibling in path {
        if last == 0 {
            return Err(NotIncluded);
        }
        if at & 1 == 1 || at == last {
            node = node_hash(*sibling, node);
            // The leaf is on the tree's right edge: skip the levels without a sibling.
            while at & 1 == 0 && at != 0 {
                (at, last) = (at >> 1, last >> 1);
            }
        } else {
            node = node_hash(node, *sibling);
        }
        (at, last) = (at >> 1, last >> 1);
    }
    if last == 0 && node == root { Ok(()) } else { Err(NotIncluded) }
}

/// The proof does not show that the newer tree begins with the older one.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("the proof does not show that the newer tree continues the older one")]
pub struct NotConsistent;

/// Checks that the tree (`new`, `new_root`) begins with the tree (`old`, `old_root`) (RFC 9162 §2.1.4.2).
///
/// # Errors
/// [`NotConsistent`], also if a tree of size 0 has another root than the empty tree.
pub fn verify_consistency(
    (old, old_root): (u64, Hash),
    (new, new_root): (u64, Hash),
    path: &[Hash],
) -> Result<(), NotConsistent> {
    let holds = match (old, path) {
        _ if old > new => false,
        (0, []) => old_root == empty_root() && (new > 0 || new_root == old_root),
        (_, []) => old == new && old_root == new_root,
        _ if old == new || old == 0 => false,
        _ => roots_of(old, new, old_root, path) == Some((old_root, new_root)),
    };
    if holds { Ok(()) } else { Err(NotConsistent) }
}

/// Returns both roots as the path gives them; `None` for a path of the wrong length. `0 < old < new` must
/// hold.
fn roots_of(old: u64, new: u64, old_root: Hash, path: &[Hash]) -> Option<(Hash, Hash)> {
    // If the old tree is complete, its root is the first node.
    let (first, rest) = if old.is_power_of_two() { (old_root, path) } else { (path[0], &path[1..]) };
    let (mut at, mut last) = (old - 1, new - 1);
    let levels = at.trailing_ones();
    (at, last) = (at >> levels, last >> levels);
    let (mut of_old, mut of_new) = (first, first);
    for sibling in rest {
        if last == 0 {
            return None;
        }
        if at & 1 == 1 || at == last {
            (of_old, of_new) = (node_hash(*sibling, of_old), node_hash(*sibling, of_new));
            while at & 1 == 0 && at != 0 {
                (at, last) = (at >> 1, last >> 1);
            }
        } else {
            of_new = node_hash(of_new, *sibling);
        }
        (at, last) = (at >> 1, last >> 1);
    }
    (last == 0).then_some((of_old, of_new))
}
