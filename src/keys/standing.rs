//! Decides the standing of a slot, only from the rows that the store found.

use crate::model::{Due, Hour, KekId, Millis, Retention};

use super::{Candidate, Customer, Found, Gate, KeyRow, KeyState, KeysError, Minted};

/// The permitted use of a slot.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Standing {
    /// Its hour is fenced or below the floor, its customer is closed, or its key is erased. Nothing is sealed
    /// for it.
    Erased,
    /// Its data is due to be forgotten. Nothing is sealed for it.
    Expired,
    /// It has a DEK.
    Minted { due: Due, key: KeyRow },
    /// It may be minted, with this due and KEK.
    Unminted { due: Due, kek: KekId },
}

/// Judges a slot of `hour`. `fallback` is the retention if the customer has none of its own and the hour has
/// no gate.
///
/// # Errors
/// [`KeysError::Contradiction`] if rows contradict each other.
pub fn standing(
    found: &Found,
    hour: Hour,
    fallback: Retention,
    earliest: Millis,
) -> Result<Standing, KeysError> {
    if forgotten(found, hour) {
        return Ok(Standing::Erased);
    }
    let due = match &found.gate {
        Some(gate) => gate.due,
        None => Due::of(hour, found.customer.as_ref().and_then(|it| it.retention).unwrap_or(fallback)),
    };
    if due.reached(earliest) {
        return Ok(Standing::Expired);
    }
    match (&found.gate, &found.key) {
        (Some(_), Some(key)) => Ok(Standing::Minted { due, key: key.clone() }),
        (Some(gate), None) => Ok(Standing::Unminted { due, kek: open_gates_kek(gate)? }),
        (None, None) => Ok(Standing::Unminted { due, kek: KekId::of_due(due) }),
        (None, Some(_)) => Err(KeysError::Contradiction("a key without the gate of its hour")),
    }
}

/// Whether a fence, the floor, the closing of the customer or an erased key forbids sealing.
fn forgotten(found: &Found, hour: Hour) -> bool {
    forbidden(hour, found.customer.as_ref(), found.gate.as_ref()).is_some()
        || found.key.as_ref().is_some_and(|key| key.state != KeyState::Live)
}

/// The reason why no process may mint in an hour any more; `None` if there is none.
pub(super) fn forbidden(hour: Hour, customer: Option<&Customer>, gate: Option<&Gate>) -> Option<Minted> {
    if customer.is_some_and(|customer| customer.closed) {
        return Some(Minted::Closed);
    }
    if let Some(floor) = customer.and_then(|customer| customer.floor).filter(|floor| hour < *floor) {
        return Some(Minted::BelowFloor(floor));
    }
    gate.filter(|gate| gate.fenced).cloned().map(Minted::Fenced)
}

/// The reason why a candidate does not become its slot's DEK, from the rows in the store; `None` if it may
/// be written. Never returns [`Minted::Won`]: a store that finds the candidate's own key recognizes it by
/// the key id.
pub fn refusal(
    candidate: &Candidate,
    customer: Option<&Customer>,
    gate: Option<&Gate>,
    key: Option<&KeyRow>,
) -> Option<Minted> {
    if let Some(forbidden) = forbidden(candidate.slot.hour, customer, gate) {
        return Some(forbidden);
    }
    // A key without its gate does not count: the rows of key and gate expire together.
    let gate = gate?;
    if let Some(key) = key {
        return Some(Minted::Adopted { due: gate.due, key: key.clone() });
    }
    let same = gate.due == candidate.due && gate.kek.as_ref() == Some(&candidate.kek);
    (!same).then(|| Minted::GateDiffers(gate.clone()))
}

/// The KEK of a gate that is not fenced.
pub fn open_gates_kek(gate: &Gate) -> Result<KekId, KeysError> {
    gate.kek.clone().ok_or(KeysError::Contradiction("an open gate without a KEK"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::{Seen, SlotRef};
    use crate::model::{CustomerId, Generation, KeyId, Token};

    const HOUR: Hour = Hour(494_000);
    const DAY: Retention = Retention::hours(24).expect("not zero");
    const NOTHING: Found = Found { customer: None, gate: None, key: None, seen: Seen::nothing() };

    fn customer() -> Customer {
        let name = CustomerId::parse("acme").ok();
        Customer { name, retention: None, floor: None, closed: false }
    }

    fn gate(fenced: bool) -> Gate {
        let due = Due::of(HOUR, DAY);
        Gate { due, kek: Some(KekId::of_due(due)), fenced, hold: None, command: None }
    }

    fn key(state: KeyState) -> KeyRow {
        KeyRow {
            generation: Generation(0),
            state,
            key_id: KeyId([1; 16]),
            commitment: [1; 32],
            kek: KekId::of_due(Due::of(HOUR, DAY)),
            wrapped: None,
            minted_at: HOUR.start(),
            erased_at: None,
            command: None,
        }
    }

    fn at(found: &Found, hours_later: u32) -> Standing {
        standing(found, HOUR, DAY, HOUR.plus(hours_later).start()).expect("rows that fit together")
    }

    #[test]
    fn an_unknown_hour_is_minted_under_the_day_of_its_due() {
        let due = Due(HOUR.0 + 25);
        assert_eq!(at(&NOTHING, 0), Standing::Unminted { due, kek: KekId::of_due(due) });
    }

    #[test]
    fn the_customers_own_retention_goes_before_the_default() {
        let week = Customer { retention: Retention::hours(168), ..customer() };
        let found = Found { customer: Some(week), ..NOTHING };
        let due = Due(HOUR.0 + 169);
        assert_eq!(at(&found, 100), Standing::Unminted { due, kek: KekId::of_due(due) });
        assert_eq!(at(&found, 169), Standing::Expired);
    }

    #[test]
    fn the_gate_keeps_its_due_whatever_the_retention_is_now() {
        let short = Customer { retention: Retention::hours(1), ..customer() };
        let found = Found { customer: Some(short), gate: Some(gate(false)), ..NOTHING };
        assert_eq!(
            at(&found, 24),
            Standing::Unminted { due: Due(HOUR.0 + 25), kek: gate(false).kek.expect("a KEK") }
        );
        assert_eq!(at(&found, 25), Standing::Expired);
    }

    #[test]
    fn what_is_forgotten_is_erased_and_not_merely_expired() {
        let below = Customer { floor: Some(HOUR.plus(1)), ..customer() };
        let closed = Customer { closed: true, ..customer() };
        for found in [
            Found { customer: Some(below), ..NOTHING },
            Found { customer: Some(closed), ..NOTHING },
            Found { gate: Some(gate(true)), ..NOTHING },
            Found { gate: Some(gate(true)), key: Some(key(KeyState::Live)), ..NOTHING },
            Found { gate: Some(gate(false)), key: Some(key(KeyState::Erased)), ..NOTHING },
            Found { gate: Some(gate(false)), key: Some(key(KeyState::ErasedByTtl)), ..NOTHING },
        ] {
            assert_eq!(at(&found, 0), Standing::Erased, "{found:?}");
            assert_eq!(at(&found, 1_000), Standing::Erased, "{found:?}");
        }
    }

    #[test]
    fn the_hour_of_the_floor_itself_is_not_below_it() {
        let found = Found { customer: Some(Customer { floor: Some(HOUR), ..customer() }), ..NOTHING };
        assert!(matches!(at(&found, 0), Standing::Unminted { .. }));
    }

    #[test]
    fn a_key_without_its_gate_is_a_contradiction() {
        let found = Found { key: Some(key(KeyState::Live)), ..NOTHING };
        assert!(matches!(standing(&found, HOUR, DAY, HOUR.start()), Err(KeysError::Contradiction(_))));
    }
    fn candidate() -> Candidate {
        let Gate { due, kek, .. } = gate(false);
        Candidate {
            slot: SlotRef { token: Token([1; 16]), hour: HOUR, generation: Generation(0) },
            customer: CustomerId::parse("acme").expect("a valid id"),
            due,
            kek: kek.expect("a KEK"),
            commitment: [2; 32],
            wrapped: [3; crate::envelope::WRAPPED_LEN],
            seen: Seen::nothing(),
        }
    }

    /// For every combination of customer, floor, gate and key, the answer is the first reason in the
    /// contract's order.
    #[test]
    fn a_mint_is_refused_for_the_first_reason_in_order() {
        let floors = [None, Some(HOUR), Some(HOUR.plus(1))];
        let later = Due(gate(false).due.0 + 24);
        let gates = [
            None,
            Some(gate(false)),
            Some(gate(true)),
            Some(Gate { due: later, ..gate(false) }),
            Some(Gate { kek: Some(KekId::of_due(later)), ..gate(false) }),
            Some(Gate { kek: None, ..gate(false) }),
        ];
        let keys = [None, Some(KeyState::Live), Some(KeyState::Erased), Some(KeyState::ErasedByTtl)];
        let mut count = 0;
        for (closed, floor) in
            [false, true].into_iter().flat_map(|closed| floors.map(|floor| (closed, floor)))
        {
            let says = Customer { floor, closed, ..customer() };
            for (gate_at, gate) in gates.iter().enumerate() {
                for key in keys.map(|state| state.map(key)) {
                    let expected = match (closed, floor, gate, &key) {
                        (true, ..) => Some(Minted::Closed),
                        (_, Some(floor), ..) if floor > HOUR => Some(Minted::BelowFloor(floor)),
                        (_, _, None, _) => None,
                        (_, _, Some(gate), _) if gate_at == 2 => Some(Minted::Fenced(gate.clone())),
                        (_, _, Some(gate), Some(key)) => {
                            Some(Minted::Adopted { due: gate.due, key: key.clone() })
                        }
                        (_, _, Some(gate), None) if gate_at > 2 => Some(Minted::GateDiffers(gate.clone())),
                        (_, _, Some(_), None) => None,
                    };
                    assert_eq!(refusal(&candidate(), Some(&says), gate.as_ref(), key.as_ref()), expected);
                    count += 1;
                }
            }
        }
        assert_eq!(count, 2 * 3 * 6 * 4);
        assert_eq!(refusal(&candidate(), None, None, None), None);
    }
}
