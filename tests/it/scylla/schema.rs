//! Creating, checking and refusing a store.

use hourseal::edge::finding::{Finding, Grade, grade_of};
use hourseal::edge::scylla::{ScyllaOptions, check, create_roles, init};
use hourseal::keys::*;
use hourseal::model::*;
use tokio::task::JoinSet;

use super::{Cql, VAULT};
use crate::conformance::Subject;
use crate::world::{DAY, random};

fn finding<'f>(findings: &'f [Finding], what: &str) -> &'f Finding {
    findings
        .iter()
        .find(|finding| finding.what == what)
        .unwrap_or_else(|| panic!("no finding on {what}: {findings:?}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn init_may_be_repeated_and_changes_nothing() {
    if !Cql::is_there() {
        return;
    }
    let subject = Cql::new();
    let options = subject.options(VAULT, DAY);
    let done = init(&options).await.expect("a new store");
    assert_eq!(done.len(), 3, "keyspace, schema, identity: {done:?}");
    let before = subject.open().await.meta().await.expect("it answers");
    assert_eq!(init(&options).await.expect("again"), Vec::<String>::new());
    let after = subject.open().await.meta().await.expect("it answers");
    assert_eq!((before.store, before.schema_version), (after.store, after.schema_version));
}

#[tokio::test(flavor = "multi_thread")]
async fn several_that_create_one_store_agree_on_its_identity() {
    if !Cql::is_there() {
        return;
    }
    let subject = Cql::new();
    // The tables are created first: servers have trouble if several clients create them at once.
    init(&subject.options(VAULT, DAY)).await.expect("a new store");
    subject.cql("TRUNCATE {}.meta").await;
    let mut tasks = JoinSet::new();
    for _ in 0..6 {
        let options = subject.options(VAULT, DAY);
        tasks.spawn(async move { init(&options).await.expect("it answers") });
    }
    let drawn = tasks
        .join_all()
        .await
        .into_iter()
        .filter(|done| done.contains(&"generated the store's identity".to_owned()))
        .count();
    assert_eq!(drawn, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_keyspace_without_a_store_says_what_creates_it() {
    if !Cql::is_there() {
        return;
    }
    let subject = Cql::new();
    let refused = async || subject.store(subject.options(VAULT, DAY)).await.err().expect("refused");
    for _ in 0..2 {
        let error = refused().await;
        assert!(matches!(error, StoreError::Unusable(_)), "{error}");
        assert!(error.to_string().contains("`hourseal store init` creates it"), "{error}");
        subject
            .cql(
                "CREATE KEYSPACE IF NOT EXISTS {} \
                 WITH replication = {'class': 'SimpleStrategy', 'replication_factor': 1}",
            )
            .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_schema_that_is_newer_is_refused_by_everybody() {
    if !Cql::is_there() {
        return;
    }
    let subject = Cql::fresh().await;
    let store = subject.open().await;
    subject
        .cql("UPDATE {}.meta SET value = 0x3939 WHERE part = 'store' AND name = 'schema_version' IF EXISTS")
        .await;
    let options = subject.options(VAULT, DAY);
    let known = format!("version {}", options.schema_version());
    let errors =
        [store.meta().await.err(), subject.store(options.clone()).await.err(), init(&options).await.err()];
    for error in errors {
        let error = error.expect("refused").to_string();
        assert!(error.contains(&format!("its schema is version 99, this program knows {known}")), "{error}");
    }
    let findings = check(&options).await.expect("a connection");
    let version = finding(&findings, "schema version");
    assert_eq!(version.grade, Grade::Wrong);
    assert!(version.text.contains("99") && version.text.contains(&known), "{}", version.text);
    assert!(
        !findings.iter().any(|finding| finding.what == "store"),
        "nothing else is read of it: {findings:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn check_finds_nothing_wrong_with_a_store_that_works() {
    if !Cql::is_there() {
        return;
    }
    let subject = Cql::fresh().await;
    let findings = check(&subject.options(VAULT, DAY)).await.expect("a connection");
    assert!(grade_of(&findings) < Grade::Wrong, "{findings:#?}");
    for what in [
        "server",
        "data centre",
        "clocks",
        "schema",
        "keyspace",
        "lifetimes",
        "transaction",
        "conditional batch",
        "schema version",
        "store",
    ] {
        finding(&findings, what);
    }
    assert!(finding(&findings, "server").text.starts_with("Apache Cassandra 5."), "{findings:#?}");
    for what in ["server", "clocks", "transaction", "conditional batch", "schema version", "store"] {
        assert_eq!(finding(&findings, what).grade, Grade::Ok, "{what}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn check_says_what_does_not_fit() {
    if !Cql::is_there() {
        return;
    }
    let subject = Cql::fresh().await;
    let options = || subject.options(VAULT, DAY);
    let vault = ScyllaOptions { vault: VaultId(random()), ..options() };
    assert_eq!(finding(&check(&vault).await.expect("a connection"), "store").grade, Grade::Wrong);
    let mut elsewhere = options();
    elsewhere.keyspace = "no_such_keyspace".to_owned();
    let findings = check(&elsewhere).await.expect("a connection");
    assert!(finding(&findings, "keyspace").text.contains("`hourseal store init` creates it"));
    let late = ScyllaOptions { clock: crate::world::StillClock::at(Hour(100_000)), ..options() };
    assert_eq!(finding(&check(&late).await.expect("a connection"), "clocks").grade, Grade::Wrong);
}

#[tokio::test(flavor = "multi_thread")]
async fn roles_without_an_authorizer_are_refused_in_words() {
    if !Cql::is_there() {
        return;
    }
    let subject = Cql::fresh().await;
    let error = create_roles(&subject.options(VAULT, DAY)).await.expect_err("the server has no authorizer");
    assert!(matches!(error, StoreError::Unusable(_)), "{error}");
}
