//! Asks the token endpoint of an identity provider for a token: client credentials of OAuth 2.0 (RFC 6749,
//! section 4.4), one request over one connection.
//!
//! Promise: the secret goes to the endpoint only, over TLS 1.2 or newer, or to this host. No error shows the
//! secret, the token, or what the endpoint says in words of its own. It follows no redirect.

use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Bytes;
use hyper::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HOST, HeaderValue};
use hyper::{Request, StatusCode, Uri};
use hyper_util::rt::TokioIo;
use openssl::ssl::{SslConnector, SslMethod, SslVersion};
use openssl::x509::X509VerifyResult;
use openssl::x509::store::X509StoreBuilder;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio_openssl::SslStream;
use zeroize::Zeroizing;

/// Longest time for a token, from the look-up of the name to the last byte.
const PATIENCE: Duration = Duration::from_secs(4);
/// Longest answer, in bytes.
const MOST: usize = 1 << 20;
/// The files in which systems keep the authorities that they trust. The linked OpenSSL knows no other folder
/// than its own.
const SYSTEM: [&str; 5] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
];

/// The endpoint, and who asks.
pub struct TokenEndpoint {
    /// `https://`, or `http://` on this host.
    pub url: String,
    pub client_id: String,
    pub secret_file: PathBuf,
    pub scope: Option<String>,
    /// PEM file. `None` = the authorities that the system trusts.
    pub ca_file: Option<PathBuf>,
}

/// A token, and the time that it lives if the endpoint says so.
pub struct Issued {
    pub token: Zeroizing<String>,
    pub lives: Option<Duration>,
}

/// Why there is no token.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    #[error("{0}")]
    File(String),
    #[error("{url} refuses the client: {why}")]
    Refused { url: String, why: String },
    #[error("the certificate of {url} is not trusted: {why}")]
    Untrusted { url: String, why: String },
    #[error("{url}: {why}")]
    Answer { url: String, why: String },
    #[error("no answer from {url}: {why}")]
    Away { url: String, why: String },
}

impl TokenError {
    /// Whether only a person can remove the cause.
    pub fn is_lasting(&self) -> bool {
        match self {
            Self::File(_) | Self::Refused { .. } | Self::Untrusted { .. } => true,
            Self::Answer { .. } | Self::Away { .. } => false,
        }
    }

    /// The setting to look at.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::File(_) => {
                "check the files of `kafka.sasl_oauth_client_secret_file` and `kafka.sasl_oauth_ca_file`"
            }
            Self::Refused { .. } => {
                "check `kafka.sasl_oauth_client_id`, the file of `kafka.sasl_oauth_client_secret_file`, and \
                 `kafka.sasl_oauth_scope`"
            }
            Self::Untrusted { .. } => {
                "set `kafka.sasl_oauth_ca_file` to the authority that signed the endpoint's certificate"
            }
            Self::Answer { .. } | Self::Away { .. } => {
                "check `kafka.sasl_oauth_token_endpoint`, and that the identity provider runs"
            }
        }
    }
}

/// The two ways in which a request fails, before the error has its address.
enum Trouble {
    Away(String),
    Untrusted(String),
}

impl Trouble {
    fn away(why: impl ToString) -> Self {
        Self::Away(why.to_string())
    }
}

impl TokenEndpoint {
    /// Reads the files that a request needs.
    ///
    /// # Errors
    /// [`TokenError::File`].
    pub fn check(&self) -> Result<(), TokenError> {
        self.secret()?;
        self.connector().map(drop)
    }

    /// Asks for a token. Takes at most 4 s.
    ///
    /// # Errors
    /// [`TokenError`].
    pub fn ask(&self) -> Result<Issued, TokenError> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| self.away(error.to_string()))?;
        let asked = self.ask_within_patience();
        let answer = runtime.block_on(asked);
        // The look-up of a name may still hang on a thread of its own.
        runtime.shutdown_background();
        let (status, body) = answer?;
        self.read(status, &body)
    }

    async fn ask_within_patience(&self) -> Result<(StatusCode, Zeroizing<Vec<u8>>), TokenError> {
        let (secret, connector) = (self.secret()?, self.connector()?);
        let uri: Uri = self.url.parse().map_err(|_| self.answer("it is not an address".to_owned()))?;
        let asked = self.exchange(&uri, &secret, connector);
        match tokio::time::timeout(PATIENCE, asked).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(Trouble::Away(why))) => Err(self.away(why)),
            Ok(Err(Trouble::Untrusted(why))) => Err(TokenError::Untrusted { url: self.url.clone(), why }),
            Err(_) => Err(self.away(format!("silence for {} s", PATIENCE.as_secs()))),
        }
    }

    async fn exchange(
        &self,
        uri: &Uri,
        secret: &str,
        connector: SslConnector,
    ) -> Result<(StatusCode, Zeroizing<Vec<u8>>), Trouble> {
        let is_tls = uri.scheme_str() == Some("https");
        let host = uri.host().unwrap_or_default().trim_matches(['[', ']']);
        let port = uri.port_u16().unwrap_or(if is_tls { 443 } else { 80 });
        let stream = TcpStream::connect((host, port)).await.map_err(Trouble::away)?;
        let request = self.request(uri, secret).map_err(Trouble::away)?;
        if is_tls {
            converse(over_tls(connector, host, stream).await?, request).await
        } else {
            converse(stream, request).await
        }
    }

    fn request(&self, uri: &Uri, secret: &str) -> Result<Request<Full<Bytes>>, hyper::http::Error> {
        let login = Zeroizing::new(format!("{}:{}", *encoded(&self.client_id), *encoded(secret)));
        let login = Zeroizing::new(format!("Basic {}", STANDARD.encode(&*login)));
        let mut login = HeaderValue::from_str(&login)?;
        login.set_sensitive(true);
        let mut form = "grant_type=client_credentials".to_owned();
        if let Some(scope) = &self.scope {
            form = format!("{form}&scope={}", *encoded(scope));
        }
        Request::post(uri.path_and_query().map_or("/", |it| it.as_str()))
            .header(HOST, uri.authority().map_or("", |it| it.as_str()))
            .header(AUTHORIZATION, login)
            .header(ACCEPT, "application/json")
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(Full::new(form.into()))
    }

    fn read(&self, status: StatusCode, body: &[u8]) -> Result<Issued, TokenError> {
        match judge(status, body) {
            Ok(issued) => Ok(issued),
            Err((true, why)) => Err(TokenError::Refused { url: self.url.clone(), why }),
            Err((false, why)) => Err(self.answer(why)),
        }
    }

    fn away(&self, why: String) -> TokenError {
        TokenError::Away { url: self.url.clone(), why }
    }

    fn answer(&self, why: String) -> TokenError {
        TokenError::Answer { url: self.url.clone(), why }
    }

    fn secret(&self) -> Result<Zeroizing<String>, TokenError> {
        let text = std::fs::read_to_string(&self.secret_file).map(Zeroizing::new);
        let text = text.map_err(|error| unreadable(&self.secret_file, &error))?;
        Ok(Zeroizing::new(text.trim_end_matches(['\r', '\n']).to_owned()))
    }

    fn connector(&self) -> Result<SslConnector, TokenError> {
        let file = self.ca_file.as_deref();
        connector(file).map_err(|error| match file {
            Some(file) => unreadable(file, &error),
            None => TokenError::File(format!("cannot load the authorities that the system trusts: {error}")),
        })
    }
}

fn unreadable(file: &Path, error: &dyn std::fmt::Display) -> TokenError {
    TokenError::File(format!("cannot read {}: {error}", file.display()))
}

fn connector(ca: Option<&Path>) -> Result<SslConnector, openssl::error::ErrorStack> {
    let mut builder = SslConnector::builder(SslMethod::tls_client())?;
    builder.set_min_proto_version(Some(SslVersion::TLS1_2))?;
    if let Some(ca) = ca {
        // Only this authority.
        builder.set_cert_store(X509StoreBuilder::new()?.build());
        builder.set_ca_file(ca)?;
    } else if let Some(system) = SYSTEM.iter().find(|file| Path::new(file).is_file()) {
        // Beside the defaults, which the variables SSL_CERT_FILE and SSL_CERT_DIR may name.
        builder.set_ca_file(system)?;
    }
    Ok(builder.build())
}

async fn over_tls(
    connector: SslConnector,
    host: &str,
    stream: TcpStream,
) -> Result<SslStream<TcpStream>, Trouble> {
    let ssl = connector.configure().and_then(|config| config.into_ssl(host)).map_err(Trouble::away)?;
    let mut stream = SslStream::new(ssl, stream).map_err(Trouble::away)?;
    match Pin::new(&mut stream).connect().await {
        Ok(()) => Ok(stream),
        Err(error) => match stream.ssl().verify_result() {
            X509VerifyResult::OK => Err(Trouble::away(error)),
            why => Err(Trouble::Untrusted(why.error_string().to_owned())),
        },
    }
}

async fn converse<S>(
    stream: S,
    request: Request<Full<Bytes>>,
) -> Result<(StatusCode, Zeroizing<Vec<u8>>), Trouble>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(Trouble::away)?;
    // Ends with this call.
    let mut driver = JoinSet::new();
    driver.spawn(connection);
    let answer = sender.send_request(request).await.map_err(Trouble::away)?;
    let status = answer.status();
    let body = Limited::new(answer.into_body(), MOST).collect().await.map_err(Trouble::away)?;
    Ok((status, Zeroizing::new(body.to_bytes().to_vec())))
}

/// The token of an answer; otherwise whether the endpoint refuses the client, and why.
fn judge(status: StatusCode, body: &[u8]) -> Result<Issued, (bool, String)> {
    let json: serde_json::Value = serde_json::from_slice(body).unwrap_or_default();
    if status != StatusCode::OK {
        let code = json["error"].as_str().filter(|code| is_code(code));
        let is_refusal = status.is_client_error()
            && !matches!(
                status,
                StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS | StatusCode::NOT_FOUND
            );
        return Err((
            is_refusal,
            code.map_or(format!("HTTP status {status}"), |code| format!("{code} (HTTP status {status})")),
        ));
    }
    let Some(token) = json["access_token"].as_str() else {
        return Err((
            false,
            "the answer is not one of a token endpoint: it has no `access_token`".to_owned(),
        ));
    };
    let lives = json["expires_in"].as_u64().map(Duration::from_secs);
    Ok(Issued { token: Zeroizing::new(token.to_owned()), lives })
}

/// An error code of OAuth, such as `invalid_client`. Any other text may say anything.
fn is_code(text: &str) -> bool {
    (1..=40).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')
}

/// `application/x-www-form-urlencoded`.
fn encoded(text: &str) -> Zeroizing<String> {
    let mut encoded = Zeroizing::new(String::with_capacity(3 * text.len()));
    for byte in text.bytes() {
        match byte {
            b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' | b'-' | b'.' | b'_' | b'*' => encoded.push(byte.into()),
            _ => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    fn why(status: u16, body: &str) -> Option<(bool, String)> {
        judge(StatusCode::from_u16(status).expect("a status"), body.as_bytes()).err()
    }

    #[test]
    fn a_token_is_taken_with_its_life() {
        let body = br#"{"access_token":"abc","token_type":"Bearer","expires_in":300}"#;
        let issued = judge(StatusCode::OK, body).expect("a token");
        assert_eq!((issued.token.as_str(), issued.lives), ("abc", Some(Duration::from_secs(300))));
        let issued = judge(StatusCode::OK, br#"{"access_token":"abc"}"#).expect("a token");
        assert_eq!(issued.lives, None);
    }

    #[test]
    fn a_refusal_is_told_by_its_code_and_not_in_the_words_of_the_endpoint() {
        let refused = |why: &str| Some((true, why.to_owned()));
        let body = r#"{"error":"invalid_client","error_description":"secret hunter2 is wrong"}"#;
        assert_eq!(why(401, body), refused("invalid_client (HTTP status 401 Unauthorized)"));
        assert_eq!(why(400, r#"{"error":"Hunter2 is wrong"}"#), refused("HTTP status 400 Bad Request"));
        for (status, body) in
            [(500, ""), (503, body), (404, ""), (429, ""), (302, ""), (200, "{}"), (200, "<html>")]
        {
            assert!(why(status, body).is_some_and(|(is_refusal, _)| !is_refusal), "{status} {body}");
        }
    }

    #[test]
    fn a_form_keeps_no_character_with_a_meaning() {
        assert_eq!(*encoded("a b&c=d:é%"), "a%20b%26c%3Dd%3A%C3%A9%25");
    }
}
