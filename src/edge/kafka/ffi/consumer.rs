//! The consumer calls of a lane that the safe API lacks.

use std::ffi::{CStr, c_char, c_void};
use std::ptr::{self, NonNull};
use std::sync::Arc;

use rdkafka::bindings as rd;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::message::BorrowedMessage;

use crate::stream::Headers;

/// Membership of the group at one moment: member, instance and generation, read together (KIP-447). A clone
/// is the same membership.
#[derive(Clone)]
pub struct GroupMembership(Arc<Metadata>);

/// Memory of its own: it names the group and the member, and outlives the consumer.
struct Metadata(NonNull<rd::rd_kafka_consumer_group_metadata_t>);

// SAFETY: no thread is bound to the metadata, and it has no reference to its client.
unsafe impl Send for Metadata {}
// SAFETY: nothing changes the metadata between its creation and its destruction. librdkafka reads or copies
// it.
unsafe impl Sync for Metadata {}

impl GroupMembership {
    /// `None` while the consumer is not a member (generation < 0): a broker would accept its commit without
    /// fencing.
    pub(in crate::edge::kafka) fn of<C: ConsumerContext>(consumer: &BaseConsumer<C>) -> Option<Self> {
        // SAFETY: the client is alive. The returned metadata is ours until `drop` destroys it, once.
        let metadata = unsafe { rd::rd_kafka_consumer_group_metadata(consumer.client().native_ptr()) };
        let membership = Self(Arc::new(Metadata(NonNull::new(metadata)?)));
        (membership.generation() >= 0).then_some(membership)
    }

    fn generation(&self) -> i32 {
        // SAFETY: the metadata is alive as long as `self`.
        unsafe { rd::rd_kafka_consumer_group_metadata_generation_id(self.as_ptr()) }
    }

    pub(super) fn as_ptr(&self) -> *const rd::rd_kafka_consumer_group_metadata_t {
        self.0.0.as_ptr()
    }
}

impl Drop for Metadata {
    fn drop(&mut self) {
        // SAFETY: the metadata came from librdkafka and is destroyed once.
        unsafe { rd::rd_kafka_consumer_group_metadata_destroy(self.0.as_ptr()) };
    }
}

/// The end of a partition according to the last fetch answer. Sends no request.
pub(in crate::edge::kafka) fn cached_end<C: ConsumerContext>(
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
pub(in crate::edge::kafka) struct MessageHeaders<'m> {
    headers: *mut rd::rd_kafka_headers_t,
    count: usize,
    message: std::marker::PhantomData<&'m ()>,
}

impl<'m> MessageHeaders<'m> {
    pub(in crate::edge::kafka) fn of(message: &'m BorrowedMessage<'_>) -> Self {
        let mut headers = ptr::null_mut();
        // SAFETY: the message is alive. The headers that librdkafka returns belong to it and live as long.
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
        assert!(index < self.count, "a header's index is below the count");
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
