//! A token of OAUTHBEARER, how long it lives, and the reason if there is none.

use std::path::Path;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use zeroize::Zeroizing;

use crate::edge::clock::SystemClock;
use crate::model::{Clock as _, Millis};

/// Time for which a token without an expiry is used before it is fetched again.
const UNKNOWN: Duration = Duration::from_secs(60);
/// An expiry for librdkafka, which wants one. The token is replaced long before.
const DAY_MS: i64 = 24 * 3_600_000;
/// Waits after failures. The last one repeats.
const AGAIN: [Duration; 4] =
    [Duration::from_secs(1), Duration::from_secs(2), Duration::from_secs(4), Duration::from_secs(8)];
/// Shortest and longest time until the next token is fetched.
const SOONEST: Duration = Duration::from_secs(1);
const LATEST: Duration = Duration::from_secs(12 * 3600);

/// Not `Debug`: the text is a secret.
pub struct Token {
    text: Zeroizing<String>,
    /// `None` if neither its source nor the token itself tells.
    expires: Option<Millis>,
    fetched: Millis,
}

impl Token {
    /// `lives`: what the source says. Otherwise the claim `exp` of the token decides, if it is a JWT.
    ///
    /// # Errors
    /// The text is not a bearer token (RFC 6750, section 2.1), or it has expired.
    pub fn new(text: Zeroizing<String>, lives: Option<Duration>) -> Result<Self, String> {
        Self::at(SystemClock.now(), text, lives)
    }

    fn at(now: Millis, text: Zeroizing<String>, lives: Option<Duration>) -> Result<Self, String> {
        if text.is_empty() {
            return Err("it is empty".to_owned());
        }
        if !text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~+/=".contains(&byte)) {
            return Err("it is not a bearer token: it has characters that none may have".to_owned());
        }
        let lives = lives.map(|lives| now.plus(i64::try_from(lives.as_millis()).unwrap_or(DAY_MS)));
        let expires = lives.or_else(|| expiry(&text));
        match expires.filter(|at| *at <= now) {
            Some(at) => Err(format!("it expired at {}", rfc3339(at))),
            None => Ok(Self { text, expires, fetched: now }),
        }
    }

    pub(in crate::edge::kafka) fn text(&self) -> &str {
        &self.text
    }

    pub(in crate::edge::kafka) fn expires_at(&self) -> Millis {
        self.expires.unwrap_or_else(|| self.fetched.plus(DAY_MS))
    }

    pub(super) fn is_valid(&self) -> bool {
        self.expires_at() > SystemClock.now()
    }

    /// Time after which the next token is fetched: four fifths of what is left.
    pub(super) fn good_for(&self) -> Duration {
        let Some(expires) = self.expires else { return UNKNOWN };
        let left = u64::try_from(expires.0.saturating_sub(self.fetched.0)).unwrap_or(0);
        Duration::from_millis(left / 5 * 4).clamp(SOONEST, LATEST)
    }
}

/// The wait after this many failures, one after the other.
pub(super) fn again(failures: usize) -> Duration {
    AGAIN[failures.saturating_sub(1).min(AGAIN.len() - 1)]
}

/// The claim `exp` of a JWT. Its signature is the broker's matter.
fn expiry(text: &str) -> Option<Millis> {
    let payload = text.split('.').nth(1)?;
    let payload = Zeroizing::new(URL_SAFE_NO_PAD.decode(payload.trim_end_matches('=')).ok()?);
    let claims: serde_json::Value = serde_json::from_slice(&payload).ok()?;
    let seconds = claims.get("exp")?.as_f64()?;
    Some(Millis((seconds * 1_000.0) as i64))
}

fn rfc3339(at: Millis) -> String {
    Timestamp::from_millisecond(at.0).map_or_else(|_| format!("{} ms", at.0), |at| at.to_string())
}

/// Why there is no token.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("no token for kafka: {why}")]
pub struct TokenFault {
    pub why: String,
    pub hint: &'static str,
    /// Only a person can remove the cause.
    pub is_lasting: bool,
}

/// Reads the token of a file, without the line break at its end.
///
/// # Errors
/// The file cannot be read, or it holds no token that is valid now. Another program renews the file, so an
/// old token may be replaced soon.
pub fn token_of_file(path: &Path) -> Result<Token, TokenFault> {
    let file = path.display();
    let hint = "check the file of `kafka.sasl_oauth_token_file`, and the program that renews it";
    let text = std::fs::read_to_string(path).map(Zeroizing::new);
    let text = text.map_err(|error| TokenFault {
        why: format!("cannot read {file}: {error}"),
        hint,
        is_lasting: true,
    })?;
    let text = Zeroizing::new(text.trim().to_owned());
    Token::new(text, None).map_err(|why| TokenFault {
        why: format!("the token in {file} cannot be used: {why}"),
        hint,
        is_lasting: false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn jwt(claims: &str) -> String {
        format!("eyJhbGciOiJub25lIn0.{}.", URL_SAFE_NO_PAD.encode(claims))
    }

    fn token(text: &str, lives: Option<Duration>) -> Result<Token, String> {
        Token::at(Millis(1_000_000), Zeroizing::new(text.to_owned()), lives)
    }

    #[test]
    fn a_token_is_replaced_after_four_fifths_of_its_life() {
        let life = |token: Result<Token, String>| token.ok().map(|it| (it.expires_at().0, it.good_for()));
        let secs = Duration::from_secs;
        assert_eq!(life(token("opaque", Some(secs(10)))), Some((1_010_000, secs(8))));
        assert_eq!(life(token(&jwt(r#"{"exp":1100}"#), None)), Some((1_100_000, secs(80))));
        assert_eq!(life(token(&jwt(r#"{"exp":1000.5}"#), None)), Some((1_000_500, secs(1))));
        assert_eq!(life(token("opaque", None)), Some((1_000_000 + DAY_MS, UNKNOWN)));
        assert_eq!(life(token("opaque", Some(Duration::MAX))).map(|it| it.1), Some(LATEST));
        // The source knows better than the token.
        let both = token(&jwt(r#"{"exp":1}"#), Some(secs(10)));
        assert_eq!(life(both), Some((1_010_000, secs(8))));
    }

    #[test]
    fn what_is_no_valid_token_is_refused_without_being_shown() {
        let why = |text: &str| token(text, None).err().unwrap_or_default();
        assert_eq!(why(&jwt(r#"{"exp":1000}"#)), "it expired at 1970-01-01T00:16:40Z");
        assert_eq!(why(""), "it is empty");
        for text in ["two words", "a\u{1}auth=x", "a\nb", "tök"] {
            assert!(why(text).contains("not a bearer token") && !why(text).contains(text), "{text}");
        }
    }

    #[test]
    fn failures_are_followed_by_longer_waits_up_to_a_limit() {
        assert_eq!([1, 2, 9].map(again), [1, 2, 8].map(Duration::from_secs));
        assert_eq!(again(0), Duration::from_secs(1));
    }
}
