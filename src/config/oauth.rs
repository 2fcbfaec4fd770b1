//! `kafka.sasl_oauth_*`: where the tokens of SASL/OAUTHBEARER come from.

use std::path::PathBuf;

use super::reader::Reader;
use super::words::Word;

const TOKEN_FILE: &str = "kafka.sasl_oauth_token_file";
const ENDPOINT: &str = "kafka.sasl_oauth_token_endpoint";
const CLIENT_ID: &str = "kafka.sasl_oauth_client_id";
const CLIENT_SECRET: &str = "kafka.sasl_oauth_client_secret_file";
const SCOPE: &str = "kafka.sasl_oauth_scope";
const CA: &str = "kafka.sasl_oauth_ca_file";
/// Hint for a mechanism without tokens, and for tokens without their mechanism.
const BOTH: &str = "set `sasl.mechanism` in [kafka.client] to `OAUTHBEARER`, and either \
                    kafka.sasl_oauth_token_file or kafka.sasl_oauth_token_endpoint";

/// The source of tokens.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Tokens {
    /// Another program writes each new token to this file.
    File(PathBuf),
    /// An identity provider issues tokens for client credentials (RFC 6749, section 4.4).
    Endpoint(Endpoint),
}

/// The token endpoint of an identity provider, and the client that asks it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Endpoint {
    /// `https://`, or `http://` on this host.
    pub url: String,
    pub client_id: String,
    pub secret_file: PathBuf,
    pub scope: Option<String>,
    /// PEM file. `None` = the authorities that the system trusts.
    pub ca_file: Option<PathBuf>,
}

/// The settings as the operator wrote them.
pub(super) struct Written {
    pub(super) token_file: Option<PathBuf>,
    pub(super) endpoint: Option<String>,
    pub(super) client_id: Option<String>,
    pub(super) secret_file: Option<PathBuf>,
    pub(super) scope: Option<String>,
    pub(super) ca_file: Option<PathBuf>,
}

impl Written {
    /// Checks the settings against each other. `is_used`: the mechanism is OAUTHBEARER.
    pub(super) fn check(self, is_used: bool, reader: &mut Reader<'_>) -> Option<Tokens> {
        let beside = [
            (CLIENT_ID, self.client_id.is_some()),
            (CLIENT_SECRET, self.secret_file.is_some()),
            (SCOPE, self.scope.is_some()),
            (CA, self.ca_file.is_some()),
        ];
        let set = beside.iter().find(|(_, is_set)| *is_set);
        match (self.token_file, self.endpoint) {
            (Some(_), Some(_)) => {
                let why = format!("{TOKEN_FILE} and {ENDPOINT} are both set");
                reader.contradiction(&[TOKEN_FILE, ENDPOINT], why, "remove one of them");
            }
            (None, Some(_)) if self.client_id.is_none() => {
                reader.wrong(ENDPOINT, format!("set without {CLIENT_ID}"));
            }
            (None, Some(_)) if self.secret_file.is_none() => {
                reader.wrong(ENDPOINT, format!("set without {CLIENT_SECRET}"));
            }
            (_, None) if set.is_some() => {
                let name = set.map_or("", |(name, _)| *name);
                reader.wrong(name, format!("set without {ENDPOINT}"));
            }
            (Some(_), None) if !is_used => unused(TOKEN_FILE, reader),
            (None, Some(_)) if !is_used => unused(ENDPOINT, reader),
            (None, None) if is_used => {
                let why = "OAUTHBEARER needs tokens, and no setting says where they come from";
                reader.contradiction(&["kafka.client.sasl.mechanism"], why, BOTH);
            }
            (Some(file), None) => return Some(Tokens::File(file)),
            (None, Some(url)) => {
                let (client_id, secret_file) = (self.client_id?, self.secret_file?);
                let (scope, ca_file) = (self.scope, self.ca_file);
                return Some(Tokens::Endpoint(Endpoint { url, client_id, secret_file, scope, ca_file }));
            }
            (None, None) => {}
        }
        None
    }
}

fn unused(name: &'static str, reader: &mut Reader<'_>) {
    let why = format!("{name} is set, and `sasl.mechanism` in [kafka.client] is not OAUTHBEARER");
    reader.contradiction(&[name], why, BOTH);
}

/// An endpoint that gets a secret: nobody may listen on the way.
pub(super) const ENDPOINT_URL: Word = Word {
    is: "an address that begins with https://, or with http:// on this host (localhost, 127.0.0.1, [::1])",
    legal: |text| {
        let has_host = |rest: &str| rest.split('/').next().is_some_and(|host| !host.is_empty());
        let is_plain = text.bytes().all(|byte| byte.is_ascii_graphic()) && !text.contains(['@', '#']);
        is_plain
            && match text.split_once("://") {
                Some(("https", rest)) => has_host(rest),
                Some(("http", rest)) => is_this_host(rest.split('/').next().unwrap_or_default()),
                _ => false,
            }
    },
    pattern: "^https?://[^@#]+$",
    private: false,
};

/// Whether `host:port` is a loopback address.
fn is_this_host(authority: &str) -> bool {
    let is_port = |port: &str| port.is_empty() || port.parse::<u16>().is_ok();
    if let Some(port) = authority.strip_prefix("[::1]") {
        return port.is_empty() || port.strip_prefix(':').is_some_and(is_port);
    }
    let (host, port) = authority.split_once(':').unwrap_or((authority, ""));
    let is_loopback = host.parse::<std::net::Ipv4Addr>().is_ok_and(|it| it.is_loopback());
    is_port(port) && (host == "localhost" || is_loopback)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_goes_over_tls_or_stays_on_this_host() {
        for url in [
            "https://idp.example/token",
            "https://idp.example:8443/realms/a/token?x=1",
            "https://10.0.0.1",
            "http://localhost:8080/token",
            "http://127.0.0.1:1/",
            "http://127.1.2.3",
            "http://[::1]:8080/token",
        ] {
            assert!((ENDPOINT_URL.legal)(url), "{url}");
        }
        for url in [
            "",
            "idp.example/token",
            "https://",
            "https:///token",
            "http://idp.example/token",
            "http://127.0.0.1.example/token",
            "http://localhost.example",
            "http://10.0.0.1/",
            "http://localhost:80@evil.example/",
            "https://user:secret@idp.example/",
            "https://idp.example/a b",
            "ftp://localhost/",
        ] {
            assert!(!(ENDPOINT_URL.legal)(url), "{url}");
        }
    }
}
