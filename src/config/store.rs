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
    contact_points: Vec<String>,
    #[serde(deserialize_with = "units::parsed")]
    keyspace: String,
    #[serde(deserialize_with = "units::parsed")]
    replication: u8,
    datacenter: Option<String>,
    user: Option<String>,
    password_file: Option<PathBuf>,
    tls_ca_file: Option<PathBuf>,
    tls_cert_file: Option<PathBuf>,
    tls_key_file: Option<PathBuf>,
}

/// `[store]`, checked.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Store {
    /// The embedded store: one file, one host.
    Sqlite { path: PathBuf },
    /// The store of a fleet: ScyllaDB, or Apache Cassandra.
    Scylla(Box<Scylla>),
}

/// A keyspace and the way to it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Scylla {
    /// `host:port`, one at least.
    pub contact_points: Vec<String>,
    pub keyspace: String,
    /// Replicas in each data centre of a keyspace that is created.
    pub replication: u8,
    /// The near one; `None` = all are.
    pub datacenter: Option<String>,
    /// User and the file of the password.
    pub login: Option<(String, PathBuf)>,
    /// PEM; `None` = no TLS.
    pub tls_ca_file: Option<PathBuf>,
    /// PEM: certificate and key of this client.
    pub tls_client: Option<(PathBuf, PathBuf)>,
}

impl TryFrom<RawStore> for Store {
    type Error = ConfigError;

    fn try_from(raw: RawStore) -> Result<Self, ConfigError> {
        match raw.kind.as_str() {
            "sqlite" => Ok(Self::Sqlite { path: raw.path }),
            "scylla" => Ok(Self::Scylla(Box::new(raw.try_into()?))),
            kind => {
                Err(ConfigError::value("store.kind", format!("`{kind}` is neither `sqlite` nor `scylla`")))
            }
        }
    }
}

impl TryFrom<RawStore> for Scylla {
    type Error = ConfigError;

    fn try_from(raw: RawStore) -> Result<Self, ConfigError> {
        let legal = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
        let name = &raw.keyspace;
        if !name.starts_with(|c: char| c.is_ascii_lowercase()) || name.len() > 39 || !name.chars().all(legal)
        {
            let why = format!("`{name}` is not 1 to 39 of a-z, 0-9 and _, beginning with a letter");
            return Err(ConfigError::value("store.keyspace", why));
        }
        let is_address =
            |point: &String| point.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
        if raw.contact_points.is_empty() || !raw.contact_points.iter().all(is_address) {
            return Err(ConfigError::value("store.contact_points", "is no list of `host:port`"));
        }
        if raw.replication == 0 {
            return Err(ConfigError::value("store.replication", "is 0"));
        }
        Ok(Self {
            login: both("store.user", raw.user, "store.password_file", raw.password_file)?,
            tls_client: both(
                "store.tls_cert_file",
                raw.tls_cert_file,
                "store.tls_key_file",
                raw.tls_key_file,
            )?,
            contact_points: raw.contact_points,
            keyspace: raw.keyspace,
            replication: raw.replication,
            datacenter: raw.datacenter,
            tls_ca_file: raw.tls_ca_file,
        })
    }
}

/// Two settings of which neither means anything alone.
fn both<A, B>(one: &str, a: Option<A>, other: &str, b: Option<B>) -> Result<Option<(A, B)>, ConfigError> {
    match (a, b) {
        (Some(a), Some(b)) => Ok(Some((a, b))),
        (None, None) => Ok(None),
        (Some(_), None) => Err(ConfigError::value(one, format!("stands without `{other}`"))),
        (None, Some(_)) => Err(ConfigError::value(other, format!("stands without `{one}`"))),
    }
}
