//! How far the input's plaintext may be deleted. Pure.

use std::collections::BTreeMap;

/// Next offset of each partition that a group has committed any of.
pub type Committed = BTreeMap<i32, i64>;

/// Where each partition may begin: behind what all of the groups have committed. A partition of which one of them has
/// committed nothing is not in it, and without a group none is.
pub fn scrub_ends(groups: &[Committed]) -> BTreeMap<i32, i64> {
    let Some((first, others)) = groups.split_first() else { return BTreeMap::new() };
    let slowest = |(partition, next): (&i32, &i64)| {
        let end =
            others.iter().try_fold(*next, |least, group| group.get(partition).map(|next| least.min(*next)));
        end.map(|end| (*partition, end))
    };
    first.iter().filter_map(slowest).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_slowest_group_decides() {
        let (ours, audit) = (BTreeMap::from([(0, 100), (1, 100)]), BTreeMap::from([(0, 40), (1, 300)]));
        assert_eq!(scrub_ends(&[ours.clone(), audit]), BTreeMap::from([(0, 40), (1, 100)]));
        assert_eq!(scrub_ends(std::slice::from_ref(&ours)), ours);
    }

    #[test]
    fn a_partition_that_a_group_has_not_committed_stays() {
        let ours = BTreeMap::from([(0, 100), (1, 100)]);
        assert_eq!(scrub_ends(&[ours.clone(), BTreeMap::from([(1, 7)])]), BTreeMap::from([(1, 7)]));
        assert_eq!(scrub_ends(&[ours, BTreeMap::new()]), BTreeMap::new());
        assert_eq!(scrub_ends(&[]), BTreeMap::new());
    }

    proptest! {
        #[test]
        fn nothing_that_any_group_has_still_to_read_is_deleted(
            groups in prop::collection::vec(prop::collection::btree_map(0..4_i32, 0..100_i64, 0..5), 0..4)
        ) {
            for (partition, end) in scrub_ends(&groups) {
                prop_assert!(groups.iter().all(|group| group.get(&partition).is_some_and(|next| *next >= end)));
            }
        }
    }
}
