//! Reasons for a quarantine, and the clear labels of a quarantined record.

use std::ffi::CStr;
use std::fmt;

use super::batch::Entry;

/// Reason why a record cannot be sealed as asked. The codes are part of the contract (`schemas/envelope.md`).
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum Reason {
    /// The value has a key on a pointer's path twice, or the record has a needed header twice.
    Ambiguous,
    /// The customer id breaks a rule of `CustomerId`, or does not have the form that `event.customer` names.
    BadCustomer,
    /// The time does not have the form that `event.time` names.
    BadTime,
    /// The key or header of the customer id looks encoded, and `event.customer` names no decoding.
    EncodedCustomer,
    /// The hour is fenced, or is below the customer's floor. No content is kept.
    Erased,
    /// The hour is already due to be forgotten. No content is kept.
    Expired,
    /// More than `event.max_future` ahead of now.
    Future,
    /// Before 2000, or more than 65,535 hours old.
    Implausible,
    NoCustomer,
    NoTime,
    /// The value is null, although customer or time come from it.
    NoValue,
    /// The value is not a JSON text in UTF-8, although customer or time come from it.
    NotJson,
    /// The broker refused the sealed record.
    Refused,
    /// Larger than `event.max_bytes`, or than the output topic accepts.
    TooLarge,
    /// More headers, or longer names, than the envelope can count.
    TooManyHeaders,
    /// Its new slot is over the budget of a runaway partition (`lane.runaway_minutes`).
    TooManySlots,
}

impl Reason {
    pub const ALL: [Self; 16] = [
        Self::Ambiguous,
        Self::BadCustomer,
        Self::BadTime,
        Self::EncodedCustomer,
        Self::Erased,
        Self::Expired,
        Self::Future,
        Self::Implausible,
        Self::NoCustomer,
        Self::NoTime,
        Self::NoValue,
        Self::NotJson,
        Self::Refused,
        Self::TooLarge,
        Self::TooManyHeaders,
        Self::TooManySlots,
    ];

    pub const fn code(self) -> &'static str {
        match self {
            Self::Ambiguous => "ambiguous",
            Self::BadCustomer => "bad-customer",
            Self::BadTime => "bad-time",
            Self::EncodedCustomer => "encoded-customer",
            Self::Erased => "erased",
            Self::Expired => "expired",
            Self::Future => "future",
            Self::Implausible => "implausible",
            Self::NoCustomer => "no-customer",
            Self::NoTime => "no-time",
            Self::NoValue => "no-value",
            Self::NotJson => "not-json",
            Self::Refused => "refused",
            Self::TooLarge => "too-large",
            Self::TooManyHeaders => "too-many-headers",
            Self::TooManySlots => "too-many-slots",
        }
    }

    /// The reason with this code.
    pub fn of(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.code() == code)
    }

    /// Whether the content must be forgotten, or already is. Then nothing of it is kept, not even a digest.
    pub(super) const fn forgets(self) -> bool {
        matches!(self, Self::Erased | Self::Expired)
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

/// Reason of a record that tells of a gap which the operator accepted.
pub(super) const GIVEN_UP: &str = "given-up";

pub(super) const HEADER_CUSTOMER: &CStr = c"hourseal-customer";
pub(super) const HEADER_REASON: &CStr = c"hourseal-reason";
pub(super) const HEADER_ORIGIN: &CStr = c"hourseal-origin";
pub(super) const HEADER_SIZE: &CStr = c"hourseal-size";
pub(super) const HEADER_DIGEST: &CStr = c"hourseal-digest";
pub(super) const HEADER_TIMESTAMP: &CStr = c"hourseal-timestamp";
pub(super) const HEADER_UNTIL: &CStr = c"hourseal-until";

/// Header values of a quarantined record: reason, origin, size, digest and timestamp.
pub(super) struct Label {
    reason: &'static str,
    origin: String,
    size: String,
    digest: Option<String>,
    timestamp: Option<String>,
}

impl Label {
    /// Labels an entry that came from `topic`; `kept`: with its content.
    pub(super) fn new(reason: Reason, topic: &str, entry: &Entry, kept: bool) -> Self {
        let digest = entry.digest.filter(|_| !reason.forgets());
        Self {
            reason: reason.code(),
            origin: origin(topic, entry.partition, entry.offset),
            size: entry.size.to_string(),
            digest: digest.map(hex::encode),
            timestamp: entry.timestamp.filter(|_| kept).map(|time| time.0.to_string()),
        }
    }

    pub(super) fn headers(&self) -> Vec<(&'static CStr, &[u8])> {
        let mut headers = vec![
            (HEADER_REASON, self.reason.as_bytes()),
            (HEADER_ORIGIN, self.origin.as_bytes()),
            (HEADER_SIZE, self.size.as_bytes()),
        ];
        let digest = self.digest.as_ref().map(|digest| (HEADER_DIGEST, digest.as_bytes()));
        let timestamp = self.timestamp.as_ref().map(|time| (HEADER_TIMESTAMP, time.as_bytes()));
        headers.extend(digest.into_iter().chain(timestamp));
        headers
    }
}

/// A gap of the input that the operator accepted. The next transaction tells of it in the quarantine.
pub(super) struct GivenUp {
    pub(super) partition: i32,
    /// The first offset of the gap.
    from: String,
    /// The offset at which the lane continues.
    until: String,
}

impl GivenUp {
    /// `committed`: the offset that the broker held, if any.
    pub(super) fn new(topic: &str, partition: i32, committed: Option<i64>, at: i64) -> Self {
        let from = origin(topic, partition, committed.unwrap_or(0));
        Self { partition, from, until: at.to_string() }
    }

    pub(super) fn headers(&self) -> [(&'static CStr, &[u8]); 3] {
        [
            (HEADER_REASON, GIVEN_UP.as_bytes()),
            (HEADER_ORIGIN, self.from.as_bytes()),
            (HEADER_UNTIL, self.until.as_bytes()),
        ]
    }
}

/// A record's place, as in the header.
pub(super) fn origin(topic: &str, partition: i32, offset: i64) -> String {
    format!("{topic}/{partition}/{offset}")
}

/// Partition and offset of a place within `topic`. `None` if the text is not a place, or is in another topic.
pub(super) fn place_in(topic: &str, origin: &str) -> Option<(i32, i64)> {
    let (partition, offset) = origin.strip_prefix(topic)?.strip_prefix('/')?.split_once('/')?;
    Some((partition.parse().ok()?, offset.parse().ok()?))
}
