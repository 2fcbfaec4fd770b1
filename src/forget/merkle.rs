//! The Merkle tree of RFC 6962 §2.1: leaf = SHA-256(0x00 ‖ value), node = SHA-256(0x01 ‖ left ‖ right).
//!
//! A process that only needs roots keeps a [`Frontier`]; who makes proofs keeps a [`Tree`]. Proofs are made
//! by the RFC's recursion and verified by the loops of RFC 9162 §2.1.3.2 and §2.1.4.2.
//!
//! Our own 200 lines: `tlog_tiles` 0.2 stores tiles, which a topic of receipts does not need, reads no
//! `tlog-proof`, and its `signed_note` brings a second Ed25519 beside `ring`'s.

use ring::digest::{Context, SHA256, digest};

/// SHA-256 of a leaf, a node, or of nothing: the root of the empty tree.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Hash(pub [u8; 32]);

/// The leaf of a record's value.
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

/// The right edge of a growing tree: one root for each bit of its size. O(log n) memory.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct Frontier {
    size: u64,
    /// Of the complete subtrees, the largest first.
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

/// A whole tree: every complete subtree's root, 64 bytes for each leaf. It makes proofs.
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

    /// The root that the tree had at `size`; `None` where it never had so many leaves.
    pub fn root_at(&self, size: u64) -> Option<Hash> {
        match size {
            0 => Some(empty_root()),
            size if size <= self.size() => Some(self.subtree(0, size)),
            _ => None,
        }
    }

    /// `PATH(index, D[size])` of RFC 6962 §2.1.1, from the leaf's sibling upwards; `None` unless `index <
    /// size <=` the tree's.
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

    /// `PROOF(old, D[new])` of RFC 6962 §2.1.2; `None` unless `old <= new <=` the tree's size. Empty where
    /// `old` is 0 or `new`.
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
        // A verifier knows the old root where it is the whole of the left side.
        if from > 0 {
            path.push(self.subtree(from, to));
        }
        path.reverse();
        Some(path)
    }

    /// MTH of the leaves `from .. to`, `from` being where a subtree of that size begins.
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

/// The largest power of two below `leaves`, which are two at least.
fn split(leaves: u64) -> u64 {
    1 << (leaves - 1).ilog2()
}

/// A leaf is not shown to be in the tree.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("the proof does not lead to the root")]
pub struct NotIncluded;

/// Whether `path` leads from `leaf` at `index` to `root` (RFC 9162 §2.1.3.2).
///
/// # Errors
/// [`NotIncluded`] also for an index beyond the size and for a path of another length.
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
            // The leaf is on the tree's right edge: levels without a sibling are passed.
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

/// One tree is not shown to be the beginning of another.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("the newer tree is not shown to continue the older one")]
pub struct NotConsistent;

/// Whether the tree (`new`, `new_root`) begins with the tree (`old`, `old_root`) (RFC 9162 §2.1.4.2).
///
/// # Errors
/// [`NotConsistent`]; a tree of size 0 must have its own root.
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

/// Both roots as the path gives them; `None` for a path of another length. `0 < old < new`.
fn roots_of(old: u64, new: u64, old_root: Hash, path: &[Hash]) -> Option<(Hash, Hash)> {
    // Where the old tree is complete, its root is the first node.
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
