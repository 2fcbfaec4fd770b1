//! Chooses the output partition of a slot's records. The choice is part of the contract: the order of the
//! records relies on it. Nothing else does: every reader looks at all partitions.

use super::settings::Partitioner;
use crate::model::{CustomerId, Hour};

/// The output partition of a customer's hour, from 0 to `count` - 1. `count` is the placement of the topic.
/// `customer-hour` hashes customer ‖ 0x00 ‖ u32 hour. `None` = the number of the input partition.
pub(super) fn output_partition(
    by: Partitioner,
    customer: &CustomerId,
    hour: Hour,
    count: i32,
) -> Option<i32> {
    match by {
        Partitioner::Customer => Some(bucket(murmur2(customer.as_bytes()), count)),
        Partitioner::CustomerHour => {
            let mut key = [0; CustomerId::MAX_LEN + 5];
            let len = customer.as_bytes().len();
            key[..len].copy_from_slice(customer.as_bytes());
            key[len + 1..len + 5].copy_from_slice(&hour.0.to_be_bytes());
            Some(bucket(murmur2(&key[..len + 5]), count))
        }
        Partitioner::Input => None,
    }
}

/// Like Kafka's default partitioner: the hash without its sign, modulo the count.
fn bucket(hash: u32, count: i32) -> i32 {
    (hash & 0x7fff_ffff) as i32 % count.max(1)
}

/// Kafka's murmur2 with its seed (org.apache.kafka.common.utils.Utils).
fn murmur2(data: &[u8]) -> u32 {
    const M: u32 = 0x5bd1_e995;
    let mut hash = 0x9747_b28c_u32 ^ data.len() as u32;
    let (words, tail) = data.as_chunks::<4>();
    for word in words {
        let mut k = u32::from_le_bytes(*word).wrapping_mul(M);
        k = (k ^ (k >> 24)).wrapping_mul(M);
        hash = hash.wrapping_mul(M) ^ k;
    }
    for (index, byte) in tail.iter().enumerate().rev() {
        hash ^= u32::from(*byte) << (8 * index);
        if index == 0 {
            hash = hash.wrapping_mul(M);
        }
    }
    hash = (hash ^ (hash >> 13)).wrapping_mul(M);
    hash ^ (hash >> 15)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The cases of Kafka's own UtilsTest.testMurmur2.
    #[test]
    fn murmur2_is_kafkas() {
        for (text, hash) in [
            ("21", -973_932_308_i32),
            ("foobar", -790_332_482),
            ("a-little-bit-long-string", -985_981_536),
            ("a-little-bit-longer-string", -1_486_304_829),
            ("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58_897_971),
            ("abc", 479_470_107),
        ] {
            assert_eq!(murmur2(text.as_bytes()) as i32, hash, "{text}");
        }
    }

    #[test]
    fn one_slot_lies_in_one_partition_and_slots_spread_over_all() {
        let customer = CustomerId::parse("acme").expect("an id");
        let mut seen = std::collections::HashSet::new();
        for hour in 0..500 {
            let partition = output_partition(Partitioner::CustomerHour, &customer, Hour(hour), 8);
            assert!(partition.is_some_and(|partition| (0..8).contains(&partition)));
            assert_eq!(partition, output_partition(Partitioner::CustomerHour, &customer, Hour(hour), 8));
            seen.insert(partition);
        }
        assert_eq!(seen.len(), 8, "hours spread over all partitions");
    }
}
