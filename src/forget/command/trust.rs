//! The trust store: the trusted keys and their rights (`schemas/trust.schema.json`).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::Deserialize;

use super::dsse::{Signature, pae};
use super::signing::PublicKey;
use crate::model::Millis;

/// A right that signatures may give.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Right {
    /// Erase hours that are due.
    Erase,
    /// Erase hours before they are due.
    EraseEarly,
    Hold,
    Release,
    /// Keep a customer's data for longer.
    Retention,
    /// Keep a customer's data for a shorter time, including existing hours.
    Shorten,
}

impl Right {
    pub const ALL: [Self; 6] =
        [Self::Erase, Self::EraseEarly, Self::Hold, Self::Release, Self::Retention, Self::Shorten];

    /// The word in trust stores.
    pub fn code(self) -> &'static str {
        match self {
            Self::Erase => "erase",
            Self::EraseEarly => "erase-early",
            Self::Hold => "hold",
            Self::Release => "release",
            Self::Retention => "retention",
            Self::Shorten => "shorten",
        }
    }

    /// Number of distinct keys that must sign, unless the trust store says otherwise: two if data may go
    /// early or a hold may be lifted.
    fn usual(self) -> usize {
        match self {
            Self::Erase | Self::Hold | Self::Retention => 1,
            Self::EraseEarly | Self::Release | Self::Shorten => 2,
        }
    }
}

/// The trusted keys. They are rotated by overlap: the new key is added before the old one ends.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Trust {
    keys: Vec<Key>,
    needed: BTreeMap<Right, usize>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
struct Key {
    name: String,
    public: PublicKey,
    rights: BTreeSet<Right>,
    not_before: Option<Millis>,
    not_after: Option<Millis>,
    revoked: bool,
}

/// The signers of a command, and the rights that they give it.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Authority {
    /// Names of the keys, in the order of the trust store; empty for an unsigned command.
    pub signers: Vec<String>,
    /// The rights that enough of these keys have.
    pub granted: BTreeSet<Right>,
}

/// The reason why a text is not a trust store.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum NotATrustStore {
    /// The text names its place.
    #[error("it breaks schemas/trust.schema.json: {0}")]
    Malformed(String),
    #[error("it is of version {0}, which this program does not know")]
    Version(u32),
    #[error("it lists the key {0:?} twice, with the same name or the same public key")]
    Twice(String),
    #[error("the public key of {0:?} is not the base64 of 32 bytes")]
    Public(String),
    #[error("a time of the key {0:?} is not RFC 3339, or its not_before is not before its not_after")]
    Time(String),
    #[error("`{}` needs {needed} keys and only {there} can give it: no command could use it", right.code())]
    OutOfReach { right: Right, needed: usize, there: usize },
    #[error("the threshold of `{}` is 0: it must be at least 1", .0.code())]
    Threshold(Right),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    version: u32,
    #[serde(default)]
    thresholds: BTreeMap<Right, usize>,
    keys: Vec<RawKey>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawKey {
    name: String,
    public: String,
    rights: BTreeSet<Right>,
    #[serde(default)]
    not_before: Option<String>,
    #[serde(default)]
    not_after: Option<String>,
    #[serde(default)]
    revoked: bool,
}

/// The source of the current trust store. The executor asks it before each batch of commands, so that a
/// revoked key no longer counts.
pub trait TrustSource: Send + Sync + 'static {
    /// Returns the keys whose signatures count from here on. `None`: there is no trust store, and no
    /// signature counts.
    ///
    /// # Errors
    /// The reason why the trust store is not known. Commands wait meanwhile.
    fn trust(&self) -> Result<Option<Arc<Trust>>, String>;
}

/// A source that never changes.
impl TrustSource for Option<Arc<Trust>> {
    fn trust(&self) -> Result<Option<Arc<Trust>>, String> {
        Ok(self.clone())
    }
}

impl Trust {
    /// Reads the text of a trust store.
    ///
    /// # Errors
    /// [`NotATrustStore`], also for a right that some unrevoked keys have, but not enough of them. Otherwise
    /// the operator would notice that only on the day the right is needed.
    pub fn parse(json: &str) -> Result<Self, NotATrustStore> {
        let raw: Raw =
            serde_json::from_str(json).map_err(|error| NotATrustStore::Malformed(error.to_string()))?;
        if raw.version != 1 {
            return Err(NotATrustStore::Version(raw.version));
        }
        let needed = |right: &Right| (*right, raw.thresholds.get(right).copied().unwrap_or(right.usual()));
        let trust = Self {
            needed: Right::ALL.iter().map(needed).collect(),
            keys: raw.keys.into_iter().map(RawKey::into_key).collect::<Result<_, _>>()?,
        };
        trust.check()
    }

    fn check(self) -> Result<Self, NotATrustStore> {
        for (at, key) in self.keys.iter().enumerate() {
            if self.keys[..at].iter().any(|other| other.name == key.name || other.public == key.public) {
                return Err(NotATrustStore::Twice(key.name.clone()));
            }
        }
        for (&right, &needed) in &self.needed {
            let there = self.keys.iter().filter(|key| !key.revoked && key.rights.contains(&right)).count();
            match needed {
                0 => return Err(NotATrustStore::Threshold(right)),
                _ if there > 0 && there < needed => {
                    return Err(NotATrustStore::OutOfReach { right, needed, there });
                }
                _ => {}
            }
        }
        Ok(self)
    }

    /// Returns the signers of a command among the keys that are trusted at `now`; `None` if none of these
    /// keys has signed it. A key counts once, even if it signed several times.
    pub fn authority(&self, payload: &[u8], signatures: &[Signature], now: Millis) -> Option<Authority> {
        let signed = pae(payload);
        let has_signed = |key: &&Key| {
            key.counts_at(now) && signatures.iter().any(|of| key.public.has_signed(&signed, &of.bytes))
        };
        let signers: Vec<&Key> = self.keys.iter().filter(has_signed).collect();
        let enough = |right: &Right| {
            signers.iter().filter(|key| key.rights.contains(right)).count() >= self.needed[right]
        };
        (!signers.is_empty()).then(|| Authority {
            signers: signers.iter().map(|key| key.name.clone()).collect(),
            granted: Right::ALL.into_iter().filter(enough).collect(),
        })
    }
}

impl Key {
    fn counts_at(&self, now: Millis) -> bool {
        let begun = self.not_before.is_none_or(|from| from <= now);
        begun && !self.revoked && self.not_after.is_none_or(|to| now < to)
    }
}

impl RawKey {
    fn into_key(self) -> Result<Key, NotATrustStore> {
        let Self { name, public, rights, not_before, not_after, revoked } = self;
        let public = PublicKey::parse(&public).ok_or_else(|| NotATrustStore::Public(name.clone()))?;
        let (not_before, not_after) = match (time(not_before), time(not_after)) {
            (Ok(from), Ok(to)) if from.zip(to).is_none_or(|(from, to)| from < to) => (from, to),
            _ => return Err(NotATrustStore::Time(name)),
        };
        Ok(Key { name, public, rights, not_before, not_after, revoked })
    }
}

fn time(text: Option<String>) -> Result<Option<Millis>, jiff::Error> {
    text.map(|text| text.parse()).transpose()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::forget::command::signing::SigningKey;

    const NOW: Millis = Millis(1_795_564_800_000);

    fn keys<const N: usize>() -> [SigningKey; N] {
        std::array::from_fn(|_| SigningKey::from_pem(&SigningKey::generate()).expect("as it was generated"))
    }

    fn entry(name: &str, key: &SigningKey, more: Value) -> Value {
        let mut entry = json!({"name": name, "public": key.public().to_string(), "rights": ["erase"]});
        entry.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        entry
    }

    fn trust(entries: &[Value]) -> Result<Trust, NotATrustStore> {
        Trust::parse(&json!({"version": 1, "keys": entries}).to_string())
    }

    fn by(signers: &[&SigningKey], payload: &[u8]) -> Vec<Signature> {
        let of =
            |key: &&SigningKey| Signature { hint: String::new(), bytes: key.sign(&pae(payload)).to_vec() };
        signers.iter().map(of).collect()
    }

    #[test]
    fn a_right_takes_as_many_distinct_keys_as_the_store_says() {
        let [a, b, c, stranger] = keys();
        let early = json!({"rights": ["erase", "erase-early"]});
        let trust = trust(&[entry("a", &a, early.clone()), entry("b", &b, early), entry("c", &c, json!({}))]);
        let trust = trust.expect("a trust store");
        let granted = |signers: &[&SigningKey]| {
            let authority = trust.authority(b"forget", &by(signers, b"forget"), NOW);
            authority.map(|authority| {
                (authority.signers.concat(), authority.granted.into_iter().collect::<Vec<_>>())
            })
        };
        let some = |names: &str, rights: &[Right]| Some((names.to_owned(), rights.to_vec()));
        assert_eq!(granted(&[&a]), some("a", &[Right::Erase]));
        assert_eq!(granted(&[&a, &a]), some("a", &[Right::Erase]), "one key twice is one key");
        assert_eq!(granted(&[&a, &c]), some("ac", &[Right::Erase]), "c may not erase early");
        assert_eq!(granted(&[&b, &a]), some("ab", &[Right::Erase, Right::EraseEarly]));
        assert_eq!(granted(&[&stranger]), None);
        assert_eq!(granted(&[&a, &stranger]), some("a", &[Right::Erase]));
        assert_eq!(trust.authority(b"forgot", &by(&[&a, &b], b"forget"), NOW), None, "other bytes");
    }

    #[test]
    fn a_key_counts_from_its_beginning_to_before_its_end_and_not_once_it_is_revoked() {
        let [key] = keys();
        let counts = |more: Value| {
            let trust = trust(&[entry("a", &key, more)]).expect("a trust store");
            trust.authority(b"forget", &by(&[&key], b"forget"), NOW).is_some()
        };
        assert!(counts(json!({})));
        assert!(counts(json!({"not_before": NOW.to_string(), "not_after": NOW.plus(1).to_string()})));
        assert!(!counts(json!({"not_before": NOW.plus(1).to_string()})));
        assert!(!counts(json!({"not_after": NOW.to_string()})));
        assert!(!counts(json!({"revoked": true})));
    }

    #[test]
    fn the_schemas_example_is_a_trust_store() {
        let schema: Value =
            serde_json::from_str(include_str!("../../../schemas/trust.schema.json")).expect("JSON");
        assert!(Trust::parse(&schema["examples"][0].to_string()).is_ok());
    }

    #[test]
    fn an_error_names_a_right_as_trust_stores_do() {
        for right in Right::ALL {
            assert_eq!(serde_json::from_value::<Right>(json!(right.code())).ok(), Some(right));
        }
        let alone = NotATrustStore::OutOfReach { right: Right::EraseEarly, needed: 2, there: 1 };
        assert!(alone.to_string().starts_with("`erase-early` needs 2 keys and only 1 "), "{alone}");
    }

    #[test]
    fn a_store_that_would_surprise_on_the_day_is_refused() {
        let [a, b] = keys();
        let of = |entries: &[Value]| trust(entries).expect_err("not a trust store");
        let twice = NotATrustStore::Twice("b".to_owned());
        assert_eq!(of(&[entry("a", &a, json!({})), entry("b", &a, json!({}))]), twice);
        assert_eq!(of(&[entry("b", &a, json!({})), entry("b", &b, json!({}))]), twice);
        let early = json!({"rights": ["erase-early"]});
        let alone = NotATrustStore::OutOfReach { right: Right::EraseEarly, needed: 2, there: 1 };
        assert_eq!(of(&[entry("a", &a, early.clone())]), alone);
        let revoked = json!({"rights": ["erase-early"], "revoked": true});
        assert_eq!(of(&[entry("a", &a, early.clone()), entry("b", &b, revoked)]), alone);
        assert!(matches!(of(&[entry("a", &a, json!({"public": "AAAA"}))]), NotATrustStore::Public(_)));
        assert!(matches!(of(&[entry("a", &a, json!({"not_after": "soon"}))]), NotATrustStore::Time(_)));
        assert!(matches!(of(&[entry("a", &a, json!({"right": "erase"}))]), NotATrustStore::Malformed(_)));
        let with = |thresholds: Value, version: u32| {
            let keys = [entry("a", &a, early.clone())];
            Trust::parse(&json!({"version": version, "thresholds": thresholds, "keys": keys}).to_string())
        };
        assert_eq!(with(json!({}), 2), Err(NotATrustStore::Version(2)));
        assert_eq!(with(json!({"erase": 0}), 1), Err(NotATrustStore::Threshold(Right::Erase)));
        assert!(with(json!({"erase-early": 1}), 1).is_ok());
    }
}
