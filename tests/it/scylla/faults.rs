//! A proxy between store and server loses, delays and forges replies. With any reply there is one DEK per
//! slot, nothing is minted after a fence, and nothing is reported as erased that is not.

use std::collections::HashMap;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use hourseal::edge::scylla::{ScyllaOptions, ScyllaStore, StoreMetrics};
use hourseal::keys::*;
use hourseal::model::*;
use hourseal::telemetry::Registry;
use scylla::errors::{DbError, WriteType};
use scylla::statement::Consistency;
use scylla_proxy::{
    Condition, Node, Proxy, Reaction, RequestFrame, RequestOpcode, RequestReaction, RequestRule,
    ResponseFrame, ResponseOpcode, ResponseReaction, ResponseRule, RunningProxy, ShardAwareness,
};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::JoinSet;

use super::server::contact_points;
use super::{Cql, VAULT};
use crate::conformance::{Subject, candidate};
use crate::world::{DAY, HOUR, command};

/// Every reply to a conditional statement contains this, and no other reply does.
const CONDITIONAL: &[u8] = b"[applied]";

/// A proxy in front of the server, with the number of faults that it injected.
struct Harm {
    address: SocketAddr,
    proxy: RunningProxy,
    after: Told<ResponseFrame>,
    before: Told<RequestFrame>,
    done: u32,
}

/// The channel on which the proxy reports each frame with a fault.
struct Told<F> {
    tell: UnboundedSender<(F, Option<u16>)>,
    told: UnboundedReceiver<(F, Option<u16>)>,
}

impl<F> Told<F> {
    fn new() -> Self {
        let (tell, told) = unbounded_channel();
        Self { tell, told }
    }

    fn drain(&mut self) -> u32 {
        std::iter::from_fn(|| self.told.try_recv().ok()).count().try_into().expect("not that many")
    }
}

impl Harm {
    async fn new() -> Self {
        let server: SocketAddr = contact_points()[0].parse().expect("an address");
        let free =
            TcpListener::bind((server.ip(), 0)).expect("a free port").local_addr().expect("an address");
        let node = Node::new(server, free, ShardAwareness::Unaware, None, None);
        let proxy = Proxy::new([node]).run().await.expect("it runs");
        Self { address: free, proxy, after: Told::new(), before: Told::new(), done: 0 }
    }

    /// Starts to inject faults; `chance` scales the probability of each. After the server has acted, a reply
    /// to a conditional statement is lost, delayed or replaced by an error, or its connection is dropped.
    /// Before the server has seen it, a statement is answered with an error, or its connection is dropped.
    fn begin(&mut self, chance: f64) {
        let unavailable = DbError::Unavailable { consistency: Consistency::Quorum, required: 2, alive: 1 };
        let (consistency, write_type) = (Consistency::Serial, WriteType::Cas);
        let timeout = DbError::WriteTimeout { consistency, received: 0, required: 2, write_type };
        let conditional = |chance| {
            Condition::ResponseOpcode(ResponseOpcode::Result)
                .and(Condition::BodyContainsCaseSensitive(CONDITIONAL.into()))
                .and(Condition::RandomWithProbability(chance))
        };
        // A dropped connection loses everything in flight on it, so that is rarer.
        let after = [
            (chance / 3.0, ResponseReaction::drop_frame()),
            (chance / 30.0, ResponseReaction::drop_connection()),
            (chance, ResponseReaction::delay(Duration::from_millis(300))),
            (chance, forged(unavailable.clone())),
            (chance, forged(timeout.clone())),
        ];
        let after = after.map(|(chance, harm)| {
            ResponseRule(conditional(chance), harm.with_feedback_when_performed(self.after.tell.clone()))
        });
        let statement = |chance| {
            Condition::RequestOpcode(RequestOpcode::Execute).and(Condition::RandomWithProbability(chance))
        };
        let before = [
            (chance / 3.0, RequestReaction::forge_with_error(unavailable)),
            (chance / 3.0, RequestReaction::forge_with_error(timeout)),
            (chance / 100.0, RequestReaction::drop_connection()),
        ];
        let before = before.map(|(chance, harm)| {
            RequestRule(statement(chance), harm.with_feedback_when_performed(self.before.tell.clone()))
        });
        let node = &mut self.proxy.running_nodes[0];
        node.change_response_rules(Some(after.to_vec()));
        node.change_request_rules(Some(before.to_vec()));
    }

    fn end(&mut self) {
        self.proxy.turn_off_rules();
    }

    /// Returns the number of faults so far.
    fn done(&mut self) -> u32 {
        self.done += self.after.drain() + self.before.drain();
        self.done
    }

    /// Opens the store through the proxy, with its own metrics.
    async fn store(&self, subject: &Cql) -> (Arc<ScyllaStore>, Registry) {
        let registry = Registry::default();
        let mut options =
            ScyllaOptions { metrics: StoreMetrics::register(&registry), ..subject.options(VAULT, DAY) };
        options.session.contact_points = vec![self.address.to_string()];
        (Arc::new(subject.store(options).await.expect("it opens")), registry)
    }
}

fn forged(error: DbError) -> ResponseReaction {
    ResponseReaction::transform_frame(Arc::new(move |reply: ResponseFrame| {
        ResponseFrame::forged_error(reply.params.for_response(), error.clone(), None).expect("a short text")
    }))
}

/// Retries while the outcome is unknown, like a lane, which polls meanwhile. Each attempt evaluates the
/// expression again.
macro_rules! insist {
    ($ask:expr) => {
        loop {
            match $ask {
                Ok(answer) => break answer,
                Err(StoreError::Unavailable(_)) => tokio::time::sleep(Duration::from_millis(50)).await,
                Err(error) => panic!("{error}"),
            }
        }
    };
}

/// Mints a slot and returns the id of its key.
async fn minted(store: &ScyllaStore, hour: Hour, generation: u16) -> Option<KeyId> {
    let mut offered;
    let minted = insist!({
        let candidate = candidate(store, "acme", hour, generation);
        offered = candidate.key_id();
        store.mint(std::slice::from_ref(&candidate), hour.start()).await
    });
    match &minted[0] {
        Minted::Won => Some(offered),
        Minted::Adopted { key, .. } => Some(key.key_id),
        Minted::Fenced(_) => None,
        other => panic!("{other:?}"),
    }
}

fn settled(registry: &Registry) -> String {
    let text = String::from_utf8(registry.render()).expect("text");
    let lines = text.lines().filter(|line| line.starts_with("hourseal_store_unknown_settled_total"));
    lines.map(|line| line.rsplit("settled_total").next().unwrap_or_default()).collect::<Vec<_>>().join(" ")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_lost_or_forged_reply_makes_a_second_dek() {
    if !Cql::is_there() {
        return;
    }
    let subject = Cql::fresh().await;
    let mut harm = Harm::new().await;
    let ((one, figures), (two, _)) = (harm.store(&subject).await, harm.store(&subject).await);
    let direct = Arc::new(subject.store(subject.options(VAULT, DAY)).await.expect("it opens"));
    harm.begin(0.06);
    let mut hour = HOUR;
    while harm.done() < 200 {
        let mut tasks = JoinSet::new();
        for _ in 0..40 {
            hour = hour.plus(1);
            for store in [&one, &two, &direct] {
                let store = Arc::clone(store);
                tasks.spawn(async move { (hour, minted(&store, hour, 0).await.expect("not fenced")) });
            }
        }
        let mut told: HashMap<Hour, Vec<KeyId>> = HashMap::new();
        tasks.join_all().await.into_iter().for_each(|(hour, key)| told.entry(hour).or_default().push(key));
        let token = direct.token(&crate::world::customer("acme"));
        for (hour, keys) in told {
            let there = direct.hours(token, hour, hour).await.expect("it answers").remove(0).keys;
            assert_eq!(there.len(), 1);
            assert!(
                keys.iter().all(|key| *key == there[0].key_id),
                "{hour:?}: {keys:?} are not {}",
                there[0].key_id
            );
        }
    }
    harm.end();
    println!("{} faults, unknown outcomes settled as {}", harm.done(), settled(&figures));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_minted_after_a_fence_whatever_is_lost() {
    if !Cql::is_there() {
        return;
    }
    let subject = Cql::fresh().await;
    let mut harm = Harm::new().await;
    let ((mints, figures), (fences, _)) = (harm.store(&subject).await, harm.store(&subject).await);
    let direct = subject.store(subject.options(VAULT, DAY)).await.expect("it opens");
    let token = direct.token(&crate::world::customer("acme"));
    harm.begin(0.06);
    let mut first = HOUR;
    while harm.done() < 150 {
        let mut tasks = JoinSet::new();
        let hours: Vec<Hour> = (0..30).map(|hour| first.plus(hour)).collect();
        first = first.plus(30);
        for hour in hours.clone() {
            let store = Arc::clone(&mints);
            tasks.spawn(async move {
                let mut won = Vec::new();
                for generation in 0..4 {
                    won.extend(minted(&store, hour, generation).await);
                }
                (hour, won)
            });
        }
        let mut fenced = JoinSet::new();
        for hour in hours {
            let store = Arc::clone(&fences);
            fenced.spawn(async move {
                let fence = insist!(store.fence(token, hour, Due(hour.0 + 25), command(1)).await);
                assert_eq!(fence, Fence::Fenced);
                let keys = store.hours(token, hour, hour).await;
                let keys = if let Ok(hours) = keys {
                    Some(hours.into_iter().flat_map(|row| row.keys).count())
                } else {
                    None
                };
                (hour, keys)
            });
        }
        let when_fenced: HashMap<Hour, Option<usize>> = fenced.join_all().await.into_iter().collect();
        for (hour, won) in tasks.join_all().await {
            let there = direct.hours(token, hour, hour).await.expect("it answers").remove(0);
            assert!(there.gate.fenced);
            let ids: Vec<KeyId> = there.keys.iter().map(|key| key.key_id).collect();
            assert!(won.iter().all(|key| ids.contains(key)), "what was told is there");
            if let Some(count) = when_fenced[&hour] {
                assert_eq!(ids.len(), count, "{hour:?}: minted after the fence");
            }
        }
    }
    harm.end();
    println!("{} faults, unknown outcomes settled as {}", harm.done(), settled(&figures));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_called_erased_is_erased_and_a_verdict_stands() {
    if !Cql::is_there() {
        return;
    }
    let subject = Cql::fresh().await;
    let mut harm = Harm::new().await;
    let (store, figures) = harm.store(&subject).await;
    let direct = Arc::new(subject.store(subject.options(VAULT, DAY)).await.expect("it opens"));
    let token = direct.token(&crate::world::customer("acme"));
    harm.begin(0.06);
    let (mut hour, mut number) = (HOUR, 0_u16);
    while harm.done() < 150 {
        let mut tasks = JoinSet::new();
        for _ in 0..40 {
            (hour, number) = (hour.plus(1), number + 1);
            let (store, direct) = (Arc::clone(&store), Arc::clone(&direct));
            tasks.spawn(async move {
                erase_through(&store, &direct, token, hour).await;
                rule_through(&store, &direct, number).await;
            });
        }
        tasks.join_all().await;
    }
    harm.end();
    println!("{} faults, unknown outcomes settled as {}", harm.done(), settled(&figures));
}

/// Erases through the faulty store. Another session must find what the store answered.
async fn erase_through(store: &ScyllaStore, direct: &ScyllaStore, token: Token, hour: Hour) {
    for generation in 0..2 {
        minted(direct, hour, generation).await;
    }
    let fence = insist!(store.fence(token, hour, Due(hour.0 + 25), command(1)).await);
    assert_eq!(fence, Fence::Fenced);
    let erasure = insist!(store.erase(token, hour, command(1), hour.start()).await);
    let Erasure::Erased(told) = erasure else { panic!("{erasure:?}") };
    let there = direct.hours(token, hour, hour).await.expect("it answers").remove(0).keys;
    assert_eq!(there.len(), 2);
    assert!(there.iter().all(|key| key.state == KeyState::Erased && key.wrapped.is_none()), "{there:?}");
    assert_eq!(told, there);
}

/// Stores verdicts for two commands with one id, one of them through the faulty store. One verdict is kept,
/// and each caller learns whether its own was kept.
async fn rule_through(store: &ScyllaStore, direct: &ScyllaStore, number: u16) {
    let digest = |byte: u8| {
        Digest([byte, (number >> 8) as u8, number as u8].repeat(11)[..32].try_into().expect("32 bytes"))
    };
    let id = format!("command {number}");
    let (mine, theirs) =
        tokio::join!(async { insist!(store.store_verdict(digest(1), &id, b"mine").await) }, async {
            insist!(direct.store_verdict(digest(2), &id, b"theirs").await)
        },);
    let is_kept =
        |stored: &Stored, body: &[u8]| *stored == Stored::New || *stored == Stored::Before(body.to_vec());
    assert_ne!(is_kept(&mine, b"mine"), is_kept(&theirs, b"theirs"), "{mine:?} {theirs:?}");
    let body = |kept: bool, body: &[u8]| kept.then(|| body.to_vec());
    assert_eq!(direct.verdict(digest(1)).await.expect("it answers"), body(is_kept(&mine, b"mine"), b"mine"));
    assert_eq!(
        direct.verdict(digest(2)).await.expect("it answers"),
        body(is_kept(&theirs, b"theirs"), b"theirs")
    );
}

/// The negative control: a client that takes a lost reply for a success soon gets a row with two owners.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_believes_in_lost_replies_doubles() {
    if !Cql::is_there() {
        return;
    }
    let subject = Cql::fresh().await;
    let mut harm = Harm::new().await;
    let builder = scylla::client::session_builder::SessionBuilder::new().known_node_addr(harm.address);
    let credulous = builder.use_keyspace(subject.keyspace(), false).build().await.expect("it answers");
    let mut insert = scylla::statement::Statement::new(
        "INSERT INTO probe (id, part, value) VALUES (?, 0, 1) IF NOT EXISTS",
    );
    insert.set_request_timeout(Some(Duration::from_secs(1)));
    insert.set_retry_policy(Some(Arc::new(scylla::policies::retry::FallthroughRetryPolicy::new())));
    let insert = credulous.prepare(insert).await.expect("valid CQL");
    harm.begin(0.1);
    let mut doubled = 0;
    for row in 0..200 {
        let id = format!("row {row}");
        let believes = match credulous.execute_unpaged(&insert, (&id,)).await {
            Ok(answer) => {
                answer.into_rows_result().expect("rows").first_row::<(bool,)>().is_ok_and(|row| row.0)
            }
            Err(_) => true,
        };
        let other = format!("INSERT INTO {{}}.probe (id, part, value) VALUES ('{id}', 0, 2) IF NOT EXISTS");
        let applied = subject.cql(&other).await.remove(0).remove(0).and_then(|cell| cell.as_boolean());
        doubled += u32::from(believes && applied == Some(true));
    }
    println!("{} faults, {doubled} rows with two owners", harm.done());
    assert!(doubled > 0, "the proxy did no harm that matters");
}
