//! librdkafka settings that cannot be passed through, each with the promise that it would break.

use serde_json::{Value as Json, json};

/// Keys refused in every map. Aliases stand beside their names.
const DENIED: [(&str, &str); 33] = [
    ("acks", "a transaction needs every in-sync replica"),
    ("allow.auto.create.topics", "topics are created with the right settings by `topics create` only"),
    ("auto.commit.enable", "offsets are committed by the transaction that holds their sealed records"),
    ("auto.offset.reset", "a gap in the input must halt the lane, not be skipped"),
    ("bootstrap.servers", "it has its own key, `kafka.bootstrap`"),
    ("debug", "librdkafka's debug log may show what is in a record"),
    ("delivery.report.only.error", "the lane decides which delivery reports it needs"),
    ("enable.auto.commit", "offsets are committed by the transaction that holds their sealed records"),
    ("enable.auto.offset.store", "offsets are committed by the transaction that holds their sealed records"),
    ("enable.gapless.guarantee", "the transaction already decides what a failed record means"),
    ("enable.idempotence", "without it a retry doubles records"),
    ("enable.partition.eof", "the lane does not know the event"),
    ("group.id", "it has its own key, `kafka.group`, which the transactional id is made of"),
    ("group.instance.id", "it is made of `instance` and the lane, so that no two lanes fence each other"),
    ("group.protocol", "static members of the classic protocol are what fencing is built on"),
    ("group.remote.assignor", "static members of the classic protocol are what fencing is built on"),
    ("isolation.level", "reading uncommitted offsets doubles records"),
    ("log.connection.close", "a lane must hear of each request that is left without an answer"),
    ("log.queue", "a lane must hear of each request that is left without an answer"),
    ("log_level", "a lane must hear of each request that is left without an answer"),
    ("max.in.flight", "more than 5 would reorder records on a retry"),
    ("max.in.flight.requests.per.connection", "more than 5 would reorder records on a retry"),
    ("message.send.max.retries", "the transaction's time-out bounds retries"),
    ("metadata.broker.list", "it has its own key, `kafka.bootstrap`"),
    ("offset.store.method", "offsets are committed by the transaction that holds their sealed records"),
    ("partition.assignment.strategy", "cooperative-sticky keeps what a waiting lane holds"),
    ("plugin.library.paths", "an interceptor would see plaintext"),
    ("request.required.acks", "a transaction needs every in-sync replica"),
    ("retries", "the transaction's time-out bounds retries"),
    ("test.mock.broker.rtt", "a mock keeps nothing"),
    ("test.mock.num.brokers", "a mock keeps nothing"),
    ("topic.blacklist", "the input is one topic by its name"),
    (
        "transactional.id",
        "it is made of `kafka.group`, `instance` and the lane, so that a restart fences its past",
    ),
];

/// Keys whose value is a secret: never in a file of settings, in the environment or on a command line.
const SECRET: [&str; 9] = [
    "sasl.oauthbearer.assertion.private.key.passphrase",
    "sasl.oauthbearer.assertion.private.key.pem",
    "sasl.oauthbearer.client.secret",
    "sasl.oauthbearer.config",
    "sasl.password",
    "ssl.certificate.pem",
    "ssl.key.password",
    "ssl.key.pem",
    "ssl.keystore.password",
];

/// Keys with a default of ours for lanes' consumers, which a value for every client would not reach.
const CONSUMERS: [&str; 2] = ["max.poll.interval.ms", "session.timeout.ms"];

/// What to do about a value that is not one of librdkafka's.
pub(super) const DOCUMENTED: &str = "librdkafka's CONFIGURATION.md lists its settings and their values";

/// Why a setting is refused, and what to do instead.
#[derive(Debug)]
pub(super) struct Denied {
    pub(super) why: String,
    pub(super) hint: &'static str,
}

/// Refuses a setting that would break a promise or show a secret. Never quotes the value.
pub(super) fn check(map: &str, key: &str, value: &str) -> Result<(), Denied> {
    if SECRET.contains(&key) {
        let why = "a secret cannot stand in the configuration".to_owned();
        return Err(Denied { why, hint: instead_of_secret(key) });
    }
    let denied = |reason: &str, hint| Err(Denied { why: format!("cannot be set: {reason}"), hint });
    match DENIED.iter().find(|(name, _)| *name == key) {
        Some((_, reason)) => denied(reason, "remove it"),
        None if map == "client" && CONSUMERS.contains(&key) => {
            denied("it belongs to the consumers", "move it to [kafka.consumer]")
        }
        None if map == "client" && key == "transaction.timeout.ms" => {
            denied("it belongs to the producers", "move it to [kafka.producer]")
        }
        None if key == "check.crcs" && value != "true" => {
            denied("a corrupt record must be noticed before it is sealed", "remove it")
        }
        None => Ok(()),
    }
}

fn instead_of_secret(key: &str) -> &'static str {
    match key {
        "sasl.password" => "put it into a file and set kafka.sasl_password_file",
        "ssl.key.password" => "put it into a file and set kafka.ssl_key_password_file",
        _ => "give a file instead, for example ssl.key.location",
    }
}

/// Settings whose keys may also stand as nested tables.
pub(super) fn schema() -> Json {
    let value = json!({ "type": ["string", "integer", "boolean"] });
    json!({
        "type": "object",
        "additionalProperties": { "anyOf": [value, { "$ref": "#/$defs/librdkafka" }] },
    })
}

/// The same without the keys that are refused in every map.
pub(super) fn map_schema() -> Json {
    let refused: Vec<&str> = DENIED.iter().map(|(key, _)| *key).chain(SECRET).collect();
    json!({ "$ref": "#/$defs/librdkafka", "propertyNames": { "not": { "enum": refused } } })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_that_break_a_promise_are_refused_with_their_reason() {
        for key in
            ["auto.offset.reset", "isolation.level", "acks", "transactional.id", "debug", "group.instance.id"]
        {
            let error = check("client", key, "x").expect_err(key).why;
            assert!(error.starts_with("cannot be set: "), "{error}");
        }
        assert!(check("consumer", "check.crcs", "false").is_err());
        assert!(check("consumer", "check.crcs", "true").is_ok());
        assert!(check("client", "security.protocol", "ssl").is_ok());
    }

    #[test]
    fn a_secret_is_refused_without_being_shown() {
        let error = check("client", "sasl.password", "hunter2").expect_err("a secret");
        assert!(!format!("{error:?}").contains("hunter2"));
        assert!(error.hint.contains("sasl_password_file"));
    }

    #[test]
    fn both_lists_are_sorted() {
        assert!(DENIED.is_sorted_by_key(|(key, _)| key));
        assert!(SECRET.is_sorted());
    }
}
