//! The few calls that the safe API lacks or makes dear. `unsafe` is here and in `envelope/locked.rs` only.
#![allow(
    unsafe_code,
    reason = "librdkafka calls that rdkafka does not wrap; each block states why it is sound"
)]

use std::ffi::{CStr, CString, c_char, c_void};
use std::ptr;
use std::time::Duration;

use rdkafka::bindings as rd;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::message::BorrowedMessage;
use rdkafka::producer::{Producer, ProducerContext, ThreadedProducer};

use super::client::{Flags, classify};
use crate::stream::{Headers, Outgoing, Stage, StreamError};

/// A topic handle: saves a name look-up per record.
pub(super) struct TopicHandle(*mut rd::rd_kafka_topic_t);

// SAFETY: librdkafka's topic handles are reference counted and thread-safe.
unsafe impl Send for TopicHandle {}

impl TopicHandle {
    /// `None` when the name is no topic name.
    pub(super) fn open<C: ProducerContext + 'static>(
        producer: &ThreadedProducer<C>,
        name: &str,
    ) -> Option<Self> {
        let name = CString::new(name).ok()?;
        // SAFETY: the client is alive, the name is NUL-terminated, a null config means defaults.
        let handle =
            unsafe { rd::rd_kafka_topic_new(producer.client().native_ptr(), name.as_ptr(), ptr::null_mut()) };
        (!handle.is_null()).then_some(Self(handle))
    }
}

impl Drop for TopicHandle {
    fn drop(&mut self) {
        // SAFETY: the handle came from rd_kafka_topic_new and is given back once, before its client goes.
        unsafe { rd::rd_kafka_topic_destroy(self.0) };
    }
}

/// What became of a record handed to the producer's queue.
pub(super) enum Queued {
    Yes,
    Full,
    Failed(StreamError),
}

/// RD_KAFKA_PARTITION_UA: the partitioner decides.
const UNASSIGNED: i32 = -1;

const MAX_HEADERS: usize = 24;

/// Copies a record into the producer's queue: topic handle, event time, no allocation on our side.
pub(super) fn produce<C: ProducerContext + 'static>(
    producer: &ThreadedProducer<C>,
    topic: &TopicHandle,
    record: &Outgoing<'_>,
) -> Queued {
    use rd::rd_kafka_vtype_t as V;
    use rd::rd_kafka_vu_s__bindgen_ty_1 as U;
    debug_assert!(record.headers.len() <= MAX_HEADERS, "the lane copies few headers");
    let unset = rd::rd_kafka_vu_t { vtype: V::RD_KAFKA_VTYPE_END, u: U { i64_: 0 } };
    let mut vus = [unset; 6 + MAX_HEADERS];
    vus[0] = rd::rd_kafka_vu_t { vtype: V::RD_KAFKA_VTYPE_RKT, u: U { rkt: topic.0 } };
    vus[1] = rd::rd_kafka_vu_t {
        vtype: V::RD_KAFKA_VTYPE_PARTITION,
        u: U { i32_: record.partition.unwrap_or(UNASSIGNED) },
    };
    vus[2] = rd::rd_kafka_vu_t { vtype: V::RD_KAFKA_VTYPE_MSGFLAGS, u: U { i: rd::RD_KAFKA_MSG_F_COPY } };
    vus[3] = rd::rd_kafka_vu_t { vtype: V::RD_KAFKA_VTYPE_TIMESTAMP, u: U { i64_: record.timestamp.0 } };
    vus[4] = rd::rd_kafka_vu_t { vtype: V::RD_KAFKA_VTYPE_VALUE, u: U { mem: memory(record.value) } };
    vus[5] = rd::rd_kafka_vu_t { vtype: V::RD_KAFKA_VTYPE_KEY, u: U { mem: memory(record.key) } };
    let headers = &record.headers[..record.headers.len().min(MAX_HEADERS)];
    for (vu, (name, value)) in vus[6..].iter_mut().zip(headers) {
        let header = rd::rd_kafka_vu_s__bindgen_ty_1__bindgen_ty_2 {
            name: name.as_ptr(),
            val: value.as_ptr().cast(),
            size: value.len() as isize,
        };
        *vu = rd::rd_kafka_vu_t { vtype: V::RD_KAFKA_VTYPE_HEADER, u: U { header } };
    }
    // SAFETY: every pointer lives until the call returns; F_COPY makes librdkafka copy value and key, and it copies
    // headers always.
    let error =
        unsafe { rd::rd_kafka_produceva(producer.client().native_ptr(), vus.as_ptr(), 6 + headers.len()) };
    match take_error(Stage::Send, error) {
        Ok(()) => Queued::Yes,
        Err((rd::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR__QUEUE_FULL, _)) => Queued::Full,
        Err((_, error)) => Queued::Failed(error),
    }
}

fn memory(bytes: Option<&[u8]>) -> rd::rd_kafka_vu_s__bindgen_ty_1__bindgen_ty_1 {
    let (ptr, size) = bytes.map_or((ptr::null(), 0), |bytes| (bytes.as_ptr(), bytes.len()));
    rd::rd_kafka_vu_s__bindgen_ty_1__bindgen_ty_1 { ptr: ptr.cast::<c_void>().cast_mut(), size }
}

/// Commits without rdkafka's own flush, which polls in steps of 100 ms while nothing wakes it; librdkafka flushes by
/// itself, and the producer's thread serves the delivery reports. After `patience` the outcome is unknown.
pub(super) fn commit<C: ProducerContext + 'static>(
    producer: &ThreadedProducer<C>,
    patience: Duration,
) -> Result<(), StreamError> {
    let milliseconds = i32::try_from(patience.as_millis()).unwrap_or(i32::MAX);
    // SAFETY: the client is alive.
    let error = unsafe { rd::rd_kafka_commit_transaction(producer.client().native_ptr(), milliseconds) };
    take_error(Stage::Commit, error).map_err(|(_, error)| error)
}

fn take_error(
    stage: Stage,
    error: *mut rd::rd_kafka_error_t,
) -> Result<(), (rd::rd_kafka_resp_err_t, StreamError)> {
    if error.is_null() {
        return Ok(());
    }
    // SAFETY: a non-null error is ours until it is destroyed, once, below; its name is a static string.
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

/// The generation of the group that the consumer is a member of; < 0 while it is none.
pub(super) fn generation<C: ConsumerContext>(consumer: &BaseConsumer<C>) -> i32 {
    // SAFETY: the client is alive; the metadata is ours and destroyed once.
    unsafe {
        let metadata = rd::rd_kafka_consumer_group_metadata(consumer.client().native_ptr());
        if metadata.is_null() {
            return -1;
        }
        let generation = rd::rd_kafka_consumer_group_metadata_generation_id(metadata);
        rd::rd_kafka_consumer_group_metadata_destroy(metadata);
        generation
    }
}

/// The end of a partition as the last fetch answer said; no request is made.
pub(super) fn cached_end<C: ConsumerContext>(
    consumer: &BaseConsumer<C>,
    topic: &CStr,
    partition: i32,
) -> Option<i64> {
    let (mut low, mut high) = (-1, -1);
    // SAFETY: the client is alive, the topic is NUL-terminated, both results are valid for writing.
    let code = unsafe {
        rd::rd_kafka_get_watermark_offsets(
            consumer.client().native_ptr(),
            topic.as_ptr(),
            partition,
            &mut low,
            &mut high,
        )
    };
    (code == rd::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR && high >= 0).then_some(high)
}

/// The headers of a message as bytes: rdkafka's own accessor panics on a name that is not UTF-8.
pub(super) struct MessageHeaders<'m> {
    headers: *mut rd::rd_kafka_headers_t,
    count: usize,
    message: std::marker::PhantomData<&'m ()>,
}

impl<'m> MessageHeaders<'m> {
    pub(super) fn of(message: &'m BorrowedMessage<'_>) -> Self {
        let mut headers = ptr::null_mut();
        // SAFETY: the message is alive; the headers that are written belong to it and live as long.
        let code = unsafe { rd::rd_kafka_message_headers(message.ptr(), &mut headers) };
        let found = code == rd::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR && !headers.is_null();
        // SAFETY: `headers` is valid when found.
        let count = if found { unsafe { rd::rd_kafka_header_cnt(headers) } } else { 0 };
        Self { headers, count, message: std::marker::PhantomData }
    }
}

impl Headers for MessageHeaders<'_> {
    fn count(&self) -> usize {
        self.count
    }

    fn at(&self, index: usize) -> (&[u8], Option<&[u8]>) {
        assert!(index < self.count, "a header is asked for by an index below the count");
        let (mut name, mut value, mut size): (*const c_char, *const c_void, usize) =
            (ptr::null(), ptr::null(), 0);
        // SAFETY: the index is in range, so librdkafka sets all three to memory of the message.
        unsafe {
            rd::rd_kafka_header_get_all(self.headers, index, &mut name, &mut value, &mut size);
            let name = CStr::from_ptr(name).to_bytes();
            let value = (!value.is_null()).then(|| std::slice::from_raw_parts(value.cast::<u8>(), size));
            (name, value)
        }
    }
}
