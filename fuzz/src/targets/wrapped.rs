//! Wrapped DEKs: any bytes under any KEK, and wrapped DEKs with one changed byte or under a changed binding.

use hourseal::envelope::{Dek, Kek, UnwrapError, WRAPPED_LEN, derive, unwrap, wrap};
use hourseal::model::{CustomerId, Generation, Hour, KekId};

use super::open::customer;
use crate::fields::{Fields, sized};
use crate::memory::within;
use crate::vectors::{Vector, vectors};

/// A byte that selects one of the two cases ‖ KEK 32 ‖ KEK's id ‖ customer ‖ u32 hour ‖ u16 generation ‖
/// commitment 32 ‖ the rest.
pub fn run(data: &[u8]) {
    let mut fields = Fields::of(data);
    let is_raw = fields.byte().is_multiple_of(2);
    let Some(place) = Place::read(&mut fields) else { return };
    if is_raw { any_bytes(&place, fields) } else { wrapped_and_changed(&place, fields) }
}

pub fn seeds() -> Vec<Vec<u8>> {
    let seed = |which: u8, vector: &Vector, rest: Vec<u8>| {
        let [kek_id, customer] = ["kek_id", "customer"].map(|field| sized(vector.text(field).as_bytes()));
        let hour = vector.number("hour").to_be_bytes().to_vec();
        let generation = vector.number("generation").to_be_bytes()[2..].to_vec();
        let (kek, commitment) = (vector.bytes("kek"), vector.bytes("commitment"));
        [vec![which], kek, kek_id, customer, hour, generation, commitment, rest].concat()
    };
    let raw = |vector: &Vector| seed(0, vector, vector.bytes("wrapped"));
    let changed = |(number, vector): (usize, &Vector)| seed(1, vector, vec![number as u8; 63]);
    let vectors = vectors(true);
    vectors.iter().map(raw).chain(vectors.iter().enumerate().map(changed)).collect()
}

/// The values that a wrapped DEK is bound to.
#[derive(Clone)]
struct Place {
    kek: [u8; 32],
    kek_id: KekId,
    customer: CustomerId,
    hour: Hour,
    generation: Generation,
    commitment: [u8; 32],
}

impl Place {
    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let kek = fields.array();
        let kek_id = KekId::parse(fields.text())?;
        assert_eq!(kek_id.day().len(), "YYYY-MM-DD".len());
        assert!(kek_id.day().bytes().all(|byte| byte.is_ascii_digit() || byte == b'-'), "a file is named so");
        let customer = customer(fields.text())?;
        let (hour, generation) = (Hour(fields.u32()), Generation(fields.u16()));
        Some(Self { kek, kek_id, customer, hour, generation, commitment: fields.array() })
    }

    fn wrap(&self, mut dek: [u8; 32], nonce: [u8; 24]) -> [u8; WRAPPED_LEN] {
        let (dek, kek) = (Dek::take(&mut dek), Kek::take(&mut { self.kek }));
        wrap(&dek, &kek, &self.kek_id, &self.customer, self.hour, self.generation, &self.commitment, nonce)
    }

    /// Unwraps without additional memory.
    fn unwrap(&self, wrapped: &[u8]) -> Result<Dek, UnwrapError> {
        let kek = Kek::take(&mut { self.kek });
        let (hour, generation) = (self.hour, self.generation);
        within(0, || unwrap(wrapped, &kek, &self.kek_id, &self.customer, hour, generation, &self.commitment))
    }

    /// Returns the commitment that is derived from the DEK, which identifies the DEK.
    fn name(&self, dek: &Dek) -> [u8; 32] {
        *derive(dek, &self.customer, self.hour, self.generation).commitment()
    }

    /// Changes one of the bound values.
    fn moved(mut self, which: u8) -> Self {
        match which % 6 {
            0 => self.kek[0] ^= 1,
            1 => self.kek_id = another_day(&self.kek_id),
            2 => self.customer = another(&self.customer),
            3 => self.hour.0 ^= 1,
            4 => self.generation.0 ^= 1,
            _ => self.commitment[31] ^= 1,
        }
        self
    }
}

fn another_day(id: &KekId) -> KekId {
    let day = if id.day() == "2026-11-24" { "day/2026-11-25" } else { "day/2026-11-24" };
    KekId::parse(day).expect("a day")
}

fn another(customer: &CustomerId) -> CustomerId {
    let id = if customer.as_str() == "acme" { "ajax" } else { "acme" };
    CustomerId::parse(id).expect("a valid id")
}

fn any_bytes(place: &Place, fields: Fields<'_>) {
    let wrapped = fields.rest();
    let byte = |at: usize| wrapped.get(at).copied().unwrap_or(0);
    match ([byte(0), byte(1)], place.unwrap(wrapped)) {
        ([1, 1], Ok(_) | Err(UnwrapError::Unauthentic)) => {}
        ([1, suite], Err(UnwrapError::UnknownSuite(named))) => assert_eq!(suite, named),
        ([version, _], Err(UnwrapError::UnknownVersion(named))) => assert_eq!(version, named),
        (head, unwrapped) => panic!("{head:?} ends with {:?}", unwrapped.err()),
    }
}

/// DEK 32 ‖ nonce 24 ‖ the bound value to change ‖ u16 position of a flip ‖ the flip.
fn wrapped_and_changed(place: &Place, mut fields: Fields<'_>) {
    let (dek, nonce) = (fields.array(), fields.array());
    let mut wrapped = place.wrap(dek, nonce);
    let unwrapped = place.unwrap(&wrapped).expect("as it was wrapped");
    assert_eq!(place.name(&unwrapped), place.name(&Dek::take(&mut { dek })));
    let elsewhere = place.clone().moved(fields.byte());
    assert_eq!(elsewhere.unwrap(&wrapped).err(), Some(UnwrapError::Unauthentic));
    wrapped[usize::from(fields.u16()) % WRAPPED_LEN] ^= fields.byte().max(1);
    assert!(place.unwrap(&wrapped).is_err());
}
