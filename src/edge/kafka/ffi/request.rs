//! Sends one admin request of librdkafka over a consumer's connections, and waits for its answer.

use std::ffi::c_char;
use std::ptr::NonNull;
use std::time::Duration;

use rdkafka::bindings as rd;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::types::{RDKafka, RDKafkaErrorCode, RDKafkaRespErr};

pub(super) const OK: RDKafkaRespErr = RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR;

/// librdkafka ends a request after its time-out. This is the longest time until its answer arrives here.
const GRACE: Duration = Duration::from_millis(500);

/// Longest time-out that librdkafka accepts for a request: one hour, in milliseconds.
const LONGEST_MS: u128 = 3_600_000;

/// The options of one request.
pub(super) struct Options(NonNull<rd::rd_kafka_AdminOptions_t>);

impl Options {
    /// # Errors
    /// librdkafka does not know the request.
    pub(super) fn new<C: ConsumerContext>(
        consumer: &BaseConsumer<C>,
        request: rd::rd_kafka_admin_op_t,
        timeout: Duration,
    ) -> Result<Self, RDKafkaErrorCode> {
        // SAFETY: the client is alive. The returned options are ours until `drop` destroys them, once.
        let options = unsafe { rd::rd_kafka_AdminOptions_new(consumer.client().native_ptr(), request) };
        let options = Self(NonNull::new(options).ok_or(RDKafkaErrorCode::InvalidArgument)?);
        let milliseconds = i32::try_from(timeout.as_millis().clamp(1, LONGEST_MS)).unwrap_or(i32::MAX);
        let mut why: [c_char; 128] = [0; 128];
        // SAFETY: the options are alive, and the buffer has the given size.
        let code = unsafe {
            rd::rd_kafka_AdminOptions_set_request_timeout(
                options.0.as_ptr(),
                milliseconds,
                why.as_mut_ptr(),
                why.len(),
            )
        };
        if code == OK { Ok(options) } else { Err(code.into()) }
    }

    /// Sends the request to this broker. Otherwise librdkafka sends it to the broker that it takes for the
    /// controller, and waits for that one until the time-out.
    pub(super) fn to_broker(&self, broker: i32) -> Result<(), RDKafkaErrorCode> {
        let mut why: [c_char; 128] = [0; 128];
        // SAFETY: the options are alive, and the buffer has the given size.
        let code = unsafe {
            rd::rd_kafka_AdminOptions_set_broker(self.0.as_ptr(), broker, why.as_mut_ptr(), why.len())
        };
        if code == OK { Ok(()) } else { Err(code.into()) }
    }

    /// Lists offsets as a consumer sees them that reads committed records only.
    pub(super) fn read_committed(&self) -> Result<(), RDKafkaErrorCode> {
        let level = rd::rd_kafka_IsolationLevel_t::RD_KAFKA_ISOLATION_LEVEL_READ_COMMITTED;
        // SAFETY: the options are alive.
        let error = unsafe { rd::rd_kafka_AdminOptions_set_isolation_level(self.0.as_ptr(), level) };
        if error.is_null() {
            return Ok(());
        }
        // SAFETY: a non-null error is ours until it is destroyed, once, here.
        let code = unsafe {
            let code = rd::rd_kafka_error_code(error);
            rd::rd_kafka_error_destroy(error);
            code
        };
        Err(code.into())
    }
}

impl Drop for Options {
    fn drop(&mut self) {
        // SAFETY: the options came from rd_kafka_AdminOptions_new and are destroyed once.
        unsafe { rd::rd_kafka_AdminOptions_destroy(self.0.as_ptr()) };
    }
}

/// The queue of one request. If it is destroyed before the answer arrives, librdkafka discards the answer.
struct Queue(NonNull<rd::rd_kafka_queue_t>);

impl Drop for Queue {
    fn drop(&mut self) {
        // SAFETY: the queue came from rd_kafka_queue_new and is destroyed once.
        unsafe { rd::rd_kafka_queue_destroy(self.0.as_ptr()) };
    }
}

/// The answer to one request, without an error of the whole request.
pub(super) struct Answer(NonNull<rd::rd_kafka_event_t>);

impl Answer {
    /// The event. It lives as long as `self`.
    pub(super) fn as_ptr(&self) -> *mut rd::rd_kafka_event_t {
        self.0.as_ptr()
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        // SAFETY: the event came from rd_kafka_queue_poll and is destroyed once.
        unsafe { rd::rd_kafka_event_destroy(self.0.as_ptr()) };
    }
}

/// Sends a request and waits for its answer, at most for `wait` and half a second.
///
/// # Errors
/// The request failed as a whole. [`RDKafkaErrorCode::OperationTimedOut`] if there is no answer.
///
/// # Safety
/// `send` must only pass its arguments to one of librdkafka's requests, together with pointers that are valid
/// until that call returns.
pub(super) unsafe fn ask<C: ConsumerContext>(
    consumer: &BaseConsumer<C>,
    options: &Options,
    wait: Duration,
    send: impl FnOnce(*mut RDKafka, *const rd::rd_kafka_AdminOptions_t, *mut rd::rd_kafka_queue_t),
) -> Result<Answer, RDKafkaErrorCode> {
    let client = consumer.client().native_ptr();
    // SAFETY: the client is alive. The returned queue is ours until `drop` destroys it, once.
    let queue = unsafe { rd::rd_kafka_queue_new(client) };
    let queue = Queue(NonNull::new(queue).ok_or(RDKafkaErrorCode::InvalidArgument)?);
    send(client, options.0.as_ptr(), queue.0.as_ptr());
    let longest = i32::try_from((wait + GRACE).as_millis()).unwrap_or(i32::MAX);
    // SAFETY: the queue is alive. The returned event is ours until `drop` destroys it, once.
    let event = unsafe { rd::rd_kafka_queue_poll(queue.0.as_ptr(), longest) };
    let answer = Answer(NonNull::new(event).ok_or(RDKafkaErrorCode::OperationTimedOut)?);
    // SAFETY: the event is alive.
    match unsafe { rd::rd_kafka_event_error(answer.as_ptr()) } {
        OK => Ok(answer),
        code => Err(code.into()),
    }
}
