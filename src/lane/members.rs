//! The values at the pointers of an event's customer and time, looked up in its JSON value in one pass.

use super::extract::{self, Found};
use super::framing;
use super::quarantine::Reason;
use super::sources::{CustomerFrom, Skip, Sources, TimeFrom};

/// Pointers of the customer, then those of the time.
pub(super) struct Pointers<'a> {
    paths: [&'a [String]; extract::MOST],
    count: usize,
    customers: usize,
}

pub(super) fn pointers<'a>(customer: &'a Sources<CustomerFrom>, time: &'a Sources<TimeFrom>) -> Pointers<'a> {
    const { assert!(2 * Sources::<()>::MOST <= extract::MOST, "every pointer has a place") };
    let mut pointers = Pointers { paths: [&[]; extract::MOST], count: 0, customers: 0 };
    for place in customer.iter() {
        if let CustomerFrom::Json(pointer, _) = place {
            pointers.push(pointer.tokens());
        }
    }
    pointers.customers = pointers.count;
    for place in time.iter() {
        if let TimeFrom::Json(pointer, _) = place {
            pointers.push(pointer.tokens());
        }
    }
    pointers
}

impl<'a> Pointers<'a> {
    fn push(&mut self, path: &'a [String]) {
        self.paths[self.count] = path;
        self.count += 1;
    }
}

/// The values that were found, in the order of the pointers.
pub(super) struct Members<'v> {
    found: [Found<'v>; extract::MOST],
    customers: usize,
    fault: Option<Reason>,
}

impl<'v> Members<'v> {
    /// Looks into the value only if there is a pointer.
    pub(super) fn of(value: Option<&'v [u8]>, skip: Skip, pointers: Pointers<'_>) -> Self {
        let paths = &pointers.paths[..pointers.count];
        let found = match value {
            _ if paths.is_empty() => Ok(Default::default()),
            None => Err(Reason::NoValue),
            Some(value) => {
                extract::look_up(framing::content(value, skip), paths).map_err(|_| Reason::NotJson)
            }
        };
        let fault = found.as_ref().err().copied();
        Self { found: found.unwrap_or_default(), customers: pointers.customers, fault }
    }

    /// Those of the customer, and those of the time.
    pub(super) fn parts(&mut self) -> (Part<'_, 'v>, Part<'_, 'v>) {
        let (customers, times) = self.found.split_at_mut(self.customers);
        (Part::of(customers, self.fault), Part::of(times, self.fault))
    }
}

/// Values that are taken one after the other, each by the place of its pointer.
pub(super) struct Part<'f, 'v> {
    left: std::slice::IterMut<'f, Found<'v>>,
    fault: Option<Reason>,
    asked: bool,
}

impl<'f, 'v> Part<'f, 'v> {
    fn of(found: &'f mut [Found<'v>], fault: Option<Reason>) -> Self {
        Self { left: found.iter_mut(), fault, asked: false }
    }

    /// The value at the next pointer. In a null value there is nothing.
    ///
    /// # Errors
    /// The value is not JSON: nobody knows what is at the pointer.
    pub(super) fn next(&mut self) -> Result<Found<'v>, Reason> {
        self.asked = true;
        match self.fault {
            Some(reason) if reason != Reason::NoValue => Err(reason),
            _ => Ok(self.left.next().map(std::mem::take).unwrap_or_default()),
        }
    }

    /// The reason why no place holds anything: `otherwise`, unless the value is null and was asked for.
    pub(super) fn missing(&self, otherwise: Reason) -> Reason {
        self.fault.filter(|_| self.asked).unwrap_or(otherwise)
    }
}
