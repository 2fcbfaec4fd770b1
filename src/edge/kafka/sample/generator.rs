//! Generates job events of `schemas/job-event.schema.json` from a seed. The same seed and times give the
//! same events.

use std::fmt::Write as _;

use crate::model::{MILLIS_PER_HOUR, Millis};

/// Late events are up to this many hours old.
const LATE_HOURS: i64 = 30;

/// Properties of the generated events.
#[derive(Clone, Debug)]
pub struct Shape {
    pub seed: u64,
    /// Number of customers. Few of them have many events.
    pub customers: u32,
    /// Bytes of an event's JSON, if its other fields leave room for padding.
    pub size: usize,
    /// Fraction of events that happened 1 to 30 hours ago, from 0 to 1.
    pub late: f64,
}

/// An event, ready for a record.
pub struct SampleEvent {
    /// The record's key: the job's id.
    pub key: String,
    /// The record's value: JSON.
    pub value: String,
    /// A W3C trace context, as many producers send.
    pub traceparent: String,
}

/// An endless sequence of events.
pub struct Generator {
    shape: Shape,
    random: SplitMix,
    made: u64,
}

impl Generator {
    pub fn new(shape: Shape) -> Self {
        let random = SplitMix(shape.seed);
        Self { shape, random, made: 0 }
    }

    /// Generates the next event. It happens at `now`, unless it is late.
    pub fn next(&mut self, now: Millis) -> SampleEvent {
        const TYPES: [&str; 4] = ["job.started", "step.finished", "step.finished", "job.finished"];
        self.made += 1;
        // With the fourth power, a twentieth of the customers has about half of the events.
        let customer = (self.random.fraction().powi(4) * f64::from(self.shape.customers)) as u32 + 1;
        let late = self.random.fraction() < self.shape.late;
        let back = 1 + (self.random.fraction() * (LATE_HOURS - 1) as f64 * MILLIS_PER_HOUR as f64) as i64;
        let at = if late { now.plus(-MILLIS_PER_HOUR - back) } else { now };
        let key = format!("job-{:08}", self.made.div_ceil(TYPES.len() as u64));
        let kind = TYPES[(self.made as usize - 1) % TYPES.len()];
        let mut value = format!(
            "{{\"customer_id\":\"customer-{customer:04}\",\"occurred_at\":\"{at}\",\"job_id\":\"{key}\",\
             \"type\":\"{kind}\",\"payload\":\""
        );
        self.pad(&mut value);
        value.push_str("\"}");
        let traceparent = format!(
            "00-{:016x}{:016x}-{:016x}-01",
            self.random.next(),
            self.random.next(),
            self.random.next()
        );
        SampleEvent { key, value, traceparent }
    }

    fn pad(&mut self, value: &mut String) {
        let until = self.shape.size.saturating_sub(2);
        while value.len() + 16 <= until {
            // Writing to a String cannot fail.
            let _ = write!(value, "{:016x}", self.random.next());
        }
        value.extend(std::iter::repeat_n('.', until.saturating_sub(value.len())));
    }
}

/// SplitMix64: small, and good enough for samples.
struct SplitMix(u64);

impl SplitMix {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// 0 ≤ fraction < 1.
    fn fraction(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;
    use crate::model::Hour;

    const NOW: Millis = Millis(1_795_500_000_000);

    fn events(shape: Shape, count: usize) -> Vec<serde_json::Value> {
        let mut generator = Generator::new(shape);
        let parse = |event: SampleEvent| serde_json::from_str(&event.value).expect("an event is JSON");
        (0..count).map(|_| parse(generator.next(NOW))).collect()
    }

    fn shape() -> Shape {
        Shape { seed: 7, customers: 200, size: 1024, late: 0.5 }
    }

    #[test]
    fn the_same_seed_gives_the_same_events_of_the_asked_size() {
        assert_eq!(events(shape(), 50), events(shape(), 50));
        let other = Shape { seed: 8, ..shape() };
        assert_ne!(events(shape(), 50), events(other, 50));
        assert_eq!(Generator::new(shape()).next(NOW).value.len(), 1024);
    }

    #[test]
    fn customers_are_skewed_and_half_of_the_events_late_by_up_to_30_hours() {
        let events = events(shape(), 4000);
        let mut by_customer: HashMap<&str, usize> = HashMap::new();
        let mut late = 0;
        for event in &events {
            *by_customer.entry(event["customer_id"].as_str().expect("text")).or_default() += 1;
            let at: jiff::Timestamp = event["occurred_at"].as_str().expect("text").parse().expect("RFC 3339");
            let age = NOW.0 - at.as_millisecond();
            assert!((0..=LATE_HOURS * MILLIS_PER_HOUR).contains(&age));
            late += usize::from(Hour::containing(Millis(at.as_millisecond())) != Hour::containing(NOW));
        }
        let most = by_customer.values().max().expect("some");
        assert!(*most > 10 * events.len() / 200, "{most}");
        assert!((1800..2200).contains(&late), "{late}");
    }
}
