//! Claims on minting.

use std::collections::HashSet;

use hourseal::keys::*;
use hourseal::model::*;
use tokio::task::JoinSet;

use super::{Subject, candidate, found, mint_one, race, racer, won};
use crate::world::{HOUR, command};

pub async fn a_slot_has_one_dek_whoever_races(subject: &impl Subject) {
    let mut tasks = JoinSet::new();
    for _ in 0..8 {
        let store = subject.open().await;
        for _ in 0..8 {
            let store = store.clone();
            tasks.spawn(async move {
                let candidate = candidate(&*store, "acme", HOUR, 0);
                (mint_one(&*store, &candidate).await, candidate)
            });
        }
    }
    let (won, lost): (Vec<_>, Vec<_>) =
        tasks.join_all().await.into_iter().partition(|(minted, _)| *minted == Minted::Won);
    assert_eq!((won.len(), lost.len()), (1, 63));
    let dek = &won[0].1;
    for (minted, _) in lost {
        let Minted::Adopted { due, key } = minted else { panic!("{minted:?}") };
        assert_eq!((due, key.key_id, key.commitment), (dek.due, dek.key_id(), dek.commitment));
        assert_eq!(key.wrapped, Some(dek.wrapped));
    }
}

pub async fn two_processes_agree_on_every_slot<S: Subject>(subject: &S) {
    subject.open().await;
    let mut other = racer(subject);
    other.go();
    let mine = race::<S>(&subject.address()).await;
    let theirs = other.answer();
    assert_eq!(mine.len(), 301);
    assert_eq!(mine[..300], theirs[..300]);
    let wins = |answers: &[String]| answers[300].parse::<u32>().expect("a number");
    assert_eq!(wins(&mine) + wins(&theirs), 300);
}

pub async fn what_was_minted_is_there_for_everybody(subject: &impl Subject) {
    let dek = won(&*subject.open().await, "acme", HOUR, 3).await;
    let there = found(&*subject.open().await, dek.slot).await;
    let key = there.key.expect("a key");
    assert_eq!((key.state, key.generation, key.key_id), (KeyState::Live, Generation(3), dek.key_id()));
    assert_eq!((key.commitment, key.wrapped, &key.kek), (dek.commitment, Some(dek.wrapped), &dek.kek));
    assert_eq!((key.minted_at, key.erased_at, key.command), (HOUR.start(), None, None));
    let gate = there.gate.expect("a gate");
    assert_eq!((gate.due, gate.kek, gate.fenced), (dek.due, Some(dek.kek), false));
    assert_eq!(there.customer.expect("a customer").name, Some(dek.customer));
}

pub async fn a_slot_twice_in_one_batch_is_minted_once(subject: &impl Subject) {
    let store = subject.open().await;
    let twice = [candidate(&*store, "acme", HOUR, 0), candidate(&*store, "acme", HOUR, 0)];
    let minted = store.mint(&twice, HOUR.start()).await.expect("it answers");
    assert_eq!(minted[0], Minted::Won);
    assert!(matches!(&minted[1], Minted::Adopted { key, .. } if key.key_id == twice[0].key_id()));
}

pub async fn a_batch_is_answered_in_order(subject: &impl Subject) {
    let store = subject.open().await;
    let token = won(&*store, "acme", HOUR, 0).await.slot.token;
    store.fence(token, HOUR.plus(1), Due(HOUR.0 + 26), command(1)).await.expect("it answers");
    let batch = [
        candidate(&*store, "acme", HOUR, 1),
        candidate(&*store, "acme", HOUR.plus(1), 0),
        candidate(&*store, "acme", HOUR, 0),
        candidate(&*store, "ajax", HOUR, 0),
    ];
    let minted = store.mint(&batch, HOUR.start()).await.expect("it answers");
    assert_eq!(minted[0], Minted::Won);
    assert!(matches!(minted[1], Minted::Fenced(_)));
    assert!(matches!(minted[2], Minted::Adopted { .. }));
    assert_eq!(minted[3], Minted::Won);
    let slots: Vec<_> = batch.iter().map(|candidate| candidate.slot).collect();
    let there = store.fetch(&slots).await.expect("it answers");
    let has_key: Vec<bool> = there.iter().map(|found| found.key.is_some()).collect();
    assert_eq!(has_key, [true, false, true, true]);
}

pub async fn every_generation_has_a_key_of_its_own(subject: &impl Subject) {
    let store = subject.open().await;
    let mut key_ids = HashSet::new();
    for generation in [0, 1, 7, u16::MAX] {
        key_ids.insert(won(&*store, "acme", HOUR, generation).await.key_id());
    }
    assert_eq!(key_ids.len(), 4);
}

pub async fn customers_share_no_slot(subject: &impl Subject) {
    let store = subject.open().await;
    let acme = won(&*store, "acme", HOUR, 0).await;
    let ajax = won(&*store, "ajax", HOUR, 0).await;
    assert_ne!(acme.slot.token, ajax.slot.token);
    assert_eq!(found(&*store, acme.slot).await.key.expect("a key").key_id, acme.key_id());
}

pub async fn nothing_is_known_of_what_never_was(subject: &impl Subject) {
    let store = subject.open().await;
    let slot = candidate(&*store, "acme", HOUR, 0).slot;
    assert_eq!(
        found(&*store, slot).await,
        Found { customer: None, gate: None, key: None, seen: Seen::nothing() }
    );
    assert_eq!(store.customer(slot.token).await.expect("it answers"), None);
    assert_eq!(store.hours(slot.token, Hour(0), Hour(u32::MAX)).await.expect("it answers"), []);
    assert_eq!(store.mint(&[], HOUR.start()).await.expect("it answers"), []);
}

pub async fn the_gate_keeps_due_and_kek_of_the_first_mint(subject: &impl Subject) {
    let store = subject.open().await;
    let first = won(&*store, "acme", HOUR, 0).await;
    let due = Due(first.due.0 + 48);
    let other = Candidate { due, kek: KekId::of_due(due), ..candidate(&*store, "acme", HOUR, 1) };
    let Minted::GateDiffers(gate) = mint_one(&*store, &other).await else { panic!("the gate is another") };
    assert_eq!((gate.due, gate.kek), (first.due, Some(first.kek.clone())));
    assert_eq!(found(&*store, other.slot).await.key, None);
    let anew = Candidate { due: first.due, kek: first.kek, ..other };
    assert_eq!(mint_one(&*store, &anew).await, Minted::Won);
}

pub async fn a_new_retention_changes_no_gate(subject: &impl Subject) {
    let store = subject.open().await;
    let first = won(&*store, "acme", HOUR, 0).await;
    store.set_retention(first.slot.token, None, Retention::hours(1)).await.expect("it answers");
    assert_eq!(found(&*store, first.slot).await.gate.expect("a gate").due, first.due);
    assert_eq!(mint_one(&*store, &candidate(&*store, "acme", HOUR, 1)).await, Minted::Won);
}

pub async fn a_refused_candidate_leaves_nothing_behind(subject: &impl Subject) {
    let store = subject.open().await;
    let refused = candidate(&*store, "acme", HOUR, 0);
    store.fence(refused.slot.token, HOUR, refused.due, command(1)).await.expect("it answers");
    assert!(matches!(mint_one(&*store, &refused).await, Minted::Fenced(_)));
    assert_eq!(found(&*store, refused.slot).await.key, None);
    assert_eq!(store.count_keys().await.expect("it answers"), (0, 0, 0));
    assert_eq!(store.customers(None, 10).await.expect("it answers"), []);
}

pub async fn racing_generations_share_one_gate(subject: &impl Subject) {
    let mut tasks = JoinSet::new();
    for generation in 0..24 {
        let store = subject.open().await;
        tasks.spawn(async move {
            let due = Due(HOUR.0 + 25 + 24 * (u32::from(generation) % 3));
            let candidate =
                Candidate { due, kek: KekId::of_due(due), ..candidate(&*store, "acme", HOUR, generation) };
            (mint_one(&*store, &candidate).await, due)
        });
    }
    let minted = tasks.join_all().await;
    let dues: HashSet<Due> = minted.iter().filter(|it| it.0 == Minted::Won).map(|it| it.1).collect();
    assert_eq!(dues.len(), 1, "all winners wrapped under one gate");
    assert_eq!(minted.iter().filter(|it| it.0 == Minted::Won).count(), 8);
    let others =
        minted.iter().filter(|it| matches!(&it.0, Minted::GateDiffers(gate) if dues.contains(&gate.due)));
    assert_eq!(others.count(), 16);
}
