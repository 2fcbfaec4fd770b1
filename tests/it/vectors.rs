//! `tests/vectors/envelope/*.json`, made by another implementation, through the public API.

use std::path::PathBuf;

use hourseal::envelope::{
    Context, Dek, Header, Kek, OpenError, Opened, StreamName, UnwrapError, derive, open, unwrap,
};
use hourseal::model::{CustomerId, Generation, Hour, KekId, QUARANTINE_CUSTOMER};
use serde_json::{Value, json};

#[test]
fn every_envelope_vector_ends_as_it_says() {
    let vectors = vectors(|name| !name.starts_with("wrapped_"));
    let opened = vectors.iter().filter(|vector| vector["expect"] == "opened").count();
    assert!(opened >= 12, "{opened} valid vectors");
    assert!(vectors.len() - opened >= 25, "{} faulty vectors", vectors.len() - opened);
    for vector in &vectors {
        check(vector, &outcome(vector));
    }
}

#[test]
fn every_wrapped_dek_vector_ends_as_it_says() {
    let vectors = vectors(|name| name.starts_with("wrapped_"));
    assert!(vectors.len() >= 10, "{} vectors", vectors.len());
    for vector in &vectors {
        check(vector, &unwrapped(vector));
    }
}

/// What a vector says, compared with what happened. Only the fields that the outcome has are compared.
fn check(vector: &Value, outcome: &Value) {
    for (field, happened) in outcome.as_object().expect("an object") {
        assert_eq!(happened, &vector[field], "{}: {field}", text(vector, "name"));
    }
}

/// Opens as `schemas/envelope.md` asks a reader to.
fn outcome(vector: &Value) -> Value {
    match open_as_a_reader(vector) {
        Ok(opened) => described(&opened),
        Err(OpenError::NotAnEnvelope) => json!({"expect": "not-an-envelope"}),
        Err(OpenError::UnknownSuite(_)) => json!({"expect": "unknown-suite"}),
        Err(OpenError::WrongKey) => json!({"expect": "wrong-key"}),
        Err(OpenError::Tampered) => json!({"expect": "tampered"}),
    }
}

fn open_as_a_reader(vector: &Value) -> Result<Opened, OpenError> {
    let envelope = bytes(vector, "envelope");
    let header = Header::parse(&envelope)?;
    let customer = customer(vector);
    let key = derive(&Dek::take(&mut array(vector, "dek")), &customer, header.hour, header.generation);
    if !key.commits_to(&array(vector, "commitment")) {
        return Err(OpenError::WrongKey);
    }
    open(&envelope, &key, &Context::new(&customer, &stream(vector)))
}

fn described(opened: &Opened) -> Value {
    let (header, frame) = (opened.header(), opened.frame());
    let headers: Vec<_> =
        frame.headers().map(|(name, value)| json!([hex::encode(name), value.map(hex::encode)])).collect();
    assert_eq!(opened.event_time(), header.hour.start().plus(frame.milliseconds().into()));
    json!({
        "expect": "opened",
        "hour": header.hour.0,
        "generation": header.generation.0,
        "milliseconds": frame.milliseconds(),
        "key": frame.key().map(hex::encode),
        "headers": headers,
        "payload": frame.payload().map(hex::encode),
    })
}

/// Unwraps as the key room does: authenticity first, then the commitment.
fn unwrapped(vector: &Value) -> Value {
    let kek_id = KekId::parse(&text(vector, "kek_id")).expect("a KEK id");
    let (customer, hour, generation) = (customer(vector), hour(vector), generation(vector));
    let (kek, commitment) = (Kek::take(&mut array(vector, "kek")), array(vector, "commitment"));
    let wrapped = array(vector, "wrapped");
    match unwrap(&wrapped, &kek, &kek_id, &customer, hour, generation, &commitment) {
        Ok(dek) if !derive(&dek, &customer, hour, generation).commits_to(&commitment) => {
            json!({"expect": "wrong-key"})
        }
        Ok(dek) => {
            let expected = Dek::take(&mut array(vector, "dek"));
            let commitment_of = |dek| *derive(dek, &customer, hour, generation).commitment();
            assert_eq!(commitment_of(&dek), commitment_of(&expected), "{}: dek", text(vector, "name"));
            json!({"expect": "unwrapped"})
        }
        Err(UnwrapError::Unauthentic) => json!({"expect": "unauthentic"}),
        Err(UnwrapError::UnknownVersion(_)) => json!({"expect": "unknown-version"}),
        Err(UnwrapError::UnknownSuite(_)) => json!({"expect": "unknown-suite"}),
    }
}

/// The vectors whose names are wanted, in order; each file's name is its vector's.
fn vectors(wanted: impl Fn(&str) -> bool) -> Vec<Value> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/envelope");
    let mut paths: Vec<_> = std::fs::read_dir(&folder)
        .expect("the folder of the vectors")
        .map(|entry| entry.expect("a readable folder").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "json"))
        .collect();
    paths.sort();
    let read = |path: &PathBuf| -> Value {
        let text = std::fs::read_to_string(path).expect("a readable file");
        let vector: Value = serde_json::from_str(&text).expect("JSON");
        assert_eq!(path.file_stem().and_then(|stem| stem.to_str()), vector["name"].as_str());
        vector
    };
    paths.iter().map(read).filter(|vector| wanted(&text(vector, "name"))).collect()
}

fn customer(vector: &Value) -> CustomerId {
    match text(vector, "customer").as_str() {
        QUARANTINE_CUSTOMER => CustomerId::quarantine(),
        id => CustomerId::parse(id).expect("a valid id"),
    }
}

fn stream(vector: &Value) -> StreamName {
    let name = text(vector, "stream");
    match name.strip_suffix(".quarantine") {
        Some(stream) => StreamName::parse(stream).expect("a valid name").quarantine(),
        None => StreamName::parse(&name).expect("a valid name"),
    }
}

fn hour(vector: &Value) -> Hour {
    Hour(vector["hour"].as_u64().and_then(|hour| hour.try_into().ok()).expect("u32"))
}

fn generation(vector: &Value) -> Generation {
    Generation(vector["generation"].as_u64().and_then(|generation| generation.try_into().ok()).expect("u16"))
}

fn text(vector: &Value, field: &str) -> String {
    vector[field].as_str().unwrap_or_else(|| panic!("{field} must be a string")).to_owned()
}

fn bytes(vector: &Value, field: &str) -> Vec<u8> {
    hex::decode(text(vector, field)).unwrap_or_else(|_| panic!("{field} must be hex"))
}

fn array<const N: usize>(vector: &Value, field: &str) -> [u8; N] {
    bytes(vector, field).try_into().unwrap_or_else(|_| panic!("{field} must be {N} bytes"))
}
