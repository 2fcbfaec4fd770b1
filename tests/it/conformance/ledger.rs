//! Claims on identity, lists and decisions.

use std::collections::HashSet;

use hourseal::keys::*;
use hourseal::model::*;
use tokio::task::JoinSet;

use super::{Subject, candidate, mint_one, won};
use crate::world::{DAY, HOUR, command, customer, random};

pub async fn another_vault_is_refused_by_name(subject: &impl Subject) {
    subject.open().await;
    let other = VaultId(random());
    let error = subject.open_as(other, DAY).await.err().expect("refused");
    assert!(matches!(error, StoreError::Unusable(_)));
    let text = error.to_string();
    assert!(text.contains(&other.to_string()) && text.contains(&subject.vault().to_string()), "{text}");
}

pub async fn every_store_has_an_id_and_pseudonyms_of_its_own<S: Subject>(subject: &S) {
    let another = S::fresh().await;
    let (one, again, other) = (subject.open().await, subject.open().await, another.open().await);
    let id = async |store: &dyn Store| store.meta().await.expect("it answers").store;
    assert_eq!(id(&*one).await, id(&*again).await);
    assert_ne!(id(&*one).await, id(&*other).await);
    let acme = customer("acme");
    assert_eq!(one.token(&acme), again.token(&acme));
    assert_ne!(one.token(&acme), other.token(&acme));
    assert_ne!(one.token(&acme).0, one.token_key().digest(b"acme"), "a token is no digest");
}

pub async fn seeds_do_not_change_a_store(subject: &impl Subject) {
    let first = subject.open().await.meta().await.expect("it answers");
    assert_eq!((first.default_retention, first.max_lease_ms, first.last_receipt), (DAY, 60_000, None));
    let week = Retention::hours(168).expect("not zero");
    let store = subject.open_as(subject.vault(), week).await.expect("it opens");
    assert_eq!(store.meta().await.expect("it answers").default_retention, DAY);
}

pub async fn a_kek_is_registered_once_whoever_races(subject: &impl Subject) {
    let id = KekId::of_due(Due(HOUR.0));
    let mut tasks = JoinSet::new();
    for _ in 0..16 {
        let (store, id) = (subject.open().await, id.clone());
        tasks.spawn(async move { store.register_kek(&id, random()).await.expect("it answers") });
    }
    let rows = tasks.join_all().await;
    assert_eq!(rows.iter().map(|row| row.check).collect::<HashSet<_>>().len(), 1);
    assert_eq!((&rows[0].id, rows[0].state), (&id, KekState::Live));
    assert_eq!(subject.open().await.kek(&id).await.expect("it answers").as_ref(), Some(&rows[0]));
}

pub async fn a_kek_never_goes_back_in_its_life(subject: &impl Subject) {
    let store = subject.open().await;
    let id = KekId::of_due(Due(HOUR.0));
    assert_eq!(store.kek(&id).await.expect("it answers"), None);
    assert_eq!(store.advance_kek(&id, KekState::Closing).await.expect("it answers"), None);
    store.register_kek(&id, [1; 16]).await.expect("it answers");
    for (to, is) in [
        (KekState::Closing, KekState::Closing),
        (KekState::Live, KekState::Closing),
        (KekState::Destroyed, KekState::Destroyed),
        (KekState::Closing, KekState::Destroyed),
    ] {
        let row = store.advance_kek(&id, to).await.expect("it answers").expect("a row");
        assert_eq!((row.state, row.check), (is, [1; 16]));
    }
    let again = store.register_kek(&id, [2; 16]).await.expect("it answers");
    assert_eq!((again.state, again.check), (KekState::Destroyed, [1; 16]), "an id is never used twice");
}

pub async fn every_kek_is_listed_with_its_state(subject: &impl Subject) {
    let store = subject.open().await;
    assert_eq!(store.keks().await.expect("it answers"), []);
    let states = [KekState::Live, KekState::Closing, KekState::Destroyed];
    for (day, state) in (0..).zip(states) {
        let id = KekId::of_due(Due(HOUR.0 + 24 * day));
        store.register_kek(&id, [1; 16]).await.expect("it answers");
        store.advance_kek(&id, state).await.expect("it answers");
    }
    let listed = store.keks().await.expect("it answers");
    assert!(listed.is_sorted_by_key(|row| row.id.clone()));
    assert_eq!(listed.iter().map(|row| row.state).collect::<Vec<_>>(), states);
}

pub async fn a_verdict_is_stored_once(subject: &impl Subject) {
    let store = subject.open().await;
    assert_eq!(store.verdict(command(1)).await.expect("it answers"), None);
    assert_eq!(store.store_verdict(command(1), "c-1", b"erase").await.expect("it answers"), Stored::New);
    let again = subject.open().await.store_verdict(command(1), "c-1", b"refuse").await.expect("it answers");
    assert_eq!(again, Stored::Before(b"erase".to_vec()));
    assert_eq!(store.verdict(command(1)).await.expect("it answers"), Some(b"erase".to_vec()));
}

pub async fn an_id_is_not_used_for_another_command(subject: &impl Subject) {
    let store = subject.open().await;
    store.store_verdict(command(1), "c-1", b"erase").await.expect("it answers");
    assert_eq!(store.store_verdict(command(2), "c-1", b"erase").await.expect("it answers"), Stored::IdReuse);
    assert_eq!(store.verdict(command(2)).await.expect("it answers"), None);
    assert_eq!(store.store_verdict(command(2), "c-2", b"erase").await.expect("it answers"), Stored::New);
}

pub async fn the_last_receipt_never_goes_back(subject: &impl Subject) {
    let store = subject.open().await;
    for (applied, last) in [(0, 0), (9, 9), (3, 9), (10, 10), (9, 10)] {
        store.applied_receipt(applied).await.expect("it answers");
        assert_eq!(subject.open().await.meta().await.expect("it answers").last_receipt, Some(last));
    }
}

fn started(partition: i32, topic: Option<[u8; 16]>, accepted: Option<i64>) -> Started {
    Started { partition, topic: topic.map(TopicId), accepted }
}

pub async fn started_partitions_are_remembered_per_input(subject: &impl Subject) {
    let store = subject.open().await;
    assert!(store.started("g/jobs").await.expect("it answers").is_empty());
    let [one, two, three, seven] = [1, 2, 3, 7].map(|partition| started(partition, Some([1; 16]), None));
    store.mark_started("g/jobs", &[three, one]).await.expect("it answers");
    store.mark_started("g/jobs", &[]).await.expect("it answers");
    store.mark_started("g/jobs", &[one, two]).await.expect("it answers");
    store.mark_started("h/jobs", &[seven]).await.expect("it answers");
    assert_eq!(subject.open().await.started("g/jobs").await.expect("it answers"), [one, two, three]);
}

pub async fn a_started_partition_keeps_its_topic_and_its_accepted_gap(subject: &impl Subject) {
    let store = subject.open().await;
    let marked = [
        started(0, Some([0; 16]), Some(-1)),
        started(1, Some([0xff; 16]), Some(0)),
        started(2, Some(random()), Some(i64::MAX)),
        started(3, None, Some(9)),
        started(i32::MAX, Some(random()), None),
    ];
    store.mark_started("g/jobs", &marked).await.expect("it answers");
    assert_eq!(subject.open().await.started("g/jobs").await.expect("it answers"), marked);
}

pub async fn marking_a_started_partition_again_replaces_all_of_it(subject: &impl Subject) {
    let store = subject.open().await;
    let other = started(8, Some([8; 16]), Some(8));
    store.mark_started("g/jobs", &[other]).await.expect("it answers");
    for (topic, accepted) in [
        (Some([1; 16]), Some(5)),
        (Some([2; 16]), Some(-1)),
        (None, Some(3)),
        (Some([3; 16]), None),
        (None, None),
        (Some([1; 16]), Some(5)),
    ] {
        let marked = started(7, topic, accepted);
        store.mark_started("g/jobs", &[marked]).await.expect("it answers");
        let listed = subject.open().await.started("g/jobs").await.expect("it answers");
        assert_eq!(listed, [marked, other], "the other partition stays as it is");
    }
}

pub async fn a_topics_placement_is_the_first_one_whoever_races(subject: &impl Subject) {
    let mut tasks = JoinSet::new();
    for found in 1..=16 {
        let store = subject.open().await;
        tasks
            .spawn(async move { store.set_placement("jobs.sealed", None, found).await.expect("it answers") });
    }
    let numbers: HashSet<i32> = tasks.join_all().await.into_iter().collect();
    assert_eq!(numbers.len(), 1, "{numbers:?}");
    let store = subject.open().await;
    let stored = store.placement("jobs.sealed").await.expect("it answers");
    assert_eq!(stored, numbers.into_iter().next());
    assert_eq!(store.placement("jobs.sealed.7d").await.expect("it answers"), None, "another topic");
}

pub async fn a_placement_is_changed_only_as_it_was_seen(subject: &impl Subject) {
    let store = subject.open().await;
    let set = async |seen, to| store.set_placement("jobs.sealed", seen, to).await.expect("it answers");
    assert_eq!(set(Some(4), 8).await, 8, "there was none");
    assert_eq!(set(None, 9).await, 8);
    assert_eq!(set(Some(7), 9).await, 8);
    assert_eq!(set(Some(8), 12).await, 12);
    assert_eq!(set(Some(8), 16).await, 12, "another process was faster");
    assert_eq!(set(Some(8), 12).await, 12, "the same change again");
    assert_eq!(set(Some(12), 3).await, 3, "fewer, too");
    assert_eq!(set(None, i32::MAX).await, 3);
    assert_eq!(subject.open().await.placement("jobs.sealed").await.expect("it answers"), Some(3));
}

pub async fn due_hours_come_soonest_first_and_in_pages(subject: &impl Subject) {
    let store = subject.open().await;
    let mut wanted = Vec::new();
    for (id, hour) in [("acme", 4), ("ajax", 2), ("acme", 1), ("ajax", 1), ("zeta", 9)] {
        let Candidate { slot, due, .. } = won(&*store, id, HOUR.plus(hour), 0).await;
        wanted.push(DueHour::new(due, slot.token, slot.hour));
    }
    wanted.sort();
    let held =
        Hold { id: HoldId(b"case 7".to_vec()), token: wanted[0].token, from: Hour(0), to: HOUR.plus(100) };
    store.place_hold(&held).await.expect("it answers");
    let until = Due(HOUR.0 + 25 + 4);
    assert_eq!(store.due_hours(until, None, 100).await.expect("it answers"), wanted[..4]);
    let (mut pages, mut after) = (Vec::new(), None);
    while let Some(due) = store.due_hours(until, after.as_ref(), 1).await.expect("it answers").pop() {
        pages.push(due.clone());
        after = Some(due);
    }
    assert_eq!(pages, wanted[..4], "held ones are paged past");
}

pub async fn fenced_hours_are_not_due(subject: &impl Subject) {
    let store = subject.open().await;
    let Candidate { slot, due, .. } = won(&*store, "acme", HOUR, 0).await;
    assert_eq!(store.due_hours(Due(due.0 - 1), None, 9).await.expect("it answers"), []);
    assert_eq!(store.due_hours(due, None, 9).await.expect("it answers").len(), 1);
    store.fence(slot.token, HOUR, due, command(1)).await.expect("it answers");
    assert_eq!(store.due_hours(due, None, 9).await.expect("it answers"), []);
}

pub async fn customers_come_in_pages(subject: &impl Subject) {
    let store = subject.open().await;
    for number in 0..7 {
        won(&*store, &format!("customer-{number}"), HOUR, 0).await;
    }
    let (mut names, mut after) = (HashSet::new(), None);
    loop {
        let page = store.customers(after, 3).await.expect("it answers");
        assert!(
            page.iter().all(|(token, it)| it.name.as_ref().is_some_and(|name| *token == store.token(name)))
        );
        let Some(last) = page.last() else { break };
        after = Some(last.0);
        names.extend(page.into_iter().map(|it| it.1.name));
    }
    assert_eq!(names.len(), 7);
}

pub async fn hours_come_in_order_with_their_keys(subject: &impl Subject) {
    let store = subject.open().await;
    for (hour, generation) in [(3, 0), (1, 2), (1, 0), (2, 0), (9, 0)] {
        won(&*store, "acme", HOUR.plus(hour), generation).await;
    }
    won(&*store, "ajax", HOUR.plus(2), 0).await;
    let token = store.token(&customer("acme"));
    let rows = store.hours(token, HOUR.plus(1), HOUR.plus(3)).await.expect("it answers");
    let hours: Vec<_> = rows.iter().map(|row| (row.hour.0 - HOUR.0, row.keys.len())).collect();
    assert_eq!(hours, [(1, 2), (2, 1), (3, 1)]);
    let generations: Vec<_> = rows[0].keys.iter().map(|key| key.generation.0).collect();
    assert_eq!(generations, [0, 2]);
    assert!(rows.iter().all(|row| row.token == token && !row.gate.fenced));
}

pub async fn retention_is_set_and_taken_back(subject: &impl Subject) {
    let store = subject.open().await;
    let acme = customer("acme");
    let known = async || store.customer(store.token(&acme)).await.expect("it answers").expect("a customer");
    let week = Retention::hours(168);
    let set = async |seen, to| store.set_retention(store.token(&acme), seen, to).await.expect("it answers");
    assert!(set(None, week).await);
    assert!(set(None, week).await, "it is what it is to be");
    assert!(!set(None, Retention::hours(9)).await, "somebody else was faster");
    let nameless = Customer { name: None, retention: week, floor: None, closed: false };
    assert_eq!(known().await, nameless);
    won(&*store, "acme", HOUR, 0).await;
    let named = Customer { name: Some(acme.clone()), ..nameless };
    assert_eq!(known().await, named, "a mint names it and does not change it");
    assert!(set(week, None).await);
    assert_eq!(known().await.retention, None);
}

pub async fn keys_are_counted_by_state(subject: &impl Subject) {
    let store = subject.open().await;
    for hour in 0..6 {
        won(&*store, "acme", HOUR.plus(hour), 0).await;
    }
    let token = store.token(&customer("acme"));
    store.expire_secrets(Due(HOUR.0 + 25), HOUR.start()).await.expect("it answers");
    for hour in [1, 2] {
        store.fence(token, HOUR.plus(hour), Due(0), command(1)).await.expect("it answers");
        store.erase(token, HOUR.plus(hour), command(1), HOUR.start()).await.expect("it answers");
    }
    assert_eq!(store.count_keys().await.expect("it answers"), (3, 2, 1));
}

/// Counts the keys that the destruction of a KEK would make unusable.
pub async fn live_keys_are_counted_by_kek_fenced_and_held_ones_too(subject: &impl Subject) {
    let store = subject.open().await;
    assert_eq!(store.live_keys().await.expect("it answers").len(), 0);
    let first = won(&*store, "acme", HOUR, 0).await;
    let [fenced, held, erased] = [1, 2, 3].map(|hour| HOUR.plus(hour));
    for hour in [fenced, held, erased] {
        won(&*store, "acme", hour, 0).await;
        won(&*store, "other", hour, 0).await;
    }
    let later = Due(HOUR.0 + 25 + 24 * 7);
    let other = Candidate { due: later, kek: KekId::of_due(later), ..candidate(&*store, "third", HOUR, 0) };
    assert_eq!(mint_one(&*store, &other).await, Minted::Won);

    let token = store.token(&customer("acme"));
    store.fence(token, fenced, first.due, command(1)).await.expect("it answers");
    let hold = Hold { id: HoldId(b"case".to_vec()), token, from: held, to: held };
    store.place_hold(&hold).await.expect("it answers");
    store.fence(token, erased, first.due, command(1)).await.expect("it answers");
    store.erase(token, erased, command(1), HOUR.start()).await.expect("it answers");

    let live = store.live_keys().await.expect("it answers");
    assert_eq!(live.get(&first.kek), Some(&6), "{live:?}");
    assert_eq!(live.get(&other.kek), Some(&1), "{live:?}");
    assert_eq!(live.values().sum::<u64>(), 7);
}
