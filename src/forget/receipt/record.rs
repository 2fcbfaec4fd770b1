//! A receipt as a record of the receipts topic.

use std::ffi::CStr;

use super::content::Receipt;
use super::deed::Deed;
use super::swept::{SWEPT_HEADER, SweptBatch, SweptHour};
use crate::model::Millis;
use crate::stream::{Outgoing, Publish, TopicIndex};

/// A receipt as the bytes of a record.
pub struct ReceiptBytes {
    key: Option<String>,
    pub(super) value: Vec<u8>,
    /// The hours of a sweep.
    pub(super) swept: Option<Vec<u8>>,
    at: Millis,
}

impl ReceiptBytes {
    /// Returns the receipt as a record. If its value is longer than `limit` bytes, it loses its list of keys.
    pub fn new(receipt: Receipt, limit: usize) -> Self {
        let key = receipt.token.map(|token| token.to_string());
        let (mut value, at) = (receipt.to_json(), receipt.done_at);
        if value.len() > limit {
            value = receipt.without_keys().to_json();
        }
        Self { key, value, swept: None, at }
    }

    /// Returns the receipt of a sweep with its hours. If they make the record longer than `limit` bytes, none
    /// of them lists its keys.
    pub fn of_sweep(receipt: Receipt, hours: Vec<SweptHour>, limit: usize) -> Self {
        let (value, swept) = (receipt.to_json(), SweptBatch::header(&hours));
        let is_short = value.len() + swept.len() <= limit;
        if is_short || hours.iter().all(|hour| hour.keys.is_empty()) {
            return Self { key: None, value, swept: Some(swept), at: receipt.done_at };
        }
        let hours: Vec<SweptHour> = hours.into_iter().map(SweptHour::without_keys).collect();
        Self::of_sweep(Receipt { deed: Deed::Sweep(SweptBatch::of(&hours)), ..receipt }, hours, limit)
    }
}

/// A receipt to be sent to the receipts topic. The topic has one partition, and readers assign only that one.
pub struct ReceiptRecord<'a> {
    bytes: &'a ReceiptBytes,
    swept: Option<(&'static CStr, &'a [u8])>,
}

impl<'a> ReceiptRecord<'a> {
    pub fn of(bytes: &'a ReceiptBytes) -> Self {
        Self { bytes, swept: bytes.swept.as_deref().map(|swept| (SWEPT_HEADER, swept)) }
    }
}

impl Publish for ReceiptRecord<'_> {
    fn outgoing(&self) -> Outgoing<'_> {
        Outgoing {
            topic: TopicIndex(0),
            partition: Some(0),
            timestamp: self.bytes.at,
            key: self.bytes.key.as_deref().map(str::as_bytes),
            value: Some(&self.bytes.value),
            headers: self.swept.as_slice(),
        }
    }
}
