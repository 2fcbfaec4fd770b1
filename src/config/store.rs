//! `[store]`: which key store, and where.

use std::path::PathBuf;

use serde::Deserialize;

use super::{ConfigError, units};

/// `[store]` as it is written: the keys of every kind side by side.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawStore {
    #[serde(deserialize_with = "units::parsed")]
    kind: String,
    #[serde(deserialize_with = "units::parsed")]
    path: PathBuf,
}

/// `[store]`, checked.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Store {
    /// The embedded store: one file, one host.
    Sqlite { path: PathBuf },
}

impl TryFrom<RawStore> for Store {
    type Error = ConfigError;

    fn try_from(raw: RawStore) -> Result<Self, ConfigError> {
        match raw.kind.as_str() {
            "sqlite" => Ok(Self::Sqlite { path: raw.path }),
            kind => Err(ConfigError::value(
                "store.kind",
                format!("`{kind}` is not in this version, which has `sqlite`"),
            )),
        }
    }
}
