//! librdkafka settings that an operator cannot set, each with the promise that it would break.

use serde_json::{Value as Json, json};

/// Keys refused in every map, aliases included.
const DENIED: [(&str, &str); 34] = [
    ("acks", "a transaction needs every in-sync replica"),
    ("allow.auto.create.topics", "only `topics create` creates topics with the right settings"),
    ("auto.commit.enable", "offsets are committed by the transaction that holds their sealed records"),
    ("auto.offset.reset", "a gap in the input must park its partition, not be skipped"),
    ("bootstrap.servers", "it has its own setting, `kafka.bootstrap`"),
    ("client.id", "workers tell by it which members of their group are Hourseal"),
    ("debug", "librdkafka's debug log may show the content of records"),
    ("delivery.report.only.error", "the lane decides which delivery reports it needs"),
    ("enable.auto.commit", "offsets are committed by the transaction that holds their sealed records"),
    ("enable.auto.offset.store", "offsets are committed by the transaction that holds their sealed records"),
    ("enable.gapless.guarantee", "the transaction already decides what happens after a failed record"),
    ("enable.idempotence", "without it a retry duplicates records"),
    ("enable.partition.eof", "the lane needs that event to commit positions behind markers"),
    ("group.id", "it has its own setting, `kafka.group`, which is part of the transactional id"),
    ("group.instance.id", "`instance` and the lane form it, so that no two lanes fence each other"),
    ("group.protocol", "fencing relies on static members of the classic protocol"),
    ("group.remote.assignor", "fencing relies on static members of the classic protocol"),
    ("isolation.level", "reading uncommitted offsets duplicates records"),
    ("log.connection.close", "a lane must learn of each unanswered request"),
    ("log.queue", "a lane must learn of each unanswered request"),
    ("log_level", "a lane must learn of each unanswered request"),
    ("max.in.flight", "more than 5 would reorder records on a retry"),
    ("max.in.flight.requests.per.connection", "more than 5 would reorder records on a retry"),
    ("message.send.max.retries", "the transaction's time-out bounds retries"),
    ("metadata.broker.list", "it has its own setting, `kafka.bootstrap`"),
    ("offset.store.method", "offsets are committed by the transaction that holds their sealed records"),
    ("partition.assignment.strategy", "cooperative-sticky lets a waiting lane keep its partitions"),
    ("plugin.library.paths", "an interceptor would see plaintext"),
    ("request.required.acks", "a transaction needs every in-sync replica"),
    ("retries", "the transaction's time-out bounds retries"),
    ("test.mock.broker.rtt", "a mock broker stores nothing"),
    ("test.mock.num.brokers", "a mock broker stores nothing"),
    ("topic.blacklist", "the input is one topic, given by its name"),
    (
        "transactional.id",
        "`kafka.group`, `instance` and the lane form it, so that a restart fences the process before it",
    ),
];

/// Keys whose value is a secret. It is refused in a settings file, in the environment and on a command line.
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

/// Keys with a built-in default for lanes' consumers. A value for every client would not reach the consumers.
const CONSUMERS: [&str; 2] = ["max.poll.interval.ms", "session.timeout.ms"];

/// Hint for a value that librdkafka does not accept.
pub(super) const DOCUMENTED: &str = "librdkafka's CONFIGURATION.md lists its settings and their values";

/// Hint for librdkafka's own settings of OAUTHBEARER.
const OUR_TOKENS: &str =
    "set kafka.sasl_oauth_token_file, or kafka.sasl_oauth_token_endpoint and its client: they get the tokens";

/// The reason for a refusal, and the hint.
#[derive(Debug)]
pub(super) struct Denied {
    pub(super) why: String,
    pub(super) hint: &'static str,
}

/// Refuses a setting that would break a promise or show a secret. Never quotes the value.
pub(super) fn check(map: &str, key: &str, value: &str) -> Result<(), Denied> {
    if SECRET.contains(&key) {
        let why = "a secret must not be in the configuration".to_owned();
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
        None if key.starts_with("sasl.oauthbearer.") || key == "enable.sasl.oauthbearer.unsecure.jwt" => {
            denied("librdkafka fetches no tokens here", OUR_TOKENS)
        }
        None if map != "client" && matches!(key, "sasl.mechanism" | "sasl.mechanisms") => {
            denied("all clients authenticate in the same way", "move it to [kafka.client]")
        }
        None if key == "check.crcs" && value != "true" => {
            denied("a corrupt record must be noticed before it is sealed", "remove it")
        }
        None => Ok(()),
    }
}

fn instead_of_secret(key: &str) -> &'static str {
    match key {
        "sasl.password" => "write it to a file and set kafka.sasl_password_file",
        "ssl.key.password" => "write it to a file and set kafka.ssl_key_password_file",
        "ssl.keystore.password" => "write it to a file and set kafka.ssl_keystore_password_file",
        oauth if oauth.starts_with("sasl.oauthbearer.") => OUR_TOKENS,
        _ => "use a setting that names a file, for example ssl.key.location",
    }
}

/// Schema of a table of settings. Their keys may also be written as nested tables.
pub(super) fn schema() -> Json {
    let value = json!({ "type": ["string", "integer", "boolean"] });
    json!({
        "type": "object",
        "additionalProperties": { "anyOf": [value, { "$ref": "#/$defs/librdkafka" }] },
    })
}

/// [`schema`] without the keys that are refused in every map.
pub(super) fn map_schema() -> Json {
    let refused: Vec<&str> = DENIED.iter().map(|(key, _)| *key).chain(SECRET).collect();
    json!({ "$ref": "#/$defs/librdkafka", "propertyNames": { "not": { "enum": refused } } })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_that_break_a_promise_are_refused_with_their_reason() {
        for key in [
            "auto.offset.reset",
            "isolation.level",
            "acks",
            "transactional.id",
            "debug",
            "group.instance.id",
            "client.id",
        ] {
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
        let keystore = check("client", "ssl.keystore.password", "x").expect_err("a secret");
        assert!(keystore.hint.contains("ssl_keystore_password_file"));
    }

    #[test]
    fn librdkafkas_own_way_to_tokens_is_refused_and_the_hint_names_ours() {
        assert!(check("client", "sasl.mechanism", "OAUTHBEARER").is_ok());
        assert!(check("consumer", "sasl.mechanism", "OAUTHBEARER").is_err());
        for key in ["sasl.oauthbearer.client.secret", "sasl.oauthbearer.method"] {
            assert_eq!(check("client", key, "oidc").expect_err(key).hint, OUR_TOKENS);
        }
    }

    #[test]
    fn both_lists_are_sorted() {
        assert!(DENIED.is_sorted_by_key(|(key, _)| key));
        assert!(SECRET.is_sorted());
    }
}
