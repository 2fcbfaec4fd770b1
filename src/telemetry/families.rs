//! Families of series with typed labels. A series can be named only with labels of the family's type.

use std::marker::PhantomData;

use prometheus::{GaugeVec, HistogramVec, IntCounterVec};

use super::labels::LabelSet;

/// Counters, one for each combination of labels.
pub struct Counters<L>(IntCounterVec, PhantomData<fn(L)>);

/// Gauges, one for each combination of labels.
pub struct Gauges<L>(GaugeVec, PhantomData<fn(L)>);

/// Histograms, one for each combination of labels.
pub struct Histograms<L>(HistogramVec, PhantomData<fn(L)>);

/// Gauges whose first label is a number, such as a lane or a partition. They are few, but unknown at start.
pub struct NumberedGauges<L>(GaugeVec, PhantomData<fn(L)>);

impl<L: LabelSet> Counters<L> {
    pub(super) fn new(family: IntCounterVec) -> Self {
        for labels in L::all() {
            family.with_label_values(&labels.values());
        }
        Self(family, PhantomData)
    }

    pub fn add(&self, labels: L, count: u64) {
        self.0.with_label_values(&labels.values()).inc_by(count);
    }

    pub fn increment(&self, labels: L) {
        self.add(labels, 1);
    }
}

impl<L: LabelSet> Gauges<L> {
    pub(super) fn new(family: GaugeVec) -> Self {
        for labels in L::all() {
            family.with_label_values(&labels.values());
        }
        Self(family, PhantomData)
    }

    pub fn set(&self, labels: L, value: f64) {
        self.0.with_label_values(&labels.values()).set(value);
    }
}

impl<L: LabelSet> Histograms<L> {
    pub(super) fn new(family: HistogramVec) -> Self {
        for labels in L::all() {
            family.with_label_values(&labels.values());
        }
        Self(family, PhantomData)
    }

    pub fn observe(&self, labels: L, value: f64) {
        self.0.with_label_values(&labels.values()).observe(value);
    }
}

impl<L: LabelSet> NumberedGauges<L> {
    pub(super) fn new(family: GaugeVec) -> Self {
        Self(family, PhantomData)
    }

    pub fn set(&self, number: usize, labels: L, value: f64) {
        let number = number.to_string();
        let values: Vec<&str> = std::iter::once(number.as_str()).chain(labels.values()).collect();
        self.0.with_label_values(&values).set(value);
    }

    /// Removes the number's series from `/metrics`.
    pub fn remove(&self, number: usize) {
        let number = number.to_string();
        for labels in L::all() {
            let values: Vec<&str> = std::iter::once(number.as_str()).chain(labels.values()).collect();
            // An error means that there was no such series.
            let _ = self.0.remove_label_values(&values);
        }
    }
}

/// Clones share their series, whatever their labels are.
macro_rules! shared {
    ($($family:ident),+) => {
        $(impl<L> Clone for $family<L> {
            fn clone(&self) -> Self {
                Self(self.0.clone(), PhantomData)
            }
        })+
    };
}

shared!(Counters, Gauges, Histograms, NumberedGauges);
