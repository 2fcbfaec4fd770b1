//! Decides about a record: its customer and time, or the reason for its quarantine. Pure.

use std::borrow::Cow;

use super::customer::{self, Id};
use super::max_message_bytes::MaxMessageBytes;
use super::members::{Members, Part, pointers};
use super::quarantine::Reason;
use super::sources::{CustomerFrom, Skip, Sources, TimeFrom};
use super::time;
use super::timestamp_bounds::TimestampBounds;
use crate::envelope::OVERHEAD;
use crate::model::{Generation, Hour, Millis};
use crate::stream::{Headers, Input};

/// 2000-01-01T00:00Z. An earlier event time is a mistake.
const YEAR_2000: Millis = Millis(946_684_800_000);
/// Most bytes that Kafka adds to one record: 61 for the batch header, 40 for record fields and varints.
const RECORD_OVERHEAD: usize = 61 + 40;

/// Bounds of an event.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Longest time that an event may be ahead of now, in milliseconds.
    pub max_future_ms: i64,
    /// Time after the end of its hour during which an event is still on time, in milliseconds.
    pub grace_ms: i64,
    /// Largest key + headers + payload, in bytes.
    pub max_event_bytes: usize,
    /// `max.message.bytes` of the output topic. A larger record goes to quarantine.
    pub output_bytes: MaxMessageBytes,
    /// `max.message.bytes` of the quarantine topic. A larger record loses its content, so its largest value
    /// counts: after it became smaller, only the broker decides which records are too large.
    pub quarantine_bytes: MaxMessageBytes,
    /// The timestamps that the output topics accept. A sealed record's timestamp is the time of its event.
    pub timestamps: TimestampBounds,
}

/// The rules by which records are admitted.
#[derive(Clone, Debug)]
pub struct Admit {
    pub customer: Sources<CustomerFrom>,
    pub time: Sources<TimeFrom>,
    /// The bytes before the value's JSON text.
    pub skip: Skip,
    pub limits: Limits,
}

/// A record after admission.
pub(super) struct Admitted<'v> {
    /// Its customer, if known and valid.
    pub(super) customer: Option<Cow<'v, str>>,
    /// Its hour and time, if known and within the limits.
    pub(super) when: Option<(Hour, Millis)>,
    /// Reason for its quarantine; `None` = it is sealed as asked.
    pub(super) reason: Option<Reason>,
    /// Bytes of key + headers + payload.
    pub(super) size: usize,
    /// Whether the quarantine topic takes its content.
    pub(super) fits_quarantine: bool,
}

/// The decision of [`Admit`] about a record, for those that seal nothing.
pub struct Decision<'v> {
    pub customer: Option<Cow<'v, str>>,
    pub when: Option<(Hour, Millis)>,
    pub reason: Option<Reason>,
    pub size: usize,
    pub fits_quarantine: bool,
}

impl Admit {
    /// The decision about a record that is read at `now`.
    pub fn decision<'v>(&self, input: &Input<'v>, now: Millis) -> Decision<'v> {
        let Admitted { customer, when, reason, size, fits_quarantine } = self.decide(input, now);
        Decision { customer, when, reason, size, fits_quarantine }
    }
}

impl Admit {
    /// Decides about a record that is read at `now`.
    pub(super) fn decide<'v>(&self, input: &Input<'v>, now: Millis) -> Admitted<'v> {
        let (size, clear) = measure(input);
        let (customer, time) = self.look_up(input);
        let when = time.and_then(|time| self.plausible(time, now));
        let reason = match (&customer, &when) {
            (Err(reason), _) | (_, Err(reason)) => Some(*reason),
            (Ok(customer), Ok((_, time))) => self
                .oversized(size, clear + customer.len())
                .or_else(|| self.limits.timestamps.exclude(*time, now).then_some(Reason::Refused)),
        };
        Admitted {
            fits_quarantine: size + clear + self.room(customer.as_ref().map_or(0, |c| c.len()))
                <= self.limits.quarantine_bytes.largest(),
            customer: customer.ok(),
            when: when.ok(),
            reason,
            size,
        }
    }

    fn oversized(&self, size: usize, clear: usize) -> Option<Reason> {
        let sealed = size + clear + OVERHEAD + RECORD_OVERHEAD;
        let large = size > self.limits.max_event_bytes || sealed > self.limits.output_bytes.now();
        large.then_some(Reason::TooLarge)
    }

    /// Bytes of a quarantine record besides its content.
    fn room(&self, customer: usize) -> usize {
        /// Reason, origin with a topic name of up to 249 bytes, size, digest, timestamp.
        const LABEL: usize = 600;
        OVERHEAD + RECORD_OVERHEAD + LABEL + customer
    }

    fn look_up<'v>(&self, input: &Input<'v>) -> (Id<'v>, Result<Millis, Reason>) {
        let mut members = Members::of(input.value, self.skip, pointers(&self.customer, &self.time));
        let (customers, times) = members.parts();
        (self.customer_of(input, customers), self.time_of(input, times))
    }

    /// The first customer that a place holds. An invalid one does not make way for the next place.
    fn customer_of<'v>(&self, input: &Input<'v>, mut members: Part<'_, 'v>) -> Id<'v> {
        let at = |place: &CustomerFrom| match place {
            CustomerFrom::Json(_, form) => match members.next() {
                Ok(found) => customer::in_json(found, *form),
                Err(reason) => Some(Err(reason)),
            },
            CustomerFrom::Key(decoding) => input.key.and_then(|key| customer::in_bytes(key, decoding)),
            CustomerFrom::Header(name, decoding) => match header(input.headers, name)? {
                Ok(value) => customer::in_bytes(value, decoding),
                Err(reason) => Some(Err(reason)),
            },
        };
        let first = self.customer.iter().find_map(at);
        first.unwrap_or_else(|| Err(members.missing(Reason::NoCustomer)))
    }

    /// The first time that a place holds.
    fn time_of(&self, input: &Input<'_>, mut members: Part<'_, '_>) -> Result<Millis, Reason> {
        let at = |place: &TimeFrom| match place {
            TimeFrom::Json(_, form) => match members.next() {
                Ok(found) => time::in_json(&found, *form),
                Err(reason) => Some(Err(reason)),
            },
            TimeFrom::Header(name, form) => Some(header(input.headers, name)?.and_then(|value| {
                let text = std::str::from_utf8(value).ok();
                text.and_then(|text| time::in_text(text, *form)).ok_or(Reason::BadTime)
            })),
            TimeFrom::Timestamp => input.timestamp.map(Ok),
        };
        let first = self.time.iter().find_map(at);
        first.unwrap_or_else(|| Err(members.missing(Reason::NoTime)))
    }

    fn plausible(&self, time: Millis, now: Millis) -> Result<(Hour, Millis), Reason> {
        if time > now.plus(self.limits.max_future_ms) {
            return Err(Reason::Future);
        }
        let hour = Hour::containing(time).filter(|_| time >= YEAR_2000).ok_or(Reason::Implausible)?;
        match Generation::at(hour, now, self.limits.grace_ms) {
            Some(_) => Ok((hour, time)),
            None => Err(Reason::Implausible),
        }
    }
}

/// Bytes of key + headers + payload, plus 6 per header; and bytes of the key, which may also go in the clear.
fn measure(input: &Input<'_>) -> (usize, usize) {
    let key = input.key.map_or(0, <[u8]>::len);
    let mut size = key + input.value.map_or(0, <[u8]>::len);
    for index in 0..input.headers.count() {
        let (name, value) = input.headers.at(index);
        size += name.len() + value.map_or(0, <[u8]>::len) + 6;
    }
    (size, key)
}

/// The value of the only header of this name; `None` = there is none, or a null value.
fn header<'v>(headers: &'v dyn Headers, name: &str) -> Option<Result<&'v [u8], Reason>> {
    let mut matching =
        (0..headers.count()).map(|index| headers.at(index)).filter(|(n, _)| *n == name.as_bytes());
    let (_, value) = matching.next()?;
    match matching.next() {
        Some(_) => Some(Err(Reason::Ambiguous)),
        None => value.map(Ok),
    }
}

#[cfg(test)]
mod tests;
