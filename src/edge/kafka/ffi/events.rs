//! The thread that serves the events of a client that nobody polls: failed deliveries, errors and log lines.

use std::ffi::{CStr, c_char};
use std::ptr::{self, NonNull};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use rdkafka::ClientContext;
use rdkafka::bindings as rd;
use rdkafka::client::Client;
use rdkafka::config::RDKafkaLogLevel as Level;
use rdkafka::error::KafkaError;

use super::produce::place_of;

/// Longest wait for an event, in milliseconds. After it the thread checks whether it must end.
const WAIT_MS: i32 = 100;

/// Ends its thread when it is dropped.
pub(in crate::edge::kafka) struct Events {
    queue: Arc<Queue>,
    over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

/// A reference to the main queue of a client; it must be dropped before the client.
struct Queue(NonNull<rd::rd_kafka_queue_t>);

// SAFETY: librdkafka's queues are thread-safe.
unsafe impl Send for Queue {}
// SAFETY: as above.
unsafe impl Sync for Queue {}

impl Drop for Queue {
    fn drop(&mut self) {
        // SAFETY: the reference came from rd_kafka_queue_get_main and is released once.
        unsafe { rd::rd_kafka_queue_destroy(self.0.as_ptr()) };
    }
}

/// A client's context that learns which records a broker refuses.
pub(in crate::edge::kafka) trait Deliveries: ClientContext {
    /// The broker has named this record as invalid. `place` counts the records of the transaction from 0.
    fn refused(&self, place: usize);
}

impl Events {
    /// It must be dropped before the client.
    pub(in crate::edge::kafka) fn serve<C: Deliveries + 'static>(client: &Client<C>) -> Self {
        // SAFETY: the client is alive.
        let queue = unsafe { rd::rd_kafka_queue_get_main(client.native_ptr()) };
        let queue = Arc::new(Queue(NonNull::new(queue).expect("every client has a main queue")));
        let over = Arc::new(AtomicBool::new(false));
        let thread = {
            let (queue, over, context) =
                (Arc::clone(&queue), Arc::clone(&over), Arc::clone(client.context()));
            let run = move || {
                while !over.load(Ordering::Acquire) {
                    queue.serve_one(&*context);
                }
            };
            std::thread::Builder::new().name("kafka events".to_owned()).spawn(run)
        };
        // Without the thread no commit could complete. A process that cannot start threads ends.
        Self { queue, over, thread: Some(thread.expect("the system has a thread left")) }
    }
}

impl Drop for Events {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Release);
        // SAFETY: the queue is alive; this wakes the thread.
        unsafe { rd::rd_kafka_queue_yield(self.queue.0.as_ptr()) };
        if let Some(thread) = self.thread.take() {
            // An error means that the thread panicked: it has ended, too.
            let _ = thread.join();
        }
    }
}

impl Queue {
    /// Waits for one event and passes it to the context.
    fn serve_one<C: Deliveries>(&self, context: &C) {
        // SAFETY: the queue is alive. The event is ours until it is destroyed, once, below. The texts live
        // as long.
        unsafe {
            let event = rd::rd_kafka_queue_poll(self.0.as_ptr(), WAIT_MS);
            if event.is_null() {
                return;
            }
            match rd::rd_kafka_event_type(event) {
                rd::RD_KAFKA_EVENT_LOG => log(event, context),
                rd::RD_KAFKA_EVENT_DR => deliveries(event, context),
                rd::RD_KAFKA_EVENT_ERROR => {
                    let error = KafkaError::Global(rd::rd_kafka_event_error(event).into());
                    let reason = CStr::from_ptr(rd::rd_kafka_event_error_string(event));
                    context.error(error, reason.to_string_lossy().trim());
                }
                _ => {}
            }
            rd::rd_kafka_event_destroy(event);
        }
    }
}

/// Passes on the records that the broker has named. It names records that break a rule for records
/// (KIP-467). If a batch is too large, it names none, and librdkafka reports all records of the batch.
///
/// # Safety
/// `event` is alive and has delivery reports.
unsafe fn deliveries<C: Deliveries>(event: *mut rd::rd_kafka_event_t, context: &C) {
    use rd::rd_kafka_resp_err_t as Code;
    // SAFETY: the event is alive, and each of its messages lives as long.
    while let Some(message) = unsafe { rd::rd_kafka_event_message_next(event).as_ref() } {
        let is_named = matches!(
            message.err,
            Code::RD_KAFKA_RESP_ERR_INVALID_RECORD | Code::RD_KAFKA_RESP_ERR_INVALID_TIMESTAMP
        );
        if let Some(place) = place_of(message._private).filter(|_| is_named) {
            context.refused(place);
        }
    }
}

/// # Safety
/// `event` is alive and is a log line.
unsafe fn log<C: ClientContext>(event: *mut rd::rd_kafka_event_t, context: &C) {
    let (mut facility, mut text, mut level): (*const c_char, *const c_char, i32) =
        (ptr::null(), ptr::null(), 0);
    // SAFETY: the event is alive. If the call returns 0, both texts are set and live as long as the event.
    unsafe {
        if rd::rd_kafka_event_log(event, &mut facility, &mut text, &mut level) == 0 {
            let (facility, text) = (CStr::from_ptr(facility), CStr::from_ptr(text));
            context.log(named(level), facility.to_string_lossy().trim(), text.to_string_lossy().trim());
        }
    }
}

/// The name of a syslog level (RFC 5424, section 6.2.1).
fn named(level: i32) -> Level {
    match level {
        0 => Level::Emerg,
        1 => Level::Alert,
        2 => Level::Critical,
        3 => Level::Error,
        4 => Level::Warning,
        5 => Level::Notice,
        6 => Level::Info,
        _ => Level::Debug,
    }
}
