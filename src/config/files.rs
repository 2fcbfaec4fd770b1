//! The files that settings name, and that a process reads only when it starts.

use std::path::PathBuf;

use super::Entry;

/// The executor reads the trust store before each batch of commands, and the key store's client reads its
/// password for each connection. Each fetch of a token reads its files. SIGHUP reads Kafka's password.
const READ_AGAIN: [&str; 6] = [
    "control.trust_store_file",
    "store.password_file",
    "kafka.sasl_password_file",
    "kafka.sasl_oauth_token_file",
    "kafka.sasl_oauth_client_secret_file",
    "kafka.sasl_oauth_ca_file",
];

/// Returns the settings whose file a process reads only when it starts, each with the file's path: secrets,
/// keys and certificates.
pub fn files_read_once(entries: &[Entry]) -> Vec<(String, PathBuf)> {
    let named = entries.iter().filter(|entry| names_a_file(entry));
    named.filter_map(|entry| Some((entry.name(), text(entry.value.as_deref()?)?.into()))).collect()
}

fn names_a_file(entry: &Entry) -> bool {
    // librdkafka's names, such as `ssl.ca.location`.
    let is_librdkafkas = entry.section.starts_with("kafka.") && entry.key.ends_with(".location");
    is_librdkafkas || entry.key.ends_with("_file") && !READ_AGAIN.contains(&entry.name().as_str())
}

/// Returns the text of a TOML string.
fn text(value: &str) -> Option<String> {
    let table: toml::Table = format!("text = {value}").parse().ok()?;
    Some(table.get("text")?.as_str()?.to_owned())
}

#[cfg(test)]
mod tests {
    use super::super::{Config, Layers};
    use super::*;

    #[test]
    fn files_that_are_read_once_are_named_and_those_read_again_are_not() {
        let layers = Layers {
            flags: [
                "store.kind=scylla",
                "kek.shared=true",
                "store.contact_points=db:9042",
                "store.user=worker",
                "store.password_file=/etc/password",
                "store.tls_ca_file=/etc/ca \"1\".pem",
                "control.trust_store_file=trust.json",
                "kafka.client.security.protocol=ssl",
                "kafka.client.ssl.ca.location=kafka.pem",
            ]
            .map(|set| ("--set".to_owned(), set.to_owned()))
            .to_vec(),
            host: "h".to_owned(),
            cores: 1,
            ..Layers::default()
        };
        let (_, entries) = Config::load_with_entries(&layers).expect("valid");
        let expected = [
            ("kafka.client.ssl.ca.location", "kafka.pem"),
            ("store.tls_ca_file", "/etc/ca \"1\".pem"),
            ("kek.root_key_file", "hourseal-root.key"),
        ];
        assert_eq!(files_read_once(&entries), expected.map(|(key, file)| (key.to_owned(), file.into())));
    }
}
