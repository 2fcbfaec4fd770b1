//! Claims that hold for every key store: the same ones for SQLite and for CQL.
//!
//! A store joins with a [`Subject`] and one line of [`conformance!`]. Its special properties are tested
//! in its own file.

pub mod forget;
pub mod ledger;
pub mod mint;
pub mod rewrap;

use std::sync::Arc;

use async_trait::async_trait;
use hourseal::keys::*;
use hourseal::model::*;

use crate::child::Other;
use crate::world::{DAY, HOUR, customer, random};

/// A store under test.
#[async_trait]
pub trait Subject: Send + Sync + Sized {
    /// `NAME` in the order `race-NAME` of `child.rs`.
    const NAME: &'static str;

    /// False if its server is missing. Then no claim is tested, and this prints a notice.
    fn is_there() -> bool {
        true
    }

    /// Creates a new, empty store with its own vault id and a default retention of one day.
    async fn fresh() -> Self;

    /// Returns the store that another process created at this address.
    async fn at(address: &str) -> Self;

    /// Returns the address for [`Subject::at`].
    fn address(&self) -> String;

    fn vault(&self) -> VaultId;

    /// Opens the store like another process, with this vault and this default retention.
    async fn open_as(&self, vault: VaultId, default: Retention) -> Result<Arc<dyn Store>, StoreError>;

    /// Opens the store like another process.
    async fn open(&self) -> Arc<dyn Store> {
        self.open_as(self.vault(), DAY).await.expect("it opens")
    }
}

/// Runs every claim, each on a fresh subject.
macro_rules! conformance {
    ($subject:ty) => {
        $crate::conformance::conformance!(@ $subject, mint:
            a_slot_has_one_dek_whoever_races
            two_processes_agree_on_every_slot
            what_was_minted_is_there_for_everybody
            a_slot_twice_in_one_batch_is_minted_once
            a_batch_is_answered_in_order
            every_generation_has_a_key_of_its_own
            customers_share_no_slot
            nothing_is_known_of_what_never_was
            the_gate_keeps_due_and_kek_of_the_first_mint
            a_new_retention_changes_no_gate
            a_refused_candidate_leaves_nothing_behind
            racing_generations_share_one_gate
        );
        $crate::conformance::conformance!(@ $subject, forget:
            a_fenced_hour_mints_nothing_in_any_generation
            an_hour_that_never_had_a_key_is_fenced_too
            a_fence_outlives_reopening
            fencing_again_keeps_the_first_command
            a_fence_touches_no_other_hour
            nothing_is_minted_after_a_fence_that_races
            a_hold_forbids_the_fence
            a_hold_forbids_erasing_what_was_fenced_before
            a_hold_waits_for_hours_that_come_later
            a_hold_does_not_stop_minting
            a_released_hold_forbids_nothing
            an_hour_under_two_holds_stays_held_until_both_are_released
            a_holds_id_is_not_used_for_another
            a_hold_covers_its_own_customer_and_hours_only
            holds_in_force_are_listed_and_found_by_id
            an_open_hour_is_not_erased
            erasing_overwrites_every_generation_and_leaves_markers
            erasing_again_changes_nothing
            erasing_an_hour_without_keys_finds_none
            an_erased_slot_stays_erased_after_reopening
            below_the_floor_nothing_is_minted
            the_floor_never_goes_down
            the_floor_outlives_the_rows
            many_hours_are_forgotten_and_read_back_but_for_those_that_are_held
            markers_that_still_matter_do_not_expire
            a_closed_customer_gets_no_key
            a_token_without_a_name_is_closed_and_stays_so_when_its_name_comes
            a_token_without_a_name_gets_it_from_its_first_key
            the_fail_safe_overwrites_what_is_due_and_not_held
            what_the_fail_safe_took_stays_so
        );
        $crate::conformance::conformance!(@ $subject, ledger:
            another_vault_is_refused_by_name
            every_store_has_an_id_and_pseudonyms_of_its_own
            seeds_do_not_change_a_store
            a_kek_is_registered_once_whoever_races
            a_kek_never_goes_back_in_its_life
            every_kek_is_listed_with_its_state
            a_verdict_is_stored_once
            an_id_is_not_used_for_another_command
            the_last_receipt_never_goes_back
            started_partitions_are_remembered_per_input
            a_started_partition_keeps_its_topic_and_its_accepted_gap
            marking_a_started_partition_again_replaces_all_of_it
            a_topics_placement_is_the_first_one_whoever_races
            a_placement_is_changed_only_as_it_was_seen
            due_hours_come_soonest_first_and_in_pages
            fenced_hours_are_not_due
            customers_come_in_pages
            hours_come_in_order_with_their_keys
            retention_is_set_and_taken_back
            keys_are_counted_by_state
            live_keys_are_counted_by_kek_fenced_and_held_ones_too
        );
        $crate::conformance::conformance!(@ $subject, rewrap:
            a_fence_is_known_until_the_later_due_and_nothing_else_of_it_changes
            the_fence_of_a_held_hour_gets_the_later_due_too
            an_hour_gets_new_terms_with_all_its_keys
            terms_are_given_to_an_hour_only_as_it_was_seen
            what_was_erased_meanwhile_does_not_come_back
            whatever_is_minted_meets_the_new_terms
            what_was_listed_before_is_forgotten_under_the_new_terms
            a_held_hour_keeps_its_hold_and_a_fenced_one_its_fence
            terms_and_mints_that_race_leave_no_key_behind
            the_hours_under_a_kek_are_those_with_a_live_key_of_it
        );
    };
    (@ $subject:ty, $part:ident: $($claim:ident)*) => {
        mod $part {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
                async fn $claim() {
                    if !<$subject as $crate::conformance::Subject>::is_there() {
                        return;
                    }
                    let subject = <$subject as $crate::conformance::Subject>::fresh().await;
                    $crate::conformance::$part::$claim(&subject).await;
                }
            )*
        }
    };
}
pub(crate) use conformance;

/// Returns a candidate with random bytes as its DEK, due a day after its hour.
pub fn candidate(store: &dyn Store, id: &str, hour: Hour, generation: u16) -> Candidate {
    let customer = customer(id);
    let due = Due::of(hour, DAY);
    Candidate {
        slot: SlotRef { token: store.token(&customer), hour, generation: Generation(generation) },
        customer,
        due,
        kek: KekId::of_due(due),
        commitment: random(),
        wrapped: random(),
        seen: Seen::nothing(),
    }
}

/// Mints one candidate.
pub async fn mint_one(store: &dyn Store, candidate: &Candidate) -> Minted {
    store.register_kek(&candidate.kek, [1; 16]).await.expect("it answers");
    let minted = store.mint(std::slice::from_ref(candidate), candidate.slot.hour.start()).await;
    minted.expect("it answers").pop().expect("one answer")
}

/// Mints a fresh candidate that must win.
pub async fn won(store: &dyn Store, id: &str, hour: Hour, generation: u16) -> Candidate {
    let candidate = candidate(store, id, hour, generation);
    assert_eq!(mint_one(store, &candidate).await, Minted::Won);
    candidate
}

/// Returns the store's entry for a slot.
pub async fn found(store: &dyn Store, slot: SlotRef) -> Found {
    store.fetch(&[slot]).await.expect("it answers").pop().expect("one answer")
}

/// Runs one side of a race of two processes for 300 slots, in batches of ten. Returns each slot's key id and
/// the number of slots won.
pub async fn race<S: Subject>(address: &str) -> Vec<String> {
    let store = S::at(address).await.open().await;
    let mut answers = Vec::new();
    let mut wins = 0;
    for hour in 0..30 {
        let batch: Vec<_> =
            (0..10).map(|generation| candidate(&*store, "acme", HOUR.plus(hour), generation)).collect();
        let minted = store.mint(&batch, HOUR.start()).await.expect("it answers");
        for (candidate, minted) in batch.iter().zip(minted) {
            answers.push(match minted {
                Minted::Won => {
                    wins += 1;
                    candidate.key_id().to_string()
                }
                Minted::Adopted { key, .. } => key.key_id.to_string(),
                other => panic!("{other:?}"),
            });
        }
    }
    answers.push(wins.to_string());
    answers
}

/// Starts another process that will race for the same slots.
pub fn racer<S: Subject>(subject: &S) -> Other {
    Other::ready(&format!("race-{}", S::NAME), &subject.address())
}
