//! Level L2: what the nodes may still have of keys that were erased, as far as they tell. Changes nothing.
//!
//! An overwritten value stays in SSTables, in the Paxos table, in the commit log, in hints, snapshots and backups until these are
//! dropped or compacted. A node that was drained and started has dropped its commit log; a major compaction that ended after
//! that start has read every SSTable of the table (Apache Cassandra: `system.compaction_history`, CASSANDRA-18061). So what was
//! erased before the start is in neither.

use std::collections::BTreeSet;

use scylla::client::session::Session;
use scylla::cluster::Node;
use scylla::statement::Consistency;

use super::cells::{Cells, cells};
use super::open::ScyllaOptions;
use super::session::at_node;
use crate::keys::StoreError;
use crate::model::{CLOCKS_APART_MS, Millis};

/// What one node says of the places where copies may be.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct NodeCopies {
    /// Address and port.
    pub node: String,
    /// When it was started.
    pub started: Option<Millis>,
    /// By table, the end of its last major compaction.
    pub compacted: Vec<(String, Option<Millis>)>,
    /// Snapshots of the keyspace; `None` = it does not tell, as with the following ones.
    pub snapshots: Option<usize>,
    /// Nodes for which it keeps writes.
    pub hints: Option<usize>,
    /// `incremental_backups`
    pub keeps_backups: Option<bool>,
    /// Whether an incremental repair has set SSTables apart, which no compaction brings together.
    pub repaired_apart: Option<bool>,
}

impl NodeCopies {
    /// Where erased keys may still be; empty = nowhere, if they were erased before [`NodeCopies::purged_until`].
    pub fn doubts(&self) -> Vec<String> {
        let mut doubts = Vec::new();
        if self.started.is_none() {
            doubts.push("it does not say when it was started: its commit log may be older".to_owned());
        }
        for (table, at) in &self.compacted {
            match (at, self.started) {
                (None, _) => doubts.push(format!("no major compaction of {table} is on record")),
                (Some(at), Some(started)) if *at <= started => {
                    doubts.push(format!("{table} was compacted before the node was started, and not since"));
                }
                _ => {}
            }
        }
        let mut count = |what: &str, count: Option<usize>| match count {
            None => doubts.push(format!("it does not tell of {what}")),
            Some(0) => {}
            Some(count) => doubts.push(format!("{what}: {count}")),
        };
        count("snapshots of the keyspace", self.snapshots);
        count("hints for other nodes", self.hints);
        let mut is = |what: &str, is: Option<bool>| match is {
            None => doubts.push(format!("it does not tell whether {what}")),
            Some(false) => {}
            Some(true) => doubts.push(what.to_owned()),
        };
        is("incremental_backups is on: every flushed SSTable is kept", self.keeps_backups);
        is(
            "an incremental repair has set SSTables apart, which no compaction brings together",
            self.repaired_apart,
        );
        doubts
    }

    /// No copy of what was erased before is on this node; `None` = not known. By the store's clock, which may be as far from
    /// the node's as is tolerated.
    pub fn purged_until(&self) -> Option<Millis> {
        let apart = i64::try_from(CLOCKS_APART_MS).unwrap_or(i64::MAX);
        self.started.filter(|_| self.doubts().is_empty()).map(|at| at.plus(-apart))
    }
}

/// The commands that purge a node, in their order.
pub fn purge_plan(keyspace: &str) -> [String; 6] {
    [
        "nodetool flush".to_owned(),
        "nodetool drain, and start the node anew: that drops its commit log".to_owned(),
        format!("nodetool compact {keyspace} key"),
        "nodetool compact system paxos".to_owned(),
        format!("nodetool clearsnapshot --all -- {keyspace}"),
        "nodetool truncatehints".to_owned(),
    ]
}

/// Asks every node.
///
/// # Errors
/// [`StoreError`] only where not even a connection comes about; what a node does not answer is not known.
pub async fn copies(options: &ScyllaOptions) -> Result<Vec<NodeCopies>, StoreError> {
    let (session, _) = options.session.connect(&options.keyspace).await?;
    let state = session.get_cluster_state();
    let mut nodes = Vec::new();
    for node in state.get_nodes_info() {
        nodes.push(Asked { session: &session, node, keyspace: &options.keyspace }.copies().await);
    }
    nodes.sort_by(|a, b| a.node.cmp(&b.node));
    Ok(nodes)
}

/// One node, asked by itself: these tables are its own.
struct Asked<'a> {
    session: &'a Session,
    node: &'a Node,
    keyspace: &'a str,
}

impl Asked<'_> {
    async fn copies(&self) -> NodeCopies {
        let mut compacted = Vec::new();
        let history = self.rows("SELECT * FROM system.compaction_history").await;
        for (keyspace, table) in [(self.keyspace, "key"), ("system", "paxos")] {
            let last = history.as_deref().and_then(|rows| last_major(rows, keyspace, table));
            compacted.push((format!("{keyspace}.{table}"), last));
        }
        NodeCopies {
            node: self.node.address.to_string(),
            started: self.started().await,
            compacted,
            snapshots: self.snapshots().await,
            hints: self.rows("SELECT * FROM system_views.pending_hints").await.map(|rows| rows.len()),
            keeps_backups: self.keeps_backups().await,
            repaired_apart: self
                .rows("SELECT parent_id FROM system.repairs LIMIT 1")
                .await
                .map(|rows| !rows.is_empty()),
        }
    }

    /// Its generation in gossip is the second of its start, or later than that by the starts of the same second.
    async fn started(&self) -> Option<Millis> {
        let rows = self.rows("SELECT gossip_generation FROM system.local").await?;
        let second: i64 = rows.first()?.need("gossip_generation").ok()?;
        Some(Millis(second.checked_mul(1_000)?))
    }

    async fn snapshots(&self) -> Option<usize> {
        let rows = self.rows("SELECT name, keyspace_name FROM system_views.snapshots").await?;
        let text = |row: &Cells, name| row.text(name).ok().flatten().map(str::to_owned);
        let ours = rows.iter().filter(|row| text(row, "keyspace_name").as_deref() == Some(self.keyspace));
        // A row for each table.
        Some(ours.map(|row| text(row, "name")).collect::<BTreeSet<_>>().len())
    }

    async fn keeps_backups(&self) -> Option<bool> {
        let ask = "SELECT value FROM system_views.settings WHERE name = 'incremental_backups'";
        self.rows(ask).await?.first()?.text("value").ok()?.map(|value| value != "false")
    }

    async fn rows(&self, text: &str) -> Option<Vec<Cells>> {
        let mut ask = at_node(text, self.node);
        ask.set_consistency(Consistency::One);
        cells(self.session.query_unpaged(ask, ()).await.ok()?).ok()
    }
}

/// The end of the last compaction of a table that took all of it.
fn last_major(history: &[Cells], keyspace: &str, table: &str) -> Option<Millis> {
    let is = |row: &&Cells, name: &str, wanted: &str| row.text(name).ok().flatten() == Some(wanted);
    let of_table = history
        .iter()
        .filter(|row| is(row, "keyspace_name", keyspace) && is(row, "columnfamily_name", table))
        .filter(|row| row.entry("compaction_properties", "compaction_type") == Some("Major compaction"));
    of_table.filter_map(|row| row.number("compacted_at").ok().flatten()).max().map(Millis)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn purged() -> NodeCopies {
        let compacted = [("hourseal.key", 60_000), ("system.paxos", 61_000)];
        NodeCopies {
            node: "127.0.0.1:9042".to_owned(),
            started: Some(Millis(50_000)),
            compacted: compacted.map(|(table, at)| (table.to_owned(), Some(Millis(at)))).into(),
            snapshots: Some(0),
            hints: Some(0),
            keeps_backups: Some(false),
            repaired_apart: Some(false),
        }
    }

    #[test]
    fn what_was_erased_before_the_start_is_purged_by_a_compaction_after_it() {
        assert!(purged().doubts().is_empty());
        assert_eq!(purged().purged_until(), Some(Millis(50_000 - CLOCKS_APART_MS as i64)));
    }

    #[test]
    fn whatever_is_not_known_or_not_done_is_a_doubt() {
        type Change = fn(&mut NodeCopies);
        let doubtful: [(&str, Change); 11] = [
            ("started", |node| node.started = None),
            ("key", |node| node.compacted[0].1 = None),
            ("compacted before", |node| node.compacted[0].1 = Some(Millis(50_000))),
            ("compacted before", |node| node.compacted[1].1 = Some(Millis(49_000))),
            ("snapshots", |node| node.snapshots = None),
            ("snapshots of the keyspace: 2", |node| node.snapshots = Some(2)),
            ("hints", |node| node.hints = None),
            ("hints for other nodes: 1", |node| node.hints = Some(1)),
            ("incremental_backups", |node| node.keeps_backups = Some(true)),
            ("repair", |node| node.repaired_apart = None),
            ("repair", |node| node.repaired_apart = Some(true)),
        ];
        for (text, change) in doubtful {
            let mut node = purged();
            change(&mut node);
            let doubts = node.doubts();
            assert!(matches!(&doubts[..], [doubt] if doubt.contains(text)), "{text}: {doubts:?}");
            assert_eq!(node.purged_until(), None, "{text}");
        }
    }
}
