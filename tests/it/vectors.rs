//! Tests `tests/vectors/envelope/*.json`, which another implementation made, through the public API.

use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use hourseal::envelope::{
    Context, Dek, Header, Kek, OpenError, Opened, StreamName, UnwrapError, derive, open, unwrap,
};
use hourseal::keys::Lookup;
use hourseal::model::{CustomerId, Generation, Hour, KekId, KeyId, QUARANTINE_CUSTOMER};
use hourseal::reader::{FindKey, Opener, Outcome, Record};
use serde_json::{Value, json};

#[test]
fn every_envelope_vector_ends_as_it_says() {
    check(24, 60, |name| !name.starts_with("wrapped_") && !name.starts_with("record_"));
}

#[test]
fn every_record_vector_ends_as_it_says() {
    check(8, 24, |name| name.starts_with("record_"));
}

#[test]
fn every_wrapped_dek_vector_ends_as_it_says() {
    check(4, 12, |name| name.starts_with("wrapped_"));
}

/// Checks that the vectors of a kind have the expected results, and that there are at least this number of
/// good and faulty ones. Only the fields of the answer are compared.
fn check(good: usize, faulty: usize, wanted: impl Fn(&str) -> bool) {
    let vectors = vectors(wanted);
    let is_good = |vector: &&Value| matches!(vector["expect"].as_str(), Some("opened" | "unwrapped"));
    let found = vectors.iter().filter(is_good).count();
    assert!(found >= good && vectors.len() - found >= faulty, "{found} of {} are good", vectors.len());
    for vector in &vectors {
        for (field, happened) in answer(vector).as_object().expect("an object") {
            assert_eq!(happened, &vector[field], "{}: {field}", text(vector, "name"));
        }
    }
}

/// Returns the result of a vector, in the fields of the vectors.
pub fn answer(vector: &Value) -> Value {
    match vector {
        _ if vector.get("wrapped").is_some() => unwrapped(vector),
        _ if vector.get("envelope").is_some() => opened(vector),
        _ => read(vector),
    }
}

/// Opens an envelope as `schemas/envelope.md` requires of a reader.
fn opened(vector: &Value) -> Value {
    match open_as_a_reader(vector) {
        Ok(opened) => described(&opened),
        Err(error) => json!({"expect": Outcome::from(error).name()}),
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

/// Reads a consumed record.
fn read(vector: &Value) -> Value {
    let (key, value) = (optional(&vector["record_key"]), optional(&vector["record_value"]));
    let pairs = vector["record_headers"].as_array().expect("a list");
    let headers: Vec<_> = pairs.iter().map(|pair| (optional(&pair[0]), optional(&pair[1]))).collect();
    let headers: Vec<_> = headers
        .iter()
        .map(|(name, value)| (name.as_deref().expect("a header has a name"), value.as_deref()))
        .collect();
    let record = Record { key: key.as_deref(), value: value.as_deref(), headers: &headers };
    let keys = Row { dek: array(vector, "dek"), commitment: array(vector, "commitment") };
    let opener = Opener::new(Arc::new(keys), stream(vector));
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    match runtime.block_on(opener.open(record)).outcome {
        Outcome::Opened(opened) => described(&opened),
        other => json!({"expect": other.name()}),
    }
}

/// A key store with one row.
struct Row {
    dek: [u8; 32],
    commitment: [u8; 32],
}

#[async_trait]
impl FindKey for Row {
    async fn find(&self, customer: &CustomerId, hour: Hour, generation: Generation, _: KeyId) -> Lookup {
        let key = derive(&Dek::take(&mut self.dek.clone()), customer, hour, generation);
        if key.commits_to(&self.commitment) { Lookup::Key(key) } else { Lookup::WrongKey }
    }
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
    let wrapped = bytes(vector, "wrapped");
    match unwrap(&wrapped, &kek, &kek_id, &customer, hour, generation, &commitment) {
        Ok(dek) if !derive(&dek, &customer, hour, generation).commits_to(&commitment) => {
            json!({"expect": "wrong-key"})
        }
        // It is the right DEK: no other has this commitment. Its bytes cannot be compared, because they
        // cannot leave the crate.
        Ok(_) => json!({"expect": "unwrapped"}),
        Err(UnwrapError::Unauthentic) => json!({"expect": "unauthentic"}),
        Err(UnwrapError::UnknownVersion(_)) => json!({"expect": "unknown-version"}),
        Err(UnwrapError::UnknownSuite(_)) => json!({"expect": "unknown-suite"}),
    }
}

/// Returns the vectors with a wanted name, in order. Each file has the name of its vector.
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

pub fn bytes(vector: &Value, field: &str) -> Vec<u8> {
    hex::decode(text(vector, field)).unwrap_or_else(|_| panic!("{field} must be hex"))
}

fn optional(hex: &Value) -> Option<Vec<u8>> {
    hex.as_str().map(|digits| hex::decode(digits).expect("hex"))
}

pub fn array<const N: usize>(vector: &Value, field: &str) -> [u8; N] {
    bytes(vector, field).try_into().unwrap_or_else(|_| panic!("{field} must be {N} bytes"))
}
