//! The lifetime of a customer's hours.

use super::{Hour, Millis};

/// A retention period in hours, 1 to 65,535.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Retention(u16);

impl Retention {
    /// `None` for zero.
    pub const fn hours(hours: u16) -> Option<Self> {
        if hours == 0 { None } else { Some(Self(hours)) }
    }

    pub const fn as_hours(self) -> u16 {
        self.0
    }
}

/// A retention class (`topics.class`): its position among the classes, ordered from the shortest retention.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ClassId(pub usize);

/// The number of the hour from which an hour's data is due to be forgotten.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Due(pub u32);

impl Due {
    /// due = end of the hour + retention.
    pub const fn of(hour: Hour, retention: Retention) -> Self {
        Self(hour.0.saturating_add(1).saturating_add(retention.0 as u32))
    }

    pub const fn at(self) -> Millis {
        Hour(self.0).start()
    }

    pub fn reached(self, now: Millis) -> bool {
        now >= self.at()
    }
}
