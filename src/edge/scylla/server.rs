//! Detects the server's kind and version, and knows the faults of each version.

use scylla::client::session::Session;
use scylla::response::query_result::QueryResult;

use super::cells::cells;
use crate::edge::finding::{Finding, Grade};
use crate::keys::StoreError;

/// The server's kind and version.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Server {
    kind: Kind,
    /// The leading numbers of the version: `[2025, 4, 1]`.
    version: Vec<u32>,
    text: String,
    pub(super) datacenters: Vec<String>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
    Scylla,
    Cassandra,
}

impl Server {
    pub(super) async fn ask(session: &Session) -> Result<Self, StoreError> {
        let local = cells(session.query_unpaged("SELECT release_version FROM system.local", ()).await?)?;
        let release = local
            .first()
            .and_then(|row| row.text("release_version").ok().flatten())
            .unwrap_or("?")
            .to_owned();
        // ScyllaDB reports Cassandra 3.0.8 there. Its own version is in a table that Cassandra lacks.
        let scylla =
            session.query_unpaged("SELECT version FROM system.versions WHERE key = 'local'", ()).await;
        let scylla = scylla.ok().and_then(|answer: QueryResult| cells(answer).ok());
        let scylla = scylla.and_then(|rows| {
            rows.first().and_then(|row| row.text("version").ok().flatten()).map(str::to_owned)
        });
        let state = session.get_cluster_state();
        let mut datacenters: Vec<String> =
            state.get_nodes_info().iter().filter_map(|node| node.datacenter.clone()).collect();
        datacenters.sort();
        datacenters.dedup();
        Ok(match scylla {
            Some(version) => Self::of(Kind::Scylla, version, datacenters),
            None => Self::of(Kind::Cassandra, release, datacenters),
        })
    }

    fn of(kind: Kind, text: String, datacenters: Vec<String>) -> Self {
        let version = text.split(['.', '-', '~']).map_while(|part| part.parse().ok()).collect();
        Self { kind, version, text, datacenters }
    }

    fn at_least(&self, version: &[u32]) -> bool {
        self.version.as_slice() >= version
    }

    /// The statement that creates the keyspace. ScyllaDB from 6.0 to 2025.3 has tablets, and refuses
    /// transactions on them.
    pub(super) fn create_keyspace(&self, keyspace: &str, replication: u8) -> Result<String, StoreError> {
        if self.datacenters.is_empty() {
            return Err(StoreError::Unavailable("no node has reported its data centre yet".to_owned()));
        }
        let replicas: Vec<String> =
            self.datacenters.iter().map(|dc| format!(", '{dc}': {replication}")).collect();
        let tablets = match self.kind {
            Kind::Scylla if self.at_least(&[6]) && !self.at_least(&[2025, 4]) => {
                " AND tablets = {'enabled': false}"
            }
            Kind::Scylla | Kind::Cassandra => "",
        };
        Ok(format!(
            "CREATE KEYSPACE IF NOT EXISTS {keyspace} \
             WITH replication = {{'class': 'NetworkTopologyStrategy'{}}}{tablets}",
            replicas.concat()
        ))
    }

    /// The known faults of this version.
    pub(super) fn finding(&self) -> Finding {
        let is = |grade, text: &str| {
            let name = match self.kind {
                Kind::Scylla => "ScyllaDB",
                Kind::Cassandra => "Apache Cassandra",
            };
            Finding::new("server", grade, format!("{name} {}{text}", self.text))
        };
        match self.kind {
            Kind::Scylla if self.at_least(&[2025, 4]) => is(Grade::Ok, ""),
            Kind::Scylla if self.at_least(&[6]) => is(
                Grade::Note,
                ": transactions need a keyspace without tablets, and on vnodes their state does not move \
                 when nodes join or leave (scylladb #5251); upgrade to 2025.4 or newer",
            ),
            Kind::Scylla => {
                is(Grade::Note, ": too old to have been considered; vnodes only (scylladb #5251)")
            }
            Kind::Cassandra if self.at_least(&[4, 1]) && !self.at_least(&[4, 1, 6]) => is(
                Grade::Wrong,
                ": a stale transaction can bring back erased keys (CASSANDRA-19617); use 4.1.6 or newer",
            ),
            Kind::Cassandra if self.at_least(&[4]) => is(Grade::Ok, ""),
            Kind::Cassandra => is(Grade::Wrong, ": version 4.0 or newer is required"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(kind: Kind, version: &str) -> Server {
        Server::of(kind, version.to_owned(), vec!["dc1".to_owned(), "dc2".to_owned()])
    }

    #[test]
    fn tablets_are_avoided_where_transactions_are_refused_on_them() {
        let create = |kind, version| server(kind, version).create_keyspace("k", 3).expect("a statement");
        let plain = "CREATE KEYSPACE IF NOT EXISTS k \
                     WITH replication = {'class': 'NetworkTopologyStrategy', 'dc1': 3, 'dc2': 3}";
        assert_eq!(create(Kind::Cassandra, "5.0.9"), plain);
        for tablets in ["2025.4.0", "2026.1.0~rc1", "2025.4.3-0.20260101.abc"] {
            assert_eq!(create(Kind::Scylla, tablets), plain, "{tablets}");
        }
        for vnodes in ["6.0.1", "6.2.3", "2025.1.0", "2025.3.9"] {
            assert_eq!(
                create(Kind::Scylla, vnodes),
                format!("{plain} AND tablets = {{'enabled': false}}"),
                "{vnodes}"
            );
        }
        assert_eq!(create(Kind::Scylla, "5.4.9"), plain);
    }

    #[test]
    fn versions_that_bring_back_what_was_erased_are_wrong() {
        for (kind, version, grade) in [
            (Kind::Cassandra, "5.0.9", Grade::Ok),
            (Kind::Cassandra, "4.1.6", Grade::Ok),
            (Kind::Cassandra, "4.1.5", Grade::Wrong),
            (Kind::Cassandra, "4.0.20", Grade::Ok),
            (Kind::Cassandra, "3.11.19", Grade::Wrong),
            (Kind::Scylla, "2026.1.0", Grade::Ok),
            (Kind::Scylla, "2025.3.1", Grade::Note),
            (Kind::Scylla, "5.4.0", Grade::Note),
        ] {
            assert_eq!(server(kind, version).finding().grade, grade, "{kind:?} {version}");
        }
    }
}
