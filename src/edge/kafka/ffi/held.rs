//! A client that gets new credentials while it lives. The safe API can do neither for all kinds of clients.

use std::collections::BTreeMap;
use std::ffi::{CString, c_char};
use std::ops::Deref;
use std::ptr::{self, NonNull};

use rdkafka::ClientContext;
use rdkafka::admin::AdminClient;
use rdkafka::bindings as rd;
use rdkafka::client::Client;
use rdkafka::consumer::{BaseConsumer, Consumer as _, ConsumerContext};
use rdkafka::producer::{Producer as _, ProducerContext, ThreadedProducer};
use rdkafka::types::RDKafka;

use super::super::login::{Login, Password, Token};

/// The name that goes with a token. librdkafka writes it into its debug log, and does not send it.
const PRINCIPAL: &std::ffi::CStr = c"hourseal";

/// A client of librdkafka.
///
/// # Safety
/// The native client lives as long as `self`.
pub(in crate::edge::kafka) unsafe trait Native {
    fn native(&self) -> *mut RDKafka;
}

// SAFETY: the consumer owns its client.
unsafe impl<C: ConsumerContext> Native for BaseConsumer<C> {
    fn native(&self) -> *mut RDKafka {
        self.client().native_ptr()
    }
}

// SAFETY: the admin client owns its client.
unsafe impl<C: ClientContext> Native for AdminClient<C> {
    fn native(&self) -> *mut RDKafka {
        self.inner().native_ptr()
    }
}

// SAFETY: the producer owns its client.
unsafe impl<C: ProducerContext + 'static> Native for ThreadedProducer<C> {
    fn native(&self) -> *mut RDKafka {
        self.client().native_ptr()
    }
}

// SAFETY: the client is its own owner.
unsafe impl<C: ClientContext> Native for Client<C> {
    fn native(&self) -> *mut RDKafka {
        self.native_ptr()
    }
}

/// A client, on the list of its login for as long as it lives. It gives no mutable access: the client stays
/// in its place until it is dropped.
pub(in crate::edge::kafka) struct Held<T> {
    /// Dropped first: no thread reaches the client through the list then.
    _entry: Entry,
    client: T,
}

impl<T: Native> Held<T> {
    pub(in crate::edge::kafka) fn new(login: &Login, client: T) -> Self {
        let native = NonNull::new(client.native()).expect("a client that was made is not null");
        let number = login.with_clients(|clients, password, token| {
            let client = Living(native);
            // The settings of the client may be older than the newest credentials.
            password.inspect(|password| client.set_password(password));
            token.inspect(|token| client.set_token(token));
            clients.next += 1;
            clients.living.insert(clients.next, client);
            clients.next
        });
        Self { _entry: Entry { login: login.clone(), number }, client }
    }
}

impl<T> Deref for Held<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.client
    }
}

struct Entry {
    login: Login,
    number: u64,
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.login.with_clients(|clients, _, _| clients.living.remove(&self.number));
    }
}

/// The living clients of a login. Its lock is held while they are called.
#[derive(Default)]
pub(in crate::edge::kafka) struct Clients {
    next: u64,
    living: BTreeMap<u64, Living>,
}

/// The native client of a [`Held`].
struct Living(NonNull<RDKafka>);

// SAFETY: librdkafka takes calls from all threads.
unsafe impl Send for Living {}

impl Clients {
    pub(in crate::edge::kafka) fn set_token(&self, token: &Token) {
        self.living.values().for_each(|client| client.set_token(token));
    }

    pub(in crate::edge::kafka) fn set_password(&self, password: &Password) {
        self.living.values().for_each(|client| client.set_password(password));
    }
}

impl Living {
    /// librdkafka refuses a token of a client that does not use OAUTHBEARER, and an expired one. Neither is
    /// of use to the client.
    fn set_token(&self, token: &Token) {
        let mut why = [0 as c_char; 512];
        let text = CString::new(token.text()).expect("a token has no NUL");
        // SAFETY: `Held` removes the client from the list before it drops it, and the list is locked now.
        // librdkafka copies the texts. There are no extensions.
        let code = unsafe {
            rd::rd_kafka_oauthbearer_set_token(
                self.0.as_ptr(),
                text.as_ptr(),
                token.expires_at().0,
                PRINCIPAL.as_ptr(),
                ptr::null_mut(),
                0,
                why.as_mut_ptr(),
                why.len(),
            )
        };
        wipe(text);
        let _ = code;
    }

    fn set_password(&self, password: &Password) {
        let pair = (CString::new(password.user.as_str()), CString::new(password.text.as_str()));
        // The settings, which have the same texts, were refused if one contains a NUL.
        let (Ok(user), Ok(text)) = pair else { return };
        // SAFETY: as in `set_token`. An error is ours, and is destroyed once.
        unsafe {
            let error = rd::rd_kafka_sasl_set_credentials(self.0.as_ptr(), user.as_ptr(), text.as_ptr());
            if !error.is_null() {
                rd::rd_kafka_error_destroy(error);
            }
        }
        wipe(text);
    }
}

fn wipe(secret: CString) {
    drop(zeroize::Zeroizing::new(secret.into_bytes()));
}
