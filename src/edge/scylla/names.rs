//! Caches customers' names by token. A token's name never changes.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::model::{CustomerId, Token};

/// Most names in the cache. When it is full, it is cleared.
const MOST: usize = 500_000;

#[derive(Default)]
pub(super) struct Names(Mutex<HashMap<Token, CustomerId>>);

impl Names {
    pub(super) fn get(&self, token: Token) -> Option<CustomerId> {
        self.lock().get(&token).cloned()
    }

    /// Caches a name that is in the store.
    pub(super) fn put(&self, token: Token, name: &CustomerId) {
        let mut names = self.lock();
        if names.len() >= MOST {
            names.clear();
        }
        names.insert(token, name.clone());
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Token, CustomerId>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
