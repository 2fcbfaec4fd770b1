//! Finding the key of an envelope: each reason for a missing key has its own name.

use std::sync::atomic::Ordering;

use hourseal::keys::*;
use hourseal::model::*;

use crate::world::{HOUR, World, command, customer, key, slot};

const SLOT_KEY_UNKNOWN: KeyId = KeyId([9; 16]);

fn name(lookup: &Lookup) -> &'static str {
    match lookup {
        Lookup::Key(_) => "key",
        Lookup::Erased { .. } => "erased",
        Lookup::ErasedByTtl => "erased by ttl",
        Lookup::Gone => "gone",
        Lookup::NoSuchKey => "no such key",
        Lookup::WrongKey => "wrong key",
        Lookup::Unavailable(_) => "unavailable",
    }
}

async fn find(world: &World, slot: &Slot, key_id: KeyId) -> Lookup {
    world.finder().find(&slot.customer, slot.hour, slot.generation, key_id).await
}

async fn found(world: &World, slot: &Slot, key_id: KeyId) -> &'static str {
    name(&find(world, slot, key_id).await)
}

/// Mints the slot's key and returns its id.
async fn minted(world: &World, slot: &Slot) -> KeyId {
    let obtained = world.mint().obtain(std::slice::from_ref(slot), world.clock.now()).await;
    key(&obtained.expect("it answers")[0]).seal.key_id()
}

#[tokio::test]
async fn a_live_key_is_found_also_when_it_no_longer_seals() {
    let world = World::new();
    let slot = slot("acme", HOUR, 0);
    let key_id = minted(&world, &slot).await;
    for clock in [&world.clock, &world.store_clock] {
        clock.advance(1_000 * MILLIS_PER_HOUR);
    }
    let Lookup::Key(seal) = find(&world, &slot, key_id).await else { panic!("no key") };
    assert_eq!(seal.key_id(), key_id);
}

#[tokio::test]
async fn an_erased_key_names_its_command_to_its_own_envelope_only() {
    let world = World::new();
    let slot = slot("acme", HOUR, 0);
    let key_id = minted(&world, &slot).await;
    world.erase(&slot, command(5)).await;
    assert!(matches!(find(&world, &slot, key_id).await, Lookup::Erased { command: by } if by == command(5)));
    assert_eq!(found(&world, &slot, SLOT_KEY_UNKNOWN).await, "wrong key");
}

#[tokio::test]
async fn what_the_fail_safe_took_has_a_name_of_its_own() {
    let world = World::new();
    let slot = slot("acme", HOUR, 0);
    let key_id = minted(&world, &slot).await;
    world.store().expire_secrets(Due(HOUR.0 + 25), HOUR.start()).await.expect("it answers");
    assert_eq!(found(&world, &slot, key_id).await, "erased by ttl");
    assert_eq!(found(&world, &slot, SLOT_KEY_UNKNOWN).await, "wrong key");
}

#[tokio::test]
async fn a_destroyed_kek_is_an_erasure_without_a_command() {
    let world = World::new();
    let slot = slot("acme", HOUR, 0);
    let key_id = minted(&world, &slot).await;
    let kek = KekId::of_due(Due(HOUR.0 + 25));
    world.store().advance_kek(&kek, KekState::Destroyed).await.expect("it answers");
    assert_eq!(found(&world, &slot, key_id).await, "erased by ttl");
}

#[tokio::test]
async fn what_is_below_the_floor_is_gone() {
    let world = World::new();
    let slot = slot("acme", HOUR, 0);
    let key_id = minted(&world, &slot).await;
    world.erase(&slot, command(5)).await;
    world.store().raise_floor(world.store().token(&slot.customer), HOUR.plus(1)).await.expect("it answers");
    assert_eq!(found(&world, &slot, key_id).await, "erased", "while the marker stands");
    world.store().expire_markers(Due(u32::MAX)).await.expect("it answers");
    assert_eq!(found(&world, &slot, key_id).await, "gone");
    let at_the_floor = Slot { hour: HOUR.plus(1), ..slot };
    assert_eq!(found(&world, &at_the_floor, SLOT_KEY_UNKNOWN).await, "no such key");
}

#[tokio::test]
async fn a_slot_of_a_fenced_hour_or_a_closed_customer_without_a_row_is_gone() {
    let world = World::new();
    let fenced = slot("acme", HOUR, 4);
    let token = world.place(&fenced).token;
    world.store().fence(token, HOUR, Due(0), command(1)).await.expect("it answers");
    assert_eq!(found(&world, &fenced, SLOT_KEY_UNKNOWN).await, "gone");
    world.store().close_customer(world.store().token(&customer("ajax"))).await.expect("it answers");
    assert_eq!(found(&world, &slot("ajax", HOUR, 0), SLOT_KEY_UNKNOWN).await, "gone");
}

#[tokio::test]
async fn what_was_never_minted_is_no_such_key() {
    let world = World::new();
    minted(&world, &slot("acme", HOUR, 0)).await;
    for unknown in [slot("acme", HOUR, 1), slot("acme", HOUR.plus(1), 0), slot("ajax", HOUR, 0)] {
        assert_eq!(found(&world, &unknown, SLOT_KEY_UNKNOWN).await, "no such key", "{unknown:?}");
    }
    assert_eq!(world.store().count_keys().await.expect("it answers"), (1, 0, 0), "finding mints nothing");
}

#[tokio::test]
async fn another_key_than_named_is_wrong_and_so_is_an_altered_row() {
    let world = World::new();
    let slot = slot("acme", HOUR, 0);
    let key_id = minted(&world, &slot).await;
    assert_eq!(found(&world, &slot, SLOT_KEY_UNKNOWN).await, "wrong key");
    world.sql("UPDATE key SET commitment = zeroblob(32)");
    assert_eq!(found(&world, &slot, key_id).await, "wrong key");
}

#[tokio::test]
async fn what_is_not_known_for_now_is_unavailable() {
    let world = World::new();
    let slot = slot("acme", HOUR, 0);
    let key_id = minted(&world, &slot).await;
    let kek = world.folder.path().join("kek/day");
    std::fs::rename(&kek, kek.with_extension("away")).expect("ours");
    assert_eq!(found(&world, &slot, key_id).await, "unavailable", "the vault is away");
    std::fs::rename(kek.with_extension("away"), &kek).expect("ours");
    assert_eq!(found(&world, &slot, key_id).await, "key");
    world.spy.away.store(true, Ordering::SeqCst);
    assert_eq!(found(&world, &slot, key_id).await, "unavailable", "the store is away");
}

#[tokio::test]
async fn the_fail_safe_goes_by_the_earliest_clock_and_by_none_when_they_are_apart() {
    let world = World::new();
    let slot = slot("acme", HOUR, 0);
    let key_id = minted(&world, &slot).await;
    let overdue = 25 * MILLIS_PER_HOUR + FAILSAFE_MS;
    let expire = || expire_overdue(&*world.spy, &*world.clock);
    world.clock.advance(overdue);
    assert!(matches!(expire().await, Err(KeysError::ClocksApart(_))), "the store's clock does not say so");
    world.store_clock.advance(overdue - 1);
    assert_eq!(expire().await.expect("it answers"), 0, "a millisecond is missing");
    assert_eq!(found(&world, &slot, key_id).await, "key");
    world.store_clock.advance(1);
    assert_eq!(expire().await.expect("it answers"), 1);
    assert_eq!(found(&world, &slot, key_id).await, "erased by ttl");
    world.spy.away.store(true, Ordering::SeqCst);
    assert!(matches!(expire().await, Err(KeysError::Store(_))));
}

#[tokio::test]
async fn markers_go_long_after_their_due_and_the_floor_says_the_same_from_then_on() {
    let world = World::new();
    let (old, open) = (slot("acme", HOUR, 0), slot("acme", HOUR.plus(30), 0));
    let key_id = minted(&world, &old).await;
    world.erase(&old, command(5)).await;
    let pass = |hours: i64| {
        world.clock.advance(hours * MILLIS_PER_HOUR);
        world.store_clock.advance(hours * MILLIS_PER_HOUR);
    };
    pass(30);
    minted(&world, &open).await;
    // One calendar day more, because floors move by whole days.
    pass(25 - 30 + 24 + 97 * 24);
    let expire = || expire_markers(&*world.spy, &*world.clock);
    assert_eq!(expire().await.expect("it answers"), 1);
    assert_eq!(found(&world, &old, key_id).await, "gone");
    let token = world.store().token(&old.customer);
    let floor = world.store().customer(token).await.expect("it answers").expect("a customer").floor;
    assert!(floor.is_some_and(|floor| floor > HOUR && floor <= open.hour), "{floor:?}");
    assert_eq!(expire().await.expect("it answers"), 0);

    // With a longer retention the old hour would not be due. Nevertheless it is not minted again.
    let longer = Retention::hours(u16::MAX);
    assert!(world.store().set_retention(token, None, longer).await.expect("it answers"));
    let again = world.mint().obtain(std::slice::from_ref(&old), world.clock.now()).await;
    assert!(matches!(again.expect("it answers")[..], [Obtained::Erased]));
}
