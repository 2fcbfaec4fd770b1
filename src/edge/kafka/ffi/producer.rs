//! A transactional producer that learns the end of each of its requests. rdkafka's own producers cannot do
//! this.

use std::ffi::CStr;
use std::sync::Arc;
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::bindings as rd;
use rdkafka::client::Client;
use rdkafka::error::KafkaResult;
use rdkafka::topic_partition_list::TopicPartitionList;
use rdkafka::types::{RDKafka, RDKafkaType};

use super::super::client::{Flags, classify};
use super::super::login::Login;
use super::super::requests::Requests;
use super::consumer::GroupMembership;
use super::events::{Deliveries, Events};
use super::held::Held;
use super::listen::listen;
use crate::stream::{Stage, StreamError};

/// A producer, and the thread that serves its events.
///
/// Dropping it neither flushes nor aborts: uncommitted records are discarded. It waits for the client's
/// threads. It may be used and dropped on any thread: librdkafka takes calls from all threads, and refuses a
/// call of the transaction API while another one is under way.
pub(in crate::edge::kafka) struct TransactionalProducer<C: Deliveries + 'static> {
    /// Dropped first: its thread uses the client's queue.
    _events: Events,
    client: Held<Client<C>>,
    /// Dropped last: the client's threads write to it.
    requests: Arc<Requests>,
}

impl<C: Deliveries + 'static> TransactionalProducer<C> {
    /// # Errors
    /// librdkafka refuses the configuration.
    pub(in crate::edge::kafka) fn new(
        config: &ClientConfig,
        context: C,
        requests: Arc<Requests>,
        login: &Login,
    ) -> KafkaResult<Self> {
        let events = rd::RD_KAFKA_EVENT_DR
            | rd::RD_KAFKA_EVENT_ERROR
            | rd::RD_KAFKA_EVENT_STATS
            | rd::RD_KAFKA_EVENT_OAUTHBEARER_TOKEN_REFRESH;
        let native = config.create_native_config()?;
        // SAFETY: the configuration is alive; `requests` is dropped after the client.
        unsafe {
            rd::rd_kafka_conf_set_events(native.ptr(), events);
            listen(&native, &requests);
        }
        let client = Client::new(config, native, RDKafkaType::RD_KAFKA_PRODUCER, context)?;
        let client = Held::new(login, client);
        Ok(Self { _events: Events::serve(&client), client, requests })
    }

    pub(in crate::edge::kafka) fn context(&self) -> &C {
        self.client.context()
    }

    pub(in crate::edge::kafka) fn requests(&self) -> &Requests {
        &self.requests
    }

    /// The native client. It lives as long as `self`.
    pub(super) fn native(&self) -> *mut RDKafka {
        self.client.native_ptr()
    }

    /// May be called again after a timeout.
    pub(in crate::edge::kafka) fn init_transactions(&self, wait: Duration) -> Result<(), StreamError> {
        // SAFETY: the client is alive.
        check(Stage::Init, unsafe { rd::rd_kafka_init_transactions(self.native(), milliseconds(wait)) })
    }

    pub(in crate::edge::kafka) fn begin(&self) -> Result<(), StreamError> {
        // SAFETY: the client is alive.
        check(Stage::Begin, unsafe { rd::rd_kafka_begin_transaction(self.native()) })
    }

    /// May never return, whatever `wait` says: librdkafka waits for the group's coordinator without a limit
    /// (its issue #5456). If the coordinator was removed from the cluster (#5511), or if the brokers answered
    /// three times that it is not available, only a connection that is established or lost ends the wait.
    pub(in crate::edge::kafka) fn send_offsets(
        &self,
        offsets: &TopicPartitionList,
        member: &GroupMembership,
        wait: Duration,
    ) -> Result<(), StreamError> {
        let (list, member, wait) = (offsets.ptr(), member.as_ptr(), milliseconds(wait));
        // SAFETY: client, list and membership are alive until the call returns, however late.
        let error = unsafe { rd::rd_kafka_send_offsets_to_transaction(self.native(), list, member, wait) };
        check(Stage::Offsets, error)
    }

    /// Flushes and commits. Meanwhile the event thread serves the delivery reports. After a timeout of
    /// `wait` the outcome is unknown.
    pub(in crate::edge::kafka) fn commit(&self, wait: Duration) -> Result<(), StreamError> {
        // SAFETY: the client is alive.
        check(Stage::Commit, unsafe { rd::rd_kafka_commit_transaction(self.native(), milliseconds(wait)) })
    }

    pub(in crate::edge::kafka) fn abort(&self, wait: Duration) -> Result<(), StreamError> {
        // SAFETY: the client is alive.
        check(Stage::Abort, unsafe { rd::rd_kafka_abort_transaction(self.native(), milliseconds(wait)) })
    }
}

fn milliseconds(time: Duration) -> i32 {
    i32::try_from(time.as_millis()).unwrap_or(i32::MAX)
}

fn check(stage: Stage, error: *mut rd::rd_kafka_error_t) -> Result<(), StreamError> {
    take_error(stage, error).map_err(|(_, error)| error)
}

pub(super) fn take_error(
    stage: Stage,
    error: *mut rd::rd_kafka_error_t,
) -> Result<(), (rd::rd_kafka_resp_err_t, StreamError)> {
    if error.is_null() {
        return Ok(());
    }
    // SAFETY: a non-null error is ours until it is destroyed, once, below. Its name is a static string.
    let (code, flags, name) = unsafe {
        let flags = Flags {
            fatal: rd::rd_kafka_error_is_fatal(error) != 0,
            abortable: rd::rd_kafka_error_txn_requires_abort(error) != 0,
            retriable: rd::rd_kafka_error_is_retriable(error) != 0,
        };
        let name = CStr::from_ptr(rd::rd_kafka_error_name(error)).to_string_lossy().into_owned();
        let code = rd::rd_kafka_error_code(error);
        rd::rd_kafka_error_destroy(error);
        (code, flags, name)
    };
    Err((code, StreamError { stage, class: classify(code.into(), flags), name }))
}
