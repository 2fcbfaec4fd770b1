//! Puts records into the producer's queue without an allocation on our side.

use std::ffi::{CString, c_void};
use std::ptr;

use rdkafka::bindings as rd;

use super::events::Deliveries;
use super::producer::{TransactionalProducer, take_error};
use crate::stream::{Outgoing, Stage, StreamError};

/// A topic handle. It saves a name lookup per record. It must be dropped before its producer.
pub(in crate::edge::kafka) struct TopicHandle(*mut rd::rd_kafka_topic_t);

// SAFETY: librdkafka's topic handles are reference counted and thread-safe.
unsafe impl Send for TopicHandle {}

impl TopicHandle {
    /// `None` if the name is not a valid topic name.
    pub(in crate::edge::kafka) fn open<C: Deliveries>(
        producer: &TransactionalProducer<C>,
        name: &str,
    ) -> Option<Self> {
        let name = CString::new(name).ok()?;
        // SAFETY: the client is alive, the name is NUL-terminated, a null config means defaults.
        let handle = unsafe { rd::rd_kafka_topic_new(producer.native(), name.as_ptr(), ptr::null_mut()) };
        (!handle.is_null()).then_some(Self(handle))
    }
}

impl Drop for TopicHandle {
    fn drop(&mut self) {
        // SAFETY: the handle came from rd_kafka_topic_new and is released once, before its client is
        // destroyed.
        unsafe { rd::rd_kafka_topic_destroy(self.0) };
    }
}

/// The outcome for a record that was offered to the producer's queue.
pub(in crate::edge::kafka) enum Queued {
    Yes,
    Full,
    Failed(StreamError),
}

/// RD_KAFKA_PARTITION_UA: the partitioner decides.
const UNASSIGNED: i32 = -1;

const MAX_HEADERS: usize = 24;

/// Fields of a record besides its headers.
const FIELDS: usize = 7;

/// The place of a record in its transaction, as a pointer that is never followed and is not null.
fn opaque(place: usize) -> *mut c_void {
    ptr::without_provenance_mut(place + 1)
}

/// The inverse of [`opaque`]. `None` for a record without a place.
pub(super) fn place_of(opaque: *mut c_void) -> Option<usize> {
    opaque.addr().checked_sub(1)
}

/// Copies a record into the producer's queue: topic handle, event time, no allocation on our side. A failed
/// delivery is reported by the record's `place` in its transaction.
pub(in crate::edge::kafka) fn produce<C: Deliveries>(
    producer: &TransactionalProducer<C>,
    topic: &TopicHandle,
    record: &Outgoing<'_>,
    place: usize,
) -> Queued {
    use rd::rd_kafka_vtype_t as V;
    use rd::rd_kafka_vu_s__bindgen_ty_1 as U;
    debug_assert!(record.headers.len() <= MAX_HEADERS, "the lane copies few headers");
    let unset = rd::rd_kafka_vu_t { vtype: V::RD_KAFKA_VTYPE_END, u: U { i64_: 0 } };
    let mut vus = [unset; FIELDS + MAX_HEADERS];
    vus[0] = rd::rd_kafka_vu_t { vtype: V::RD_KAFKA_VTYPE_RKT, u: U { rkt: topic.0 } };
    vus[1] = rd::rd_kafka_vu_t {
        vtype: V::RD_KAFKA_VTYPE_PARTITION,
        u: U { i32_: record.partition.unwrap_or(UNASSIGNED) },
    };
    vus[2] = rd::rd_kafka_vu_t { vtype: V::RD_KAFKA_VTYPE_MSGFLAGS, u: U { i: rd::RD_KAFKA_MSG_F_COPY } };
    vus[3] = rd::rd_kafka_vu_t { vtype: V::RD_KAFKA_VTYPE_TIMESTAMP, u: U { i64_: record.timestamp.0 } };
    vus[4] = rd::rd_kafka_vu_t { vtype: V::RD_KAFKA_VTYPE_VALUE, u: U { mem: memory(record.value) } };
    vus[5] = rd::rd_kafka_vu_t { vtype: V::RD_KAFKA_VTYPE_KEY, u: U { mem: memory(record.key) } };
    vus[6] = rd::rd_kafka_vu_t { vtype: V::RD_KAFKA_VTYPE_OPAQUE, u: U { ptr: opaque(place) } };
    let headers = &record.headers[..record.headers.len().min(MAX_HEADERS)];
    for (vu, (name, value)) in vus[FIELDS..].iter_mut().zip(headers) {
        let header = rd::rd_kafka_vu_s__bindgen_ty_1__bindgen_ty_2 {
            name: name.as_ptr(),
            val: value.as_ptr().cast(),
            size: value.len() as isize,
        };
        *vu = rd::rd_kafka_vu_t { vtype: V::RD_KAFKA_VTYPE_HEADER, u: U { header } };
    }
    // SAFETY: every pointer lives until the call returns. F_COPY makes librdkafka copy value and key. It
    // always copies headers.
    let error = unsafe { rd::rd_kafka_produceva(producer.native(), vus.as_ptr(), FIELDS + headers.len()) };
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
