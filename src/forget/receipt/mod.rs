//! Receipts: the record of what was done (`schemas/receipt.schema.json`).
//!
//! Promise: a receipt names tokens, never a customer. Every later version reads them. Start at
//! [`content::Receipt`]; [`wire`] is its JSON, [`record`] its record.

pub(super) mod assumption;
pub(super) mod content;
pub(super) mod deed;
pub(super) mod key;
pub(super) mod record;
pub(super) mod swept;
#[cfg(test)]
mod tests;
mod wire;
