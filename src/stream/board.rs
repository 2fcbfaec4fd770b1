//! The partitions of a process, over all of its lanes.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::Park;

/// Shows which partitions of a process are parked. Clones share it.
#[derive(Clone, Default)]
pub struct Board(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    partitions: BTreeMap<i32, Flow>,
    /// Whether any partition has flowed.
    has_flowed: bool,
}

enum Flow {
    /// Its start is not known yet.
    Unknown,
    Flows,
    Parked(Park),
}

impl Board {
    pub(super) fn assign(&self, partitions: &[i32]) {
        self.lock().partitions.extend(partitions.iter().map(|partition| (*partition, Flow::Unknown)));
    }

    pub(super) fn flows(&self, partition: i32) {
        let mut state = self.lock();
        state.has_flowed = true;
        state.partitions.insert(partition, Flow::Flows);
    }

    pub(super) fn parks(&self, partition: i32, why: &Park) {
        self.lock().partitions.insert(partition, Flow::Parked(why.clone()));
    }

    pub(super) fn revoke(&self, partitions: &[i32]) {
        self.lock().partitions.retain(|partition, _| !partitions.contains(partition));
    }

    /// Whether the process has partitions, and every one of them is parked.
    pub fn is_all_parked(&self) -> bool {
        let state = self.lock();
        !state.partitions.is_empty() && state.partitions.values().all(|it| matches!(it, Flow::Parked(_)))
    }

    /// A partition with its reason, if nothing has flowed and every partition was committed with another key
    /// store: the settings are wrong.
    pub(super) fn other_store(&self) -> Option<(i32, Park)> {
        let state = self.lock();
        let refused = |it: &Flow| matches!(it, Flow::Parked(Park::OtherStore { .. }));
        if state.has_flowed || !state.partitions.values().all(refused) {
            return None;
        }
        match state.partitions.iter().next()? {
            (partition, Flow::Parked(why)) => Some((*partition, why.clone())),
            _ => None,
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
