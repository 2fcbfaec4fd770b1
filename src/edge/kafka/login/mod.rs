//! The credentials of the clients of the cluster: a password, or a token of OAUTHBEARER.
//!
//! Promise: every client that lives gets the newest password and the newest token, whether anybody polls
//! it or not. No lane waits for a token: a thread of its own fetches it before the old one expires.
//! Not here: the ways to fetch a token. `token_of_file` reads a file, `edge::http` asks an identity provider.

mod token;

use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::time::{Duration, Instant};

use rdkafka::ClientConfig;
use zeroize::Zeroizing;

use super::client::ClientSettings;
use super::ffi::Clients;
use super::reach::{NoBroker, Waiting};
use crate::stream::PATIENCE;
use crate::telemetry::{codes, warn};

pub use token::{Token, TokenFault, token_of_file};

/// Time between two looks at a wait.
const LOOK: Duration = Duration::from_millis(250);
/// Time until the caller learns that it waits.
const SHOWN: Duration = Duration::from_secs(1);

/// Fetches a token. It may take some seconds.
pub type FetchToken = dyn Fn() -> Result<Token, TokenFault> + Send + Sync;

/// Name and password of SASL. Not `Debug`.
#[derive(Clone)]
pub struct Password {
    pub user: String,
    pub text: Zeroizing<String>,
}

/// The credentials, and the clients that live. Clones are the same login.
#[derive(Clone, Default)]
pub struct Login(Arc<Shared>);

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
    fetch: Option<Box<FetchToken>>,
    begun: OnceLock<()>,
}

#[derive(Default)]
struct State {
    clients: Clients,
    password: Option<Password>,
    token: Option<Token>,
    /// Why the last token could not be fetched.
    fault: Option<TokenFault>,
    failures: usize,
}

impl Login {
    pub fn new(password: Option<Password>, fetch: Option<Box<FetchToken>>) -> Self {
        let state = Mutex::new(State { password, ..State::default() });
        Self(Arc::new(Shared { state, fetch, ..Shared::default() }))
    }

    /// Gives the password to every client that lives. New connections use it; those that exist stay open.
    pub fn set_password(&self, password: Password) {
        let mut state = self.0.lock();
        state.clients.set_password(&password);
        state.password = Some(password);
    }

    pub(super) fn configure(&self, config: &mut ClientConfig) {
        if let Some(password) = &self.0.lock().password {
            config.set("sasl.password", password.text.as_str());
        }
    }

    pub(super) fn with_clients<R>(
        &self,
        act: impl FnOnce(&mut Clients, Option<&Password>, Option<&Token>) -> R,
    ) -> R {
        let State { clients, password, token, .. } = &mut *self.0.lock();
        act(clients, password.as_ref(), token.as_ref())
    }

    /// Why there is no valid token. `None` if there is one, or if none is needed.
    pub(super) fn fault(&self) -> Option<String> {
        let state = self.0.lock();
        let fault = state.fault.as_ref().filter(|_| !state.has_token());
        fault.map(ToString::to_string)
    }

    /// Waits for the first token. Returns at once if there is a valid one, or if none is needed.
    ///
    /// # Errors
    /// [`NoBroker::Token`], at once if only a person can remove the cause, or [`NoBroker::Stopped`].
    pub(super) fn await_token(&self, settings: &ClientSettings, begun: Instant) -> Result<(), NoBroker> {
        if self.0.fetch.is_none() {
            return Ok(());
        }
        self.0.begun.get_or_init(|| keep(&self.0));
        let mut state = self.0.lock();
        while !state.has_token() {
            let (waited, fault) = (begun.elapsed(), state.fault.clone());
            let is_over = waited >= PATIENCE || fault.as_ref().is_some_and(|it| it.is_lasting);
            match fault {
                _ if settings.reach.stop.requested() => return Err(NoBroker::Stopped),
                Some(fault) if is_over => return Err(NoBroker::Token(Box::new(fault))),
                fault if waited >= SHOWN => {
                    let what = "waiting for a token for kafka".to_owned();
                    settings.tell(Some(&Waiting { what, why: fault.map(|it| it.why) }));
                }
                _ => {}
            }
            state = self.0.changed.wait_timeout(state, LOOK).unwrap_or_else(PoisonError::into_inner).0;
        }
        Ok(())
    }
}

/// Starts the thread that fetches tokens until the last clone of the login is gone.
fn keep(shared: &Arc<Shared>) {
    let shared = Arc::downgrade(shared);
    let run = move || {
        while let Some(wait) = Weak::upgrade(&shared).map(|shared| shared.renew()) {
            let until = Instant::now() + wait;
            while Instant::now() < until && shared.strong_count() > 0 {
                std::thread::sleep(LOOK);
            }
        }
    };
    let thread = std::thread::Builder::new().name("kafka tokens".to_owned()).spawn(run);
    // A process that cannot start threads ends.
    thread.expect("the system has a thread left");
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Fetches a token and gives it to every client. Returns the time until the next one is due.
    fn renew(&self) -> Duration {
        let Some(fetch) = &self.fetch else { return PATIENCE };
        let fetched = fetch();
        let mut state = self.lock();
        let wait = match fetched {
            Ok(token) => state.take(token),
            Err(fault) => state.miss(fault),
        };
        self.changed.notify_all();
        wait
    }
}

impl State {
    fn has_token(&self) -> bool {
        self.token.as_ref().is_some_and(Token::is_valid)
    }

    fn take(&mut self, token: Token) -> Duration {
        self.clients.set_token(&token);
        let wait = token.good_for();
        (self.token, self.fault, self.failures) = (Some(token), None, 0);
        wait
    }

    fn miss(&mut self, fault: TokenFault) -> Duration {
        self.failures += 1;
        if self.token.is_some() {
            let left =
                if self.has_token() { "the old one is still valid" } else { "the old one has expired" };
            warn!(codes::KAFKA_TOKEN, why = fault.why, "cannot renew the token for kafka: {left}");
        }
        self.fault = Some(fault);
        token::again(self.failures)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    fn fault(is_lasting: bool) -> TokenFault {
        TokenFault { why: "refused".to_owned(), hint: "", is_lasting }
    }

    fn wait_for(
        fetch: impl Fn() -> Result<Token, TokenFault> + Send + Sync + 'static,
    ) -> Result<(), NoBroker> {
        let login = Login::new(None, Some(Box::new(fetch)));
        login.await_token(&ClientSettings::default(), Instant::now())
    }

    #[test]
    fn a_lasting_fault_ends_the_wait_and_a_passing_one_does_not() {
        let begun = Instant::now();
        let lasting = wait_for(|| Err(fault(true)));
        assert_eq!(lasting.expect_err("a fault").to_string(), "no token for kafka: refused");
        assert!(begun.elapsed() < PATIENCE / 2);
        let tries = AtomicUsize::new(0);
        let second = move || match tries.fetch_add(1, Ordering::Relaxed) {
            0 => Err(fault(false)),
            _ => Ok(Token::new(Zeroizing::new("abc".to_owned()), None).expect("a token")),
        };
        assert!(wait_for(second).is_ok());
    }

    #[test]
    fn a_login_without_tokens_waits_for_none() {
        let waited = Login::default().await_token(&ClientSettings::default(), Instant::now());
        assert!(waited.is_ok() && Login::default().fault().is_none());
    }

    #[test]
    fn a_fault_explains_nothing_while_the_old_token_is_valid() {
        let mut state = State::default();
        state.miss(fault(false));
        assert!(!state.has_token());
        state.take(Token::new(Zeroizing::new("abc".to_owned()), None).expect("a token"));
        state.miss(fault(false));
        let login = Login(Arc::new(Shared { state: Mutex::new(state), ..Shared::default() }));
        assert_eq!(login.fault(), None);
    }
}
