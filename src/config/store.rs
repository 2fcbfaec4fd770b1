//! `[store]`: the kind and the place of the key store.

use std::path::PathBuf;

use super::kind::{Optional, Section, Setting, section};
use super::lists::{HostPort, List};
use super::numbers::Whole;
use super::reader::Reader;
use super::words::{File, KEYSPACE, OneOf, TEXT};

/// The default port of CQL.
const CQL: HostPort = HostPort { default_port: 9042 };

section! {
    /// `[store]` as the operator wrote it, with the keys of every kind.
    struct Written in "store." {
        kind: String = OneOf::these(&["sqlite", "scylla"]),
        path: PathBuf = File,
        contact_points: Vec<String> = List::of_some(CQL),
        keyspace: String = KEYSPACE,
        replication: u8 = Whole::within(1, 255),
        datacenter: Option<String> = Optional(TEXT),
        user: Option<String> = Optional(TEXT),
        password_file: Option<PathBuf> = Optional(File),
        tls_ca_file: Option<PathBuf> = Optional(File),
        tls_cert_file: Option<PathBuf> = Optional(File),
        tls_key_file: Option<PathBuf> = Optional(File),
    }
}

/// `[store]`, checked.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Store {
    /// The embedded store: one file, one host.
    Sqlite { path: PathBuf },
    /// The store of a fleet: ScyllaDB, or Apache Cassandra.
    Scylla(Box<Scylla>),
}

/// A keyspace and its connection settings.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Scylla {
    /// One or more `host:port`.
    pub contact_points: Vec<String>,
    pub keyspace: String,
    /// Replicas in each data centre, used when the keyspace is created.
    pub replication: u8,
    /// The local data centre. `None` = all are local.
    pub datacenter: Option<String>,
    /// User name, and the file of the password.
    pub login: Option<(String, PathBuf)>,
    /// PEM file. `None` = no TLS.
    pub tls_ca_file: Option<PathBuf>,
    /// PEM files: this client's certificate and its key.
    pub tls_client: Option<(PathBuf, PathBuf)>,
}

impl Section for Store {
    fn settings() -> Vec<Setting> {
        Written::settings()
    }

    fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let written = Written::read(reader)?;
        Some(match written.kind.as_str() {
            "scylla" => Self::Scylla(Box::new(Scylla::of(written, reader))),
            _ => Self::Sqlite { path: written.path },
        })
    }
}

impl Scylla {
    fn of(written: Written, reader: &mut Reader<'_>) -> Self {
        let login = ["store.user", "store.password_file"];
        let client = ["store.tls_cert_file", "store.tls_key_file"];
        Self {
            contact_points: written.contact_points,
            keyspace: written.keyspace,
            replication: written.replication,
            datacenter: written.datacenter,
            login: both(reader, login, written.user, written.password_file),
            tls_ca_file: written.tls_ca_file,
            tls_client: both(reader, client, written.tls_cert_file, written.tls_key_file),
        }
    }
}

/// Joins two settings that are only valid together.
fn both<A, B>(
    reader: &mut Reader<'_>,
    keys: [&'static str; 2],
    a: Option<A>,
    b: Option<B>,
) -> Option<(A, B)> {
    let [one, other] = keys;
    match (a, b) {
        (Some(a), Some(b)) => return Some((a, b)),
        (None, None) => {}
        (Some(_), None) => reader.wrong(one, format!("set without {other}")),
        (None, Some(_)) => reader.wrong(other, format!("set without {one}")),
    }
    None
}
