//! Checks a real cluster before its first use, and reports every point that does not fit.

use std::collections::BTreeMap;
use std::time::Instant;

use scylla::client::session::Session;
use scylla::cluster::metadata::Strategy;
use scylla::statement::unprepared::Statement;

use super::cells::{Cells, cells};
use super::definition::{agree_soon, refresh};
use super::open::ScyllaOptions;
use super::server::Server;
use super::session::{Profiles, at_node};
use super::settings::{Settings, enter, nothing_here};
use super::{ScyllaStore, fault};
use crate::edge::finding::{Finding, Grade};
use crate::keys::StoreError;
use crate::model::{CLOCKS_APART_MS, Millis};

/// Checks everything that can be checked without changing any table but `probe`.
///
/// # Errors
/// [`StoreError`] if the cluster does not answer the first statements. Every other problem is a finding.
pub async fn check(options: &ScyllaOptions) -> Result<Vec<Finding>, StoreError> {
    let (session, profiles) = options.session.connect(&options.keyspace).await?;
    let server = Server::ask(&session).await?;
    let mut findings = vec![server.finding(), data_centre(options, &server)];
    findings.push(clocks(&session, options).await);
    let agreed = agree_soon(&session).await;
    findings.push(schema(agreed));
    refresh(&session).await?;
    let Some(keyspace) = keyspace(&session, options) else {
        let text = format!("there is no keyspace {}: `hourseal store init` creates it", options.keyspace);
        findings.push(Finding::new("keyspace", Grade::Wrong, text));
        return Ok(findings);
    };
    findings.push(keyspace);
    let found = match enter(&session, &options.keyspace, agreed).await {
        Ok(found) => found,
        Err(error) => {
            findings.push(Finding::new("keyspace", Grade::Wrong, error.to_string()));
            return Ok(findings);
        }
    };
    findings.push(lifetimes(&session, options).await);
    let tablets = has_tablets(&session, &options.keyspace);
    findings.push(on_tablets(tablets, transaction(&session, &profiles).await));
    findings.push(on_tablets(tablets, conditional_batch(&session, &profiles).await));
    let version = version(options, found.as_ref());
    let fits = version.grade < Grade::Wrong;
    findings.push(version);
    if fits {
        findings.push(store(session, &profiles, options, found).await);
    }
    Ok(findings)
}

fn data_centre(options: &ScyllaOptions, server: &Server) -> Finding {
    let known = server.datacenters.join(", ");
    match &options.session.datacenter {
        Some(dc) if !server.datacenters.contains(dc) => {
            let text = format!("`store.datacenter` is {dc}, but the cluster has {known}");
            Finding::new("data centre", Grade::Wrong, text)
        }
        None if server.datacenters.len() > 1 => {
            let text = format!("{known}: set `store.datacenter` to the nearest one");
            Finding::new("data centre", Grade::Note, text)
        }
        Some(_) | None => Finding::new("data centre", Grade::Ok, known),
    }
}

fn schema(agreed: bool) -> Finding {
    if agreed {
        return Finding::new("schema", Grade::Ok, "the nodes agree on it");
    }
    let text = "the nodes do not agree on it: they are being upgraded, or a node has not received a change";
    Finding::new("schema", Grade::Note, text)
}

/// Replicas in each data centre, according to the schema.
fn keyspace(session: &Session, options: &ScyllaOptions) -> Option<Finding> {
    let state = session.get_cluster_state();
    let keyspace = state.get_keyspace(&options.keyspace)?;
    Some(replication(&options.keyspace, &keyspace.strategy))
}

fn replication(keyspace: &str, strategy: &Strategy) -> Finding {
    let (fewest, text) = match strategy {
        Strategy::SimpleStrategy { replication_factor: replicas } => {
            (*replicas, format!("{replicas} replicas in the whole cluster (SimpleStrategy)"))
        }
        Strategy::NetworkTopologyStrategy { datacenter_repfactors: replicas } => {
            let by_name: BTreeMap<_, _> = replicas.iter().collect();
            let each: Vec<String> =
                by_name.iter().map(|(dc, replicas)| format!("{replicas} in {dc}")).collect();
            // A data centre without replicas does not take part in this keyspace.
            let fewest = replicas.values().copied().filter(|replicas| *replicas > 0).min().unwrap_or(0);
            (fewest, format!("replicas: {}", each.join(", ")))
        }
        Strategy::LocalStrategy => (1, "each node has its own data (LocalStrategy)".to_owned()),
        Strategy::Other { name, .. } => {
            (0, format!("replicas are placed by {name}, which is an unknown strategy"))
        }
        _ => (0, "replicas are placed by an unknown strategy".to_owned()),
    };
    if fewest >= 3 {
        return Finding::new("keyspace", Grade::Ok, format!("{keyspace}: {text}"));
    }
    let risk = "below 3 replicas, a lost disk loses keys and a lost node stops the lanes";
    Finding::new("keyspace", Grade::Note, format!("{keyspace}: {text}: {risk}"))
}

/// Whether the keyspace uses tablets, according to the schema; false on Cassandra.
fn has_tablets(session: &Session, keyspace: &str) -> bool {
    session.get_cluster_state().get_keyspace(keyspace).is_some_and(|keyspace| keyspace.tablet_based)
}

/// Adds an explanation to the finding if a transaction failed on tablets.
fn on_tablets(tablets: bool, mut finding: Finding) -> Finding {
    if tablets && finding.grade == Grade::Wrong {
        finding.text += ": this keyspace uses tablets, and ScyllaDB before 2025.4 refuses transactions on \
                         them; `store init` creates a keyspace without tablets";
    }
    finding
}

/// Compares every node's clock with this host's clock.
async fn clocks(session: &Session, options: &ScyllaOptions) -> Finding {
    let mut worst = 0;
    let state = session.get_cluster_state();
    for node in state.get_nodes_info() {
        let ask = at_node("SELECT toTimestamp(now()) AS now FROM system.local", node);
        let answer = session.query_unpaged(ask, ()).await.map_err(StoreError::from).and_then(cells);
        let now = answer.and_then(|rows| {
            rows.first().map_or(Err(fault::malformed("clock")), |row| row.need::<i64>("now"))
        });
        match now {
            Ok(now) => worst = worst.max(options.clock.now().0.abs_diff(Millis(now).0)),
            Err(error) => {
                return Finding::new(
                    "clocks",
                    Grade::Wrong,
                    format!("node {} did not report its time: {error}", node.address),
                );
            }
        }
    }
    let text = format!("at most {worst} ms from this host's clock; nodes: {}", state.get_nodes_info().len());
    let grade = match worst {
        0..=5_000 => Grade::Ok,
        _ if worst <= CLOCKS_APART_MS => Grade::Note,
        _ => Grade::Wrong,
    };
    Finding::new("clocks", grade, text)
}

/// Checks that the server accepts a key of the longest retention today.
async fn lifetimes(session: &Session, options: &ScyllaOptions) -> Finding {
    let longest = crate::model::Due::of(
        crate::model::Hour::containing(options.clock.now()).unwrap_or(crate::model::Hour(0)),
        crate::model::Retention::hours(u16::MAX).expect("not zero"),
    );
    let ttl = options.lifetimes.marker(longest, options.clock.now());
    let years = ttl / (365 * 86_400);
    let write = format!("INSERT INTO probe (id, part, value) VALUES ('ttl', 0, 0) USING TTL {ttl}");
    let written = session.query_unpaged(write, ()).await;
    let _ = session.query_unpaged("DELETE FROM probe WHERE id = 'ttl'", ()).await;
    match written {
        Ok(_) => Finding::new(
            "lifetimes",
            Grade::Ok,
            format!("the server accepts TTLs of {years} years, which the longest retention needs"),
        ),
        Err(error) => {
            let text = format!(
                "the server did not accept a TTL of {years} years: keys of the longest retentions will not \
                 be minted (on Cassandra 5, `storage_compatibility_mode: NONE` lifts the limit of 2038): \
                 {error}"
            );
            Finding::new("lifetimes", Grade::Note, text)
        }
    }
}

async fn transaction(session: &Session, profiles: &Profiles) -> Finding {
    let id = probe_id();
    let insert =
        format!("INSERT INTO probe (id, part, value) VALUES ('{id}', 0, 1) IF NOT EXISTS USING TTL 60");
    let (begun, first) = (Instant::now(), conditional(session, profiles, &insert).await);
    let took = begun.elapsed();
    let second = conditional(session, profiles, &insert).await;
    match (first, second) {
        (Ok(true), Ok(false)) => Finding::new(
            "transaction",
            Grade::Ok,
            format!("a lightweight transaction took {} ms", took.as_millis()),
        ),
        (Err(error), _) | (_, Err(error)) => Finding::new("transaction", Grade::Wrong, error.to_string()),
        _ => Finding::new("transaction", Grade::Wrong, "the server applies IF NOT EXISTS wrongly"),
    }
}

/// Executes a batch in the shape of a mint: a row unless it exists, another cell with another TTL, and a
/// condition on a third row.
async fn conditional_batch(session: &Session, profiles: &Profiles) -> Finding {
    let id = probe_id();
    let batch = format!(
        "BEGIN BATCH
         INSERT INTO probe (id, part, value) VALUES ('{id}', 1, 1) IF NOT EXISTS USING TTL 60;
         UPDATE probe USING TTL 50 SET value = 2 WHERE id = '{id}' AND part = 2;
         UPDATE probe USING TTL 60 SET value = 3 WHERE id = '{id}' AND part = 0 IF value = null;
         APPLY BATCH"
    );
    let first = conditional(session, profiles, &batch).await;
    let second = conditional(session, profiles, &batch).await;
    match (first, second) {
        (Ok(true), Ok(false)) => {
            Finding::new("conditional batch", Grade::Ok, "applied once, refused the second time")
        }
        (Err(error), _) | (_, Err(error)) => {
            Finding::new("conditional batch", Grade::Wrong, error.to_string())
        }
        _ => Finding::new("conditional batch", Grade::Wrong, "the server applies its conditions wrongly"),
    }
}

fn probe_id() -> String {
    let mut id = [0; 8];
    crate::envelope::random(&mut id);
    hex::encode(id)
}

async fn conditional(session: &Session, profiles: &Profiles, text: &str) -> Result<bool, StoreError> {
    let mut statement = Statement::new(text);
    statement.set_execution_profile_handle(Some(profiles.lwt.clone()));
    let rows: Vec<Cells> = cells(session.query_unpaged(statement, ()).await?)?;
    rows.first().map_or(Ok(false), |row| row.flag("[applied]"))
}

/// Compares the store's schema version with the one that this program knows.
fn version(options: &ScyllaOptions, found: Option<&Settings>) -> Finding {
    let wrong = |error: StoreError| Finding::new("schema version", Grade::Wrong, error.to_string());
    match found.map(Settings::schema_version) {
        Some(Ok(found)) => Finding::schema_version(found, options.schema_version()),
        Some(Err(error)) => wrong(error),
        None => wrong(nothing_here(&options.keyspace)),
    }
}

/// Checks identity, vault and rights.
async fn store(
    session: Session,
    profiles: &Profiles,
    options: &ScyllaOptions,
    found: Option<Settings>,
) -> Finding {
    match ScyllaStore::over(session, profiles, options.clone(), found).await {
        Ok(store) => match crate::keys::ReadStore::meta(&store).await {
            Ok(meta) => {
                Finding::new("store", Grade::Ok, format!("store {} of vault {}", meta.store, meta.vault))
            }
            Err(error) => Finding::new("store", Grade::Wrong, error.to_string()),
        },
        Err(error) => Finding::new("store", Grade::Wrong, error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn placed(replicas: &[(&str, usize)]) -> Finding {
        let replicas = replicas.iter().map(|(dc, replicas)| ((*dc).to_owned(), *replicas)).collect();
        replication("k", &Strategy::NetworkTopologyStrategy { datacenter_repfactors: replicas })
    }

    #[test]
    fn a_digit_in_the_name_of_a_data_centre_is_not_a_number_of_replicas() {
        for dc in ["datacenter1", "dc1", "us-east-1", "eu2", "rack"] {
            let finding = placed(&[(dc, 3)]);
            assert_eq!((finding.grade, finding.text), (Grade::Ok, format!("k: replicas: 3 in {dc}")));
        }
        assert_eq!(placed(&[("dc4", 1)]).grade, Grade::Note);
        let finding = placed(&[("west", 3), ("dc9", 2)]);
        assert_eq!(finding.grade, Grade::Note);
        assert!(finding.text.starts_with("k: replicas: 2 in dc9, 3 in west: below 3"), "{}", finding.text);
    }

    #[test]
    fn each_way_to_place_replicas_has_its_grade() {
        let simple = |replicas| Strategy::SimpleStrategy { replication_factor: replicas };
        let other = Strategy::Other { name: "EverywhereStrategy5".to_owned(), data: Default::default() };
        for (strategy, grade) in [
            (simple(3), Grade::Ok),
            (simple(2), Grade::Note),
            (Strategy::LocalStrategy, Grade::Note),
            (other, Grade::Note),
        ] {
            assert_eq!(replication("k", &strategy).grade, grade, "{strategy:?}");
        }
        assert_eq!(placed(&[]).grade, Grade::Note);
    }

    #[test]
    fn tablets_explain_a_transaction_that_failed() {
        let finding = |grade| Finding::new("transaction", grade, "refused");
        assert!(on_tablets(true, finding(Grade::Wrong)).text.contains("tablets"));
        for (tablets, grade) in [(true, Grade::Ok), (false, Grade::Wrong)] {
            assert_eq!(on_tablets(tablets, finding(grade)).text, "refused");
        }
    }
}
